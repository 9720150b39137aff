"""The training loop: `Trainer`."""

from collections.abc import Sequence
from itertools import islice
from math import isfinite
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_

from base.base_trainer import BaseTrainer
from logger.progress import Progress
from settings.sections import log_names
from trainer.evaluate import evaluate
from utils import dist
from utils.batch_order import Portion
from utils.clock import Clock
from utils.device import to_device
from utils.epoch_metrics import EpochMetrics
from utils.errors import ConfigError
from utils.few_batches import few_batches
from utils.inspection import Inspection
from utils.plain_loader import as_portions
from utils.precision import autocast, gradient_scaler
from utils.schedule import Schedule
from utils.seed import seed_generators
from utils.split_manifest import SplitManifest
from utils.watch import Watch
from utils.weight_average import WeightAverage


class Trainer(BaseTrainer):
    """Trains a model on batches of (data, target).

    The whole of it, with what a subclass may override in capitals:

        for epoch in epochs:                        # BaseTrainer.train
            _TRAIN_EPOCH:
                for step in epoch:
                    _TRAIN_STEP(batches of the step)    # forward, backward, update; READ_BATCH takes a batch apart
                    every log_step: a row of the log
                _VALID_EPOCH
            log, monitor, checkpoint of _STATEFUL       # BaseTrainer

    :param lr_scheduler: a torch scheduler; `lr_scheduler.interval` in the config says what it counts
    """

    def __init__(
        self,
        model: torch.nn.Module,
        criterion: Any,
        metric_ftns: Sequence[Any],
        optimizer: torch.optim.Optimizer,
        config: Any,
        device: torch.device,
        data_loader: Any,
        valid_data_loader: Any = None,
        lr_scheduler: Any = None,
        len_epoch: int | None = None,
    ) -> None:
        super().__init__(model, criterion, metric_ftns, optimizer, config)
        options = self.options
        self.device, self.rank, self.world_size = device, dist.rank(), dist.world_size()
        self.split = SplitManifest(data_loader, valid_data_loader, bool(config.args.get("allow")))
        self.data_loader = as_portions(data_loader).to(device)
        self.data_loader.seed = self.seed
        self.do_validation = valid_data_loader is not None
        self.valid_data_loader = as_portions(valid_data_loader).to(device) if self.do_validation else None
        self.data_loader, self.valid_data_loader = few_batches(self.data_loader, self.valid_data_loader, options)
        self.lr_scheduler = lr_scheduler
        section = config.get("lr_scheduler") or {}
        anew = any(change.path[0] == "lr_scheduler" for change in config.changes)
        self.schedule = Schedule(lr_scheduler, section.get("interval", "epoch"), section.get("monitor"), anew)

        # Every feature that is off is an object that does nothing, so that the loop asks no questions.
        self.clock = Clock.of_run(options, data_loader, len_epoch)
        self.len_epoch, self.epochs = self.clock.len_epoch, self.clock.epochs
        self.autocast = autocast(options.amp, device)
        self.scaler = gradient_scaler(options.amp, device)
        self.memory_format = torch.channels_last if options.channels_last else torch.preserve_format
        self.ema = WeightAverage(model, options.ema_decay)
        self.train_metrics = EpochMetrics(metric_ftns, device, criterion)
        self.log_step = options.log_step or max(1, int((getattr(data_loader, "batch_size", None) or 1) ** 0.5))
        self.watch = Watch(self.logger, self.data_loader, self.config if options.profile and dist.is_main() else None)
        with config.at("trainer", "watch"):
            self.inspection = Inspection(model, optimizer, self.scaler, self.writer, options)
        self._batches: Any = None  # the stream of portions, entered at the first step
        self._check_monitors()

    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        """Trains from where the run is to the end of the epoch, then validates."""
        self.model.train()
        if self.step == self.clock.epoch_end(epoch - 1):
            self.train_metrics.reset()
        batches, end = [], self.clock.epoch_end(epoch)
        title, start = f"epoch {epoch}/{self.epochs}", (epoch - 1) * self.len_epoch
        with Progress(self.logger, title, end - start, self.step - start) as progress:
            while self.step < end:
                batches = self._next_batches()
                seed_generators(self.seed, self.rank, "step", self.step)
                with self.inspection.of_step(self.step + 1, self.log_step, end):
                    self._train_step(batches)
                self.step += 1
                self.watch.step()
                progress.advance(sum(portion.n_total for portion in batches))
                if self.step % self.log_step == 0:
                    progress.show(self._log_row(epoch, progress))
                if self.step < end:  # the checkpoint of an epoch's last step comes after its validation
                    self._save_within_epoch()
                    self.stopping.poll()
        if batches and self.options.tensorboard:  # no batches where a stop came before the validation
            self._draw(batches[-1].batch)
        log = self.train_metrics.result()
        if self.do_validation:
            with self.stopping.interruptible, self.watch["validation"]:
                log |= {f"val_{name}": value for name, value in self._valid_epoch(epoch).items()}
        self.schedule.after_epoch(log)
        return log

    def _train_step(self, batches: list[Portion]) -> None:
        """One update from the batches of a step: the gradient is the mean over all their samples, on all processes."""
        n_step = sum(n_total for _, _, n_total in batches)
        for index, (batch, n, _) in enumerate(batches):
            with self.watch["copying"]:
                batch = to_device(batch, self.device, self.memory_format)
            data, target = self.read_batch(batch)
            with dist.local_gradients(self.model, enabled=index < len(batches) - 1):
                with self.autocast:
                    output = self.model(data)
                    loss = self.criterion(output, target)
                share = n * self.world_size / n_step
                self.scaler.scale(loss if share == 1 else loss * share).backward()
            self.train_metrics.update(loss, output, target, n)
        self._update()

    def _update(self) -> None:
        """Goes down the gradient that a step has gathered."""
        self.scaler.unscale_(self.optimizer)
        if self.options.clip_grad_norm is not None:
            clip_grad_norm_(self.model.parameters(), self.options.clip_grad_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.ema.update()
        self.schedule.after_step()

    def _valid_epoch(self, epoch: int) -> dict[str, Any]:
        """The loss and the metrics on the validation part."""
        return evaluate(
            self.ema.model,
            self.criterion,
            self.metric_ftns,
            self.valid_data_loader,
            self.device,
            self.read_batch,
            self.autocast,
        )

    def _draw(self, batch: Any) -> None:
        """What TensorBoard shows of an epoch, at its end: the inputs of its last batch."""
        self.writer.add_batch("input", self.read_batch(batch)[0], self.step)

    @staticmethod
    def read_batch(batch: Any) -> tuple[Any, Any]:
        """What the model takes, and what loss and metrics compare its output with. Override it for other batches:

        return batch["image"], batch["mask"]
        """
        if not isinstance(batch, (tuple, list)) or len(batch) != 2:
            keys = f" with {', '.join(map(str, batch))}" if isinstance(batch, dict) else f" of {len(batch)}"
            kind = f"{type(batch).__name__}{keys}"
            raise ConfigError(f"a batch is a {kind}, not (data, target): name a collate_fn, or override read_batch")
        data, target = batch
        return data, target

    def _stateful(self) -> dict[str, Any]:
        parts = {"lr_scheduler": self.schedule, "scaler": self.scaler, "ema": self.ema, "split": self.split}
        return super()._stateful() | parts | {"running": self.train_metrics}

    def _resume_checkpoint(self, resume_path: Any) -> None:
        super()._resume_checkpoint(resume_path)
        self._is_pending = self.step == self.clock.epoch_end(self._epoch + 1)
        if not self._is_pending:
            self._epoch = self.step // self.len_epoch
        self.schedule.catch_up(self.step, self._epochs_done())

    def _next_batches(self) -> list[Portion]:
        """The batches of the next step. The stream is entered once, where the run is, and then goes on."""
        if self._batches is None:
            self._batches = self.data_loader.portions(self.clock.next_batch(self.step))
        with self.stopping.interruptible, self.watch["waiting for data"]:
            return list(islice(self._batches, self.clock.group_size(self.step)))

    def _save(self, epoch: int | None = None, best: bool = False) -> None:
        loss = self.train_metrics.means.over_ranks(self.device).avg("loss")  # sums keep a nan or an infinity
        self._refuse_not_finite(loss)
        if self._saved_at is None and dist.is_main():
            self.split.write(self.config.save_dir / "split.json", self.config.resume)
        with self.watch["checkpoints"]:
            super()._save(epoch, best)

    def train(self) -> dict[str, Any]:
        with self.watch:
            return super().train()

    def _log_row(self, epoch: int, progress: Progress) -> dict[str, float]:
        values = self.train_metrics.recent()  # where the device is waited for
        self._refuse_not_finite(values.get("loss"))
        with self.watch["logging"]:
            self._write_row("step", epoch, values, **progress.timing())
        return values

    def _first_bad_step(self) -> int:
        finite = [isfinite(loss) for loss in self.train_metrics.means.values("loss")]
        behind = len(finite) - 1 - finite.index(False) if False in finite else 0  # batches
        return self.step - behind // self.clock.accumulation

    def _is_finished(self) -> bool:
        return self._epochs_done() >= self.clock.epochs or self.monitor.should_stop

    # -- what the log will have -------------------------------------------------------------------------------------

    @classmethod
    def log_names(cls, config: dict[str, Any]) -> list[str] | None:
        """The names of a config's log, with validation; None where a subclass makes logs of its own."""
        if cls._train_epoch is not Trainer._train_epoch or cls._valid_epoch is not Trainer._valid_epoch:
            return None
        return [f"{part}{name}" for part in ("", "val_") for name in log_names(config)]

    def _check_monitors(self) -> None:
        judged = {("trainer", "monitor"): self.monitor.key, ("lr_scheduler", "monitor"): self.schedule.monitor}
        for path, key in judged.items():
            if key and key.startswith("val_") and not self.do_validation and self.log_names({}) is not None:
                raise ConfigError(self.config.document.fault(path, f"{key!r}, but there is no validation data").line)
