"""Two networks trained against each other: `GanTrainer`."""

from typing import Any

import torch

from trainer.trainer import Trainer
from utils import dist
from utils.batch_order import Portion
from utils.device import to_device
from utils.seed import generator


class GanTrainer(Trainer):
    """Trains the `generator` of a model against its `discriminator`, each with an optimizer of its own.

    In the config `optimizer` is the generator's and `optimizer_d` the discriminator's. `loss` is a class whose objects
    give the generator's loss when they are called, and have a method `discriminator` for the other's; the log has them
    as `loss` and `loss_d`. Each epoch shows, in TensorBoard, what becomes of the same 32 latent vectors.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        gan: Any = dist.unwrap(self.model)
        self.gan = gan
        self.optimizer.param_groups[0]["params"] = list(gan.generator.parameters())  # it was given those of both
        self.optimizer_d = self.config.init_obj("optimizer_d", torch.optim, gan.discriminator.parameters())

    def _stateful(self) -> dict[str, Any]:
        return super()._stateful() | {"optimizer_d": self.optimizer_d}

    @staticmethod
    def read_batch(batch: Any) -> tuple[Any, Any]:
        """The images, for the model, and again, for the generated ones to be compared with."""
        images, _ = batch
        return images, images

    def _train_epoch(self, epoch: int) -> dict[str, Any]:
        log = super()._train_epoch(epoch)
        gan: Any = self.ema.model.eval()
        latent = torch.randn(32, gan.latent, generator=generator("shown")).to(self.device)
        with torch.no_grad():
            self.writer.add_batch("generated", gan.generator(latent), self.step)
        return log

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
                share.backward(inputs=list(network.parameters()), retain_graph=value is loss)
            self.train_metrics.update(loss, output, target, n)
            self.train_metrics.means.add("loss_d", loss_d.detach(), n)
        for parameter in self.gan.parameters():
            parameter.grad = dist.sum_over_ranks(parameter.grad)
        for optimizer in (self.optimizer, self.optimizer_d):
            self.scaler.step(optimizer)
            optimizer.zero_grad()
        self.scaler.update()
        self.ema.update()
        self.schedule.after_step()
