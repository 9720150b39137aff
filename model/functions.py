"""A function with a backward of its own, and a small model that uses it."""

from typing import Any

import torch
from torch import Tensor, nn

from base import BaseModel


class Swish(torch.autograd.Function):
    """swish(x) = x sigmoid(beta x), whose beta can be learned (Ramachandran, Zoph, Le 2017, section 4).

    With s = sigmoid(beta x):

        d swish / d x    = s + beta x s (1 - s)
        d swish / d beta = x^2 s (1 - s)

    Only x and beta are kept for the backward, which computes s anew; autograd would keep s too.
    """

    @staticmethod
    def forward(x: Tensor, beta: Tensor) -> Tensor:
        """x of any shape, beta [] -> the shape of x."""
        return x * torch.sigmoid(beta * x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """What the backward will need."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient with respect to the output -> those with respect to x and to beta."""
        x, beta = ctx.saved_tensors
        s = torch.sigmoid(beta * x)
        slope = s * (1 - s)
        return gradient * (s + beta * x * slope), (gradient * x * x * slope).sum()


class SwishModel(BaseModel):
    """A perceptron whose hidden layer learns its `Swish`: [B, ...] -> scores [B, num_classes].

    :param n_features: numbers a sample
    """

    def __init__(self, n_features: int = 64, hidden: int = 64, num_classes: int = 10) -> None:
        super().__init__()
        self.hidden = nn.Linear(n_features, hidden)
        self.beta = nn.Parameter(torch.ones(()))
        self.linear = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(Swish.apply(self.hidden(x.flatten(1)), self.beta))
