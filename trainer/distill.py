"""A small model that learns from a larger one: `DistillTrainer`."""

import sys
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from base.trainer_options import TrainerOptions
from logger.metrics_log import shown
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

    The section `teacher` of the config is one like `arch`, and may have `checkpoint`, the file of a trained model; else
    the teacher is trained on the labels first, for `epochs`, or as many as the student. The checkpoints of a run hold
    its teacher, so that a resume needs no other file.
    """

    Options = DistillOptions
    options: DistillOptions
    sections = {"teacher": "arch"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_new = self.config.resume is None or self.config.weights_only
        beside_the_student = sys.modules[type(dist.unwrap(self.model)).__module__]  # where a plain name is looked up
        self.teacher = self.config.init_obj("teacher", beside_the_student).to(self.device).eval()
        self.teacher_file, self.teacher_epochs = of_teacher(self.config, self.epochs)
        if self.teacher_file and self.is_new:
            with self.config.at("teacher"):
                load_averaged(self.teacher, self.teacher_file)

    def _stateful(self) -> dict[str, Any]:
        return super()._stateful() | {"teacher": self.teacher}

    def train(self) -> dict[str, Any]:
        if self.is_new:
            if not self.teacher_file:
                self._train_teacher()
            loader = self.valid_data_loader or self.data_loader
            values = evaluate(self.teacher, self.criterion, self.metric_ftns, loader, self.device, self.read_batch)
            self.logger.info("The teacher: %s", "  ".join(f"{name} {shown(value)}" for name, value in values.items()))
        return super().train()

    def _train_teacher(self) -> None:
        self.logger.info("Training the teacher for %d epochs", self.teacher_epochs)
        model, n_steps = dist.wrap(self.teacher.train(), self.device), self.teacher_epochs * self.clock.per_pass
        optimizers = (sys.modules.get("model.optimizer", torch.optim), torch.optim)  # where train.py looks them up
        optimizer = self.config.init_obj("optimizer", optimizers, self.teacher.parameters())
        for step, portion in enumerate(islice(self.data_loader.portions(), n_steps)):
            seed_generators(self.seed, self.rank, "teacher", step)
            data, target = self.read_batch(to_device(portion.batch, self.device))
            (self.criterion(model(data), target) * (portion.n * self.world_size / portion.n_total)).backward()
            optimizer.step()
            optimizer.zero_grad()
        self.teacher.eval()

    def _train_step(self, batches: list[Portion]) -> None:
        n_step, alpha = sum(n_total for _, _, n_total in batches), self.options.alpha
        for batch, n, _ in batches:
            data, target = self.read_batch(to_device(batch, self.device))
            with self.autocast, torch.no_grad():
                taught = self.teacher(data)
            with self.autocast:
                output = self.model(data)
                soft = soft_loss(output, taught, self.options.temperature)
                loss = alpha * soft + (1 - alpha) * self.criterion(output, target)
            self.scaler.scale(loss * n * self.world_size / n_step).backward()
            self.train_metrics.update(loss, output, target, n)
        self._update()


def of_teacher(config: Any, epochs: int) -> tuple[str | None, int]:
    """What the section `teacher` says beside type and args: its checkpoint, if any, and for how long it trains.

    :param epochs: how long, where the section is silent
    """
    section = config["teacher"]
    with config.at("teacher", "epochs"):
        if section.get("epochs", 1) < 1:
            raise ConfigError("must be 1 or more")
        if section.get("checkpoint") and "epochs" in section:
            raise ConfigError("leave it out: a teacher from a checkpoint is not trained")
    return section.get("checkpoint"), section.get("epochs", epochs)


def load_averaged(model: torch.nn.Module, file: str) -> None:
    """Gives a model the weights of a checkpoint, the averaged ones if it has any."""
    state = checkpoint.read(file)
    checkpoint.load_state(model, state.get("ema", state["state_dict"]), "state_dict", file)


def soft_loss(output: Tensor, taught: Tensor, temperature: float) -> Tensor:
    """How far the scores of a student are from those of its teacher: temperature^2 KL(teacher || student).

    By the factor the labels' part stays as large beside it at any temperature (section 2).
    """
    scores, wanted = ((part / temperature).log_softmax(dim=1) for part in (output, taught))
    return temperature**2 * F.kl_div(scores, wanted, reduction="batchmean", log_target=True)
