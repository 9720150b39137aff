"""A small model that learns from a larger one: `DistillTrainer`."""

import sys
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from base.trainer_options import TrainerOptions
from trainer.evaluate import evaluate
from trainer.trainer import Trainer
from utils import checkpoint, dist
from utils.batch_order import Portion
from utils.device import to_device
from utils.errors import ConfigError
from utils.seed import seed_generators


@dataclass
class DistillOptions(TrainerOptions):
    """What the `trainer` section takes beside the options of every trainer."""

    temperature: float = 4.0  # the scores of both models are divided by it
    alpha: float = 0.9  # the teacher's part of the loss; the rest is the labels'

    def problems(self) -> list[tuple[str, str]]:
        found = super().problems()
        found += [("temperature", "must be above 0")] * (self.temperature <= 0)
        return found + [("alpha", "must be from 0 to 1")] * (not 0 <= self.alpha <= 1)


class DistillTrainer(Trainer):
    """Trains a classifier, the student, on the labels and on the scores of a teacher (Hinton, Vinyals, Dean 2015).

    The section `teacher` of the config is one like `arch`, and has `checkpoint`, the file of a trained model, or
    `epochs`: for so many the teacher is trained on the labels before the student begins. The checkpoints of a run hold
    its teacher, so that a resume needs no other file.
    """

    Options = DistillOptions
    options: DistillOptions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_new = self.config.resume is None or self.config.weights_only
        beside_the_student = sys.modules[type(dist.unwrap(self.model)).__module__]  # where a plain name is looked up
        self.teacher = self.config.init_obj("teacher", beside_the_student).to(self.device).eval()
        with self.config.at("teacher"):
            section = self.config["teacher"]
            path, self.teacher_epochs = section.get("checkpoint"), section.get("epochs", 0)
            if path is None and self.teacher_epochs < 1:
                raise ConfigError("needs a checkpoint, or epochs to train it first")
            if path is not None and self.is_new:
                state = checkpoint.read(path)
                checkpoint.load_state(self.teacher, state.get("ema", state["state_dict"]), "state_dict", path)

    def _stateful(self) -> dict[str, Any]:
        return super()._stateful() | {"teacher": self.teacher}

    def train(self) -> dict[str, Any]:
        if self.is_new:
            self._train_teacher()
            loader = self.valid_data_loader or self.data_loader
            values = evaluate(self.teacher, self.criterion, self.metrics, loader, self.device, self.read_batch)
            self.logger.info("The teacher: %s", "  ".join(f"{name} {value:.4g}" for name, value in values.items()))
        return super().train()

    def _train_teacher(self) -> None:
        model = dist.wrap(self.teacher.train(), self.device)
        optimizer = self.config.init_obj("optimizer", torch.optim, self.teacher.parameters())
        for step, portion in enumerate(islice(self.data_loader.portions(), self.teacher_epochs * self.clock.per_pass)):
            seed_generators(self.seed, self.rank, "teacher", step)
            data, target = self.read_batch(to_device(portion.batch, self.device))
            self.criterion(model(data), target).backward()
            optimizer.step()
            optimizer.zero_grad()
        self.teacher.eval()

    def _train_step(self, batches: list[Portion]) -> None:
        n_step = sum(n_total for _, _, n_total in batches)
        for batch, n, _ in batches:
            data, target = self.read_batch(to_device(batch, self.device))
            with self.autocast:
                with torch.no_grad():
                    taught = self.teacher(data)
                output = self.model(data)
                loss = self._loss(output, taught, target)
            self.scaler.scale(loss * n * self.world_size / n_step).backward()
            self.train_metrics.update(loss, output, target, n)
        self.scaler.unscale_(self.optimizer)
        self._clip_gradient()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.ema.update()
        self.schedule.after_step()

    def _loss(self, output: Tensor, taught: Tensor, target: Tensor) -> Tensor:
        """The teacher's part times temperature^2, so that the labels' part stays as large beside it (section 2)."""
        temperature, alpha = self.options.temperature, self.options.alpha
        scores, wanted = ((part / temperature).log_softmax(dim=1) for part in (output, taught))
        soft = F.kl_div(scores, wanted, reduction="batchmean", log_target=True)
        return alpha * temperature**2 * soft + (1 - alpha) * self.criterion(output, target)
