"""Models of tables."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from base import BaseModel


class TableModel(BaseModel):
    """Layers of neurons from a row of features, in any units, to a number: [B, num_features] -> [B].

    :param widths: the neurons of each layer
    """

    def __init__(self, num_features: int, widths: tuple[int, ...] = (64, 64)) -> None:
        super().__init__()
        self.standardize = Standardize(num_features)
        sizes = (num_features, *widths)
        self.layers = nn.Sequential(*(layer for a, b in pairwise(sizes) for layer in (nn.Linear(a, b), nn.ReLU())))
        self.number = nn.Linear(sizes[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.number(self.layers(self.standardize(x))).squeeze(1)


class Standardize(nn.Module):
    """Takes off the mean of each feature and divides by its standard deviation: [B, num_features] -> the same.

    Both are those of the training batches so far, never of other data, and stay in the checkpoint.
    """

    batches: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("batches", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("variance", torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._take_in(x.detach())
        return (x - self.mean) / self.variance.sqrt().clamp(min=1e-6)

    def _take_in(self, x: Tensor) -> None:
        self.batches += 1
        self.mean += (x.mean(dim=0) - self.mean) / self.batches
        self.variance += ((x - self.mean).square().mean(dim=0) - self.variance) / self.batches
