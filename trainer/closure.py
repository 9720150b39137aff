"""Training with optimizers that ask for the loss several times a step: `ClosureTrainer`."""

from typing import Any

import torch

from trainer.trainer import Trainer
from utils.batch_order import Portion
from utils.device import to_device


class ClosureTrainer(Trainer):
    """For LBFGS and its like: `optimizer.step` gets a function that computes the loss and its gradient anew.

    Without mixed precision and clipping. The log has the loss before each step.
    """

    gives_closure = True

    def _train_step(self, batches: list[Portion]) -> None:
        n_step = sum(portion.n_total for portion in batches)
        is_first = True

        def closure() -> torch.Tensor:
            nonlocal is_first
            self.optimizer.zero_grad()
            total: Any = 0
            for batch, n, _ in batches:
                data, target = self.read_batch(to_device(batch, self.device, self.memory_format))
                output = self.model(data)
                loss = self.criterion(output, target)
                part = loss * (n * self.world_size / n_step)
                part.backward()
                total = total + part.detach()
                if is_first:
                    self.train_metrics.update(loss, output, target, n)
            is_first = False
            return total

        self.optimizer.step(closure)
        self.optimizer.zero_grad()
        self.ema.update()
        self.schedule.after_step()
