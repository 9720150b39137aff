"""What every trainer inherits from: counts epochs, keeps the log, asks the monitor, saves, resumes."""

import logging
from abc import ABC, abstractmethod
from functools import cached_property
from math import isfinite
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from base.trainer_options import TrainerOptions
from logger import TensorboardWriter
from logger.metrics_log import MetricsLog, flatten, shown
from logger.run_record import write_config, write_run_record, write_status
from settings.names import closest, suggestion
from settings.references import escape
from settings.resuming import apply_to_optimizer
from utils import checkpoint, dist
from utils.background_save import checkpoints_of
from utils.checkpoint_folder import LAST, CheckpointFolder
from utils.cores import cores_in_words
from utils.determinism import fix_algorithms, fix_threads
from utils.device import prepare_device
from utils.errors import ConfigError, UserError
from utils.failures import SaveError, not_finite, told
from utils.fingerprint import differences, fingerprint
from utils.monitor import Monitor
from utils.seed import seed_generators
from utils.stopping import StopAsked, Stopping, let_workers_end, stop_workers

CHECKPOINT_KEYS = ("state_dict", "ema", "optimizer", "lr_scheduler", "scaler", "monitor", "running")


class BaseTrainer(ABC):
    """Trains epoch after epoch; a subclass says what an epoch is.

        class MyTrainer(BaseTrainer):
            def _train_epoch(self, epoch):
                ...
                return {"loss": 0.3, "val_loss": 0.4}

    What it knows of data, devices and precision: nothing. Everything it sets may be set anew by a subclass.

    :param criterion: the loss; also found as `self.loss`
    :param metric_ftns: the metrics; also found as `self.metrics`
    """

    Options: type[TrainerOptions] = TrainerOptions
    lr_scheduler: Any = None

    def __init__(self, model: torch.nn.Module, criterion: Any, metric_ftns: Any, optimizer: Any, config: Any) -> None:
        self.config = config
        self.options = self._options = self.Options.of(config.get("trainer", {}))
        self.logger: logging.Logger = config.get_logger("trainer", self.options.verbosity)
        fix_algorithms(self.options.deterministic, self.options.compile, self.options.tf32)
        if "trainer" in config:  # resolved once, then stored with the run
            config["trainer"]["threads"] = fix_threads(self.options.threads)
        self.device, self.device_ids = prepare_device(config.get("n_gpu"), config.device)
        has_moved = any(parameter.device.type != "cpu" for parameter in model.parameters())
        self.model = model if has_moved else model.to(self.device)
        self.criterion = self.loss = criterion
        self.metric_ftns = self.metrics = metric_ftns
        self.optimizer = optimizer
        self.seed: int = config.get("seed", 0)
        self.epochs = self.options.epochs or 0
        self.save_period = self.options.save_period
        self.monitor = Monitor(self.options.monitor, self.options.patience)
        self.start_epoch = 1
        self.step = 0  # the one clock: update attempts since the run began
        self.len_epoch = 0  # steps an epoch, where a subclass knows
        self.writer = TensorboardWriter(
            lambda: config.log_dir, self.logger, self.options.tensorboard and dist.is_main()
        )
        self._log = MetricsLog(None)
        self._checkpoints: CheckpointFolder | None = None
        self._epoch = 0  # how many are done
        self._is_pending = False  # all steps of the next one are made, its validation is not
        self._saved_at: float | None = None
        self.stopping = Stopping()

    @cached_property
    def checkpoint_dir(self) -> Any:
        """Where checkpoints go."""
        return self.config.save_dir

    @abstractmethod
    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        """Trains one epoch and returns its log: values by name, such as loss and val_loss."""

    def train(self) -> dict[str, Any]:
        """Trains until the last epoch, or until the monitor has lost patience; returns the log of the last epoch."""
        log: dict[str, Any] = {}
        with self.stopping:
            try:
                self._begin()
                while not self._is_finished():
                    self.stopping.poll()
                    epoch, before, started = self._epochs_done() + 1, self.step, monotonic()
                    seed_generators(self.seed, dist.rank(), "epoch", epoch)
                    log = dist.from_main({"epoch": epoch, **self._train_epoch(epoch)})  # all ranks judge by the same
                    if self.step == before and not self._is_pending:  # a trainer that keeps no count of its steps
                        self.step += self.len_epoch or 1
                    self._is_pending = False
                    self._epoch = epoch
                    self._end_epoch(epoch, log, seconds=round(monotonic() - started, 6))
                self._write_status("done")
                self.logger.info("Done. Evaluate it: python test.py -r %s", self.config.save_dir)
            except StopAsked as stop:
                raise self._stopped(stop) from None
            except BaseException as error:
                let_workers_end()
                line = told(error)
                kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                self._write_status("failed", line or f"{kind}{error}")
                if line is None:
                    if self.step == 0:
                        error.add_note("In one line, with its place: the same command with --check")
                    raise
                raise UserError(f"{line}; go on with: python train.py -r {self.config.save_dir}") from error
            finally:
                self._log.close()
                self.writer.close()
        return log

    def _stopped(self, stop: StopAsked) -> UserError:
        """Saves where the run is, and gives what ends the process."""
        self._write_status("failed", f"stopped by {stop.name}, and could not save")
        self._save()
        self._write_status("stopped", stop.name)
        stop_workers()
        dist.stop()
        text = f"stopped by {stop.name} at step {self.step} and saved; go on with: python train.py -r "
        return UserError(f"{text}{self.config.save_dir}" if dist.is_main() else "", stop.exit_code)

    def _write_status(self, state: str, why: str = "") -> None:
        if dist.is_main() and self._checkpoints is not None:
            write_status(self.config.log_dir / "status.json", state, self.step, why)

    def _end_epoch(self, epoch: int, log: dict[str, Any], **timing: float) -> None:
        values = flatten({key: value for key, value in log.items() if key != "epoch"})
        self._write_row("epoch", epoch, values, **timing)
        self._refuse_not_finite(values.get("loss"))
        missing = self.monitor.enabled and not isinstance(values.get(self.monitor.key), (int, float))
        best = not missing and self.monitor.judge(values)
        self._save_checkpoint(epoch, save_best=best)
        numbers = "  ".join(f"{name} {shown(value)}" for name, value in values.items())
        self.logger.info("epoch %d/%d  %s%s", epoch, self.epochs, numbers, "  (best)" if best else "")
        if missing:
            self._monitor_is_missing({name: value for name, value in values.items() if isinstance(value, (int, float))})
        if self.monitor.should_stop:
            self.logger.info(
                "%s was no better for %d epochs; training stops.", self.monitor.key, self.monitor.bad_epochs
            )

    def _is_finished(self) -> bool:
        limit = self._options.max_steps
        over = (self.epochs and self._epochs_done() >= self.epochs) or (limit is not None and self.step >= limit)
        return bool(over) or self.monitor.should_stop

    def _epochs_done(self) -> int:
        return self._epoch

    # -- the log ----------------------------------------------------------------------------------------------------

    def _write_row(self, kind: str, epoch: int, values: dict[str, Any], **timing: Any) -> None:
        """One row for metrics.jsonl, one for timing.jsonl, and the points of both for TensorBoard."""
        lr = self.optimizer.param_groups[0]["lr"] if hasattr(self.optimizer, "param_groups") else None
        self._log.write({"kind": kind, "step": self.step, "epoch": epoch, "lr": lr, **values}, timing)
        self.writer.add_row(kind, {"lr": lr, **values, **timing}, self.step)

    def _refuse_not_finite(self, loss: Any) -> None:
        if isinstance(loss, float) and not isfinite(loss):
            raise not_finite(f"the loss is {loss}", self._first_bad_step(), self.config.save_dir / LAST)

    def _first_bad_step(self) -> int:
        """Of those whose loss is not finite."""
        return self.step

    def _monitor_is_missing(self, values: dict[str, Any]) -> None:
        place, key = self.config.where("trainer", "monitor"), self.monitor.key
        if match := closest(key, values):
            raise ConfigError(f"{place}: trainer.monitor: the log has no {key!r}; did you mean {match!r}?")
        self.logger.warning("trainer.monitor: the log has no %r; %s; monitoring is off.", key, suggestion(key, values))
        self.monitor.switch_off()

    # -- checkpoints ------------------------------------------------------------------------------------------------

    def _stateful(self) -> dict[str, Any]:
        """Everything that a checkpoint holds, by its name there; a subclass adds its own:

        return super()._stateful() | {"optimizer_d": self.optimizer_d}
        """
        return {
            "state_dict": dist.unwrap(self.model),
            "optimizer": self.optimizer,
            "lr_scheduler": self.lr_scheduler,
            "monitor": self.monitor,
            "criterion": self.criterion if isinstance(self.criterion, torch.nn.Module) else None,
        }

    def _begin(self) -> None:
        """Takes up the checkpoint to resume from, or writes and reads back the first one."""
        self.config.start_run()
        folder = self.config.save_dir
        self._checkpoints = checkpoints_of(folder, self._options, dist.unwrap(self.model))
        if dist.is_main():
            self._checkpoints.clean()
            self._log = MetricsLog(self.config.log_dir)
        if self.config.resume is not None:
            self._resume_checkpoint(self.config.resume)
        if dist.is_main():
            write_config(folder / "config.json", escape(self.config.config))
            write_run_record(self.config.log_dir / "run.json", device=str(self.device), seed=self.seed, step=self.step)
        if not self.config.in_place:
            self._save()
            if dist.is_main():
                checkpoint.read(folder / LAST)
        if unread := self.config.unread():
            self.logger.info("Nothing has read these sections of the config: %s", ", ".join(unread))
        if self._is_finished():
            self.logger.info("The run is finished, at step %d.", self.step)
        else:
            used = cores_in_words(getattr(self, "data_loader", None))
            self.logger.info("Training on %s (%s) in %s", self.device, used, folder)

    def _save_checkpoint(self, epoch: int, save_best: bool = False) -> None:
        """Saves the state after an epoch."""
        self._save(epoch if epoch % self.save_period == 0 else None, save_best)

    def _save_within_epoch(self) -> None:
        """Saves between two steps if it is time to."""
        options = self._options
        by_steps = options.save_steps is not None and self.step % options.save_steps == 0
        ask = options.save_minutes is not None and self.step % 10 == 0  # all ranks must agree, which costs a message
        if by_steps or (
            ask and dist.from_main(monotonic() - (self._saved_at or 0)) >= 60 * (options.save_minutes or 0)
        ):
            self._save()

    def _save(self, epoch: int | None = None, best: bool = False) -> None:
        state = self._state()  # on every rank: parts of it are collected from all
        if dist.is_main() and self._checkpoints is not None:
            must_succeed = self._saved_at is None or self.stopping.asked is not None or self._is_finished()
            try:
                self._checkpoints.save(state, epoch, best)
                if must_succeed:
                    self._checkpoints.wait()
                self._write_status("running")
            except SaveError as error:
                if must_succeed:
                    raise
                self.logger.error("%s; training goes on, and the next save tries again", error)
        self._saved_at = monotonic()

    def _state(self) -> dict[str, Any]:
        parts = {name: part.state_dict() for name, part in self._stateful().items() if part is not None}
        parts = {name: part for name, part in parts.items() if part}  # what is off has no state
        return {
            "format": checkpoint.FORMAT,
            "name": self.config.get("name", "run"),
            "arch": type(dist.unwrap(self.model)).__name__,
            "epoch": self._epochs_done(),
            "step": self.step,
            **{name: parts[name] for name in CHECKPOINT_KEYS if name in parts},
            "monitor_best": self.monitor.best,
            "config": self.config.config,
            "fingerprint": fingerprint(self.device, self.config.config),
            "log": self._log.position(),
            "extra": {name: part for name, part in parts.items() if name not in CHECKPOINT_KEYS},
        }

    def _resume_checkpoint(self, resume_path: Any) -> None:
        """Goes on from a checkpoint: its whole state, or only its weights where the config says so."""
        self.logger.info("Loading checkpoint: %s ...", resume_path)
        state = checkpoint.read(resume_path)
        if self.config.weights_only:
            self.logger.info("Weights only: %s", checkpoint.load_fitting_weights(dist.unwrap(self.model), state))
            return
        made = [dict(group) for group in getattr(self.optimizer, "param_groups", ())]
        for name, part in self._stateful().items():
            stored = state.get(name, state["extra"].get(name))
            if name == "optimizer" and any(change.path == (name, "type") for change in self.config.changes):
                self.logger.warning("%s: another type than in %s; it starts anew", name, resume_path)
            elif part is not None and stored is not None:
                checkpoint.load_state(part, stored, name, resume_path)
            elif part is not None and part.state_dict():
                self.logger.warning("%s holds no %r; it starts anew", resume_path, name)
        for change in self.config.changes:
            self.logger.info("Changed: %s", change)
        apply_to_optimizer(self.optimizer, self.config, made, is_scheduled=self.lr_scheduler is not None)
        self.step, self._epoch = state["step"], state["epoch"]
        self.start_epoch = self._epochs_done() + 1
        if self.config.in_place:
            self._log.cut(state["log"], self.step)
            self.writer.purge_step = self.step + 1
            if dist.is_main() and self._checkpoints is not None:
                best = self.monitor.enabled and self.monitor.best is not None and self.monitor.bad_epochs == 0
                self._checkpoints.take_up(Path(resume_path), best)
        else:
            self.logger.info("Branched from %s at step %d", resume_path, self.step)
            if dist.is_main() and self._checkpoints is not None:
                self._checkpoints.adopt_best(Path(resume_path).parent, self.step)
        if changed := differences(state["fingerprint"], fingerprint(self.device, self.config.config)):
            self.logger.warning("Not bit for bit the run it was: %s", "; ".join(changed))
        self.logger.info("Resume training from step %d, epoch %d", self.step, self.start_epoch)
