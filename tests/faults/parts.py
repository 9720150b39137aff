"""What configs of the harness name: data that is drawn when it is asked for, odd models."""

import random
import time

import numpy as np
import torch

from base import BaseDataLoader
from model.model import DigitsModel


class Drawn(torch.utils.data.Dataset):
    """A pattern a class, under noise of three generators.

    :param seconds: that a sample takes
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def __len__(self) -> int:
        return 60

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        time.sleep(self.seconds)
        noise = torch.rand(1, 8, 8) + random.random() + float(np.random.rand())
        pattern = torch.arange(64).remainder(2 + index % 10).view(1, 8, 8) == 0
        return pattern + noise, index % 10


class DrawnDataLoader(BaseDataLoader):
    """Fifty samples to train, ten to validate."""

    def __init__(self, batch_size: int = 8, num_workers: int = 0, seconds: float = 0.0, **options: object) -> None:
        super().__init__(Drawn(seconds), batch_size, True, 10, num_workers, **options)


class SpoiltModel(DigitsModel):
    """Has a weight that no loss sees, which is no number from the third step on."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = torch.nn.Parameter(torch.zeros(2))
        self.n_calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.n_calls += 1
        if self.n_calls == 3:
            self.unused.data.fill_(float("nan"))
        return super().forward(x)


class TiedModel(torch.nn.Module):
    """Writes and reads a code with one weight, counts its calls in a buffer, and learns its shapes from the data."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.LazyLinear(16)
        self.write, self.read = torch.nn.Linear(16, 16), torch.nn.Linear(16, 16)
        self.read.weight = self.write.weight
        self.last = torch.nn.LazyLinear(10)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.calls += 1
        code = self.write(self.first(x.flatten(1)).relu())
        return self.last(self.read(code.relu()) + self.calls.remainder(2))


class UnorderedModel(DigitsModel):
    """Does something that has no deterministic form in torch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values, indices = torch.nn.functional.max_pool2d(x, 2, return_indices=True)
        return super().forward(x + torch.nn.functional.max_unpool2d(values, indices, 2))
