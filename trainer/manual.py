"""A step without autograd: `ManualTrainer`."""

from typing import Any

import torch
import torch.nn.functional as F

from trainer.trainer import Trainer
from utils import dist
from utils.batch_order import Portion
from utils.device import to_device
from utils.errors import ConfigError


class ManualTrainer(Trainer):
    """Trains multinomial logistic regression by its gradient as a formula (Bishop 2006, equation 4.109).

    With the samples x [n, features], their classes y [n, classes] (a one in each row, else zeros), and
    p = softmax(x W^T + b), the gradients of the mean cross entropy are

        dL/dW = (p - y)^T x / n
        dL/db = the sum over samples of (p - y) / n

    The model must be `linear.LinearModel`, the loss `cross_entropy`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        names = [name for name, _ in dist.unwrap(self.model).named_parameters()]
        if names != ["linear.weight", "linear.bias"] or self.criterion is not F.cross_entropy:
            with self.config.at("trainer", "type"):
                raise ConfigError("the formula is that of linear.LinearModel with cross_entropy, of nothing else")

    @torch.no_grad()
    def _train_step(self, batches: list[Portion]) -> None:
        """One update from the batches of a step, as Trainer makes it."""
        weight, bias = dist.unwrap(self.model).parameters()
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        for batch, n, _ in batches:
            data, target = self.read_batch(to_device(batch, self.device))
            output = self.model(data)
            error = output.softmax(dim=1) - F.one_hot(target, output.shape[1])  # p - y
            weight_gradient += error[:n].T @ data[:n].flatten(1)
            bias_gradient += error[:n].sum(dim=0)
            self.train_metrics.update(self.criterion(output, target), output, target, n)
        n_step = sum(n_total for _, _, n_total in batches)  # on all processes
        weight.grad = dist.sum_over_ranks(weight_gradient) / n_step
        bias.grad = dist.sum_over_ranks(bias_gradient) / n_step
        self._update()
