"""Two networks trained against each other: `GanTrainer`."""

import sys
from typing import Any

import torch
from torch.nn.utils import clip_grad_norm_

from settings.resuming import apply_to_optimizer
from trainer.trainer import Trainer
from utils import dist
from utils.batch_order import Portion
from utils.device import to_device
from utils.errors import ConfigError
from utils.seed import generator


class GanTrainer(Trainer):
    """Trains the `generator` of a model against its `discriminator`, each with an optimizer of its own.

    In the config `optimizer` is the generator's and `optimizer_d` the discriminator's. `loss` is a class whose objects
    give the generator's loss when they are called, and have a method `discriminator` for the other's; the log has them
    as `loss` and `loss_d`. Each epoch shows, in TensorBoard, what becomes of the same 32 latent vectors.
    """

    sections = {"optimizer_d": "optimizer"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        gan: Any = dist.unwrap(self.model)
        self.gan = gan
        keep_parameters(self.optimizer, trained(gan.generator))  # it was given those of both
        optimizers = (sys.modules.get("model.optimizer", torch.optim), torch.optim)  # where train.py looks them up
        self.optimizer_d = self.config.init_obj("optimizer_d", optimizers, trained(gan.discriminator))

    def _stateful(self) -> dict[str, Any]:
        return super()._stateful() | {"optimizer_d": self.optimizer_d}

    def _resume_checkpoint(self, resume_path: Any) -> None:
        refuse_another_type(self.config)
        made = [dict(group) for group in self.optimizer_d.param_groups]
        super()._resume_checkpoint(resume_path)
        apply_to_optimizer(self.optimizer_d, self.config, made, is_scheduled=False, section="optimizer_d")

    @staticmethod
    def read_batch(batch: Any) -> tuple[Any, Any]:
        """The images, for the model, and again, for the generated ones to be compared with."""
        images, _ = batch
        return images, images

    @classmethod
    def log_names(cls, config: dict[str, Any]) -> list[str] | None:
        names = super().log_names(config)
        return names and [*names, "loss_d"]

    def _draw(self, batch: Any) -> None:
        super()._draw(batch)
        gan: Any = self.ema.model.eval()
        latent = torch.randn(32, gan.latent, generator=generator("shown")).to(self.device)
        with torch.no_grad():
            self.writer.add_batch("generated", gan.generator(latent), self.step)

    def _train_step(self, batches: list[Portion]) -> None:
        """One update of both networks, each along the gradient of its own loss at the same weights."""
        n_step = sum(n_total for _, _, n_total in batches)
        for batch, n, _ in batches:
            images, target = self.read_batch(to_device(batch, self.device))
            with self.autocast:
                output = self.gan(images)
                loss, loss_d = self.criterion(output, target), self.criterion.discriminator(output, target)
            for network, value in ((self.gan.generator, loss), (self.gan.discriminator, loss_d)):
                share = self.scaler.scale(value * n / n_step)
                share.backward(inputs=trained(network), retain_graph=value is loss)
            self.train_metrics.update(loss, output, target, n)
            self.train_metrics.means.add("loss_d", loss_d.detach(), n)
        for network, optimizer in ((self.gan.generator, self.optimizer), (self.gan.discriminator, self.optimizer_d)):
            update(trained(network), optimizer, self.scaler, self.options.clip_grad_norm)
        self.scaler.update()
        self.ema.update()
        self.schedule.after_step()


def trained(network: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters of a network that are not frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def keep_parameters(optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> None:
    """Leaves an optimizer only these parameters, each in its group.

    A group that becomes empty stays, so that a schedule finds the rates of the others where they were.
    """
    kept = set(parameters)
    for group in optimizer.param_groups:
        group["params"] = [parameter for parameter in group["params"] if parameter in kept]
    if not any(group["params"] for group in optimizer.param_groups):
        raise ConfigError("arch.freeze leaves nothing of the generator to train")


def refuse_another_type(config: Any) -> None:
    """A resume cannot give the state of one optimizer to one of another type."""
    if any(change.path == ("optimizer_d", "type") for change in config.changes):
        with config.at("optimizer_d", "type"):
            raise ConfigError(
                "the run goes on with the type it has; -r RUN -c CONFIG starts a new run from its weights"
            )


def update(parameters: list[Any], optimizer: torch.optim.Optimizer, scaler: Any, largest_norm: float | None) -> None:
    """One step of a network's optimizer, down the sum of all processes' gradients."""
    for parameter in parameters:
        parameter.grad = dist.sum_over_ranks(parameter.grad)
    scaler.unscale_(optimizer)
    if largest_norm is not None:
        clip_grad_norm_(parameters, largest_norm)
    scaler.step(optimizer)
    optimizer.zero_grad()
