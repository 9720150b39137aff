"""Data made from a seed, which needs no files: a table, images of shapes, a series of hours."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from base import TensorDataLoader
from utils.seed import generator

SHAPES = {  # which points of the square from -1 to 1 a shape covers
    "circle": lambda x, y: x**2 + y**2 < 1,
    "square": lambda x, y: torch.maximum(x.abs(), y.abs()) < 0.85,
    "triangle": lambda x, y: (y < 0.7) & (y > 2 * x.abs() - 1),
}
WEEK = 168  # hours


class MadeDataLoader(TensorDataLoader, ABC):
    """Data in memory that a subclass makes, the training part and the test part."""

    def __init__(
        self,
        batch_size: int = 64,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        training: bool = True,
        augment: Callable | list[Callable] | None = None,
        **options: Any,
    ) -> None:
        augment = augment if training else None
        super().__init__(self.make(training), batch_size, shuffle, validation_split, augment=augment, **options)

    @staticmethod
    @abstractmethod
    def make(training: bool) -> tuple[Tensor, Tensor]:
        """Inputs and targets of one of the parts."""


class FriedmanDataLoader(MadeDataLoader):
    """A table with a number to predict: 4,000 training and 1,000 test rows of Friedman 1.

    Batches: features [B, 10], numbers [B].
    """

    @staticmethod
    def make(training: bool) -> tuple[Tensor, Tensor]:
        return make_friedman(4000, "training") if training else make_friedman(1000, "test")


class ShapeLabelsDataLoader(MadeDataLoader):
    """Which shapes an image shows, any number of them: 2,000 training and 500 test images of 32x32 pixels.

    Batches: images [B, 1, 32, 32], labels [B, 3], 1 for each of `classes` that can be seen and 0 for the others.
    """

    classes = tuple(SHAPES)

    @staticmethod
    def make(training: bool) -> tuple[Tensor, Tensor]:
        images, pixels = draw_shapes(2000, 32, "training") if training else draw_shapes(500, 32, "test")
        labels = torch.stack([(pixels == shape).any(dim=(1, 2)) for shape in range(1, len(SHAPES) + 1)], dim=1)
        return images, labels.float()


class ShapeMasksDataLoader(MadeDataLoader):
    """What each pixel of an image shows: 1,000 training and 250 test images of 48x48 pixels.

    Batches: images [B, 1, 48, 48], the number in `classes` of each pixel [B, 48, 48].
    """

    classes = ("background", *SHAPES)

    @staticmethod
    def make(training: bool) -> tuple[Tensor, Tensor]:
        return draw_shapes(1000, 48, "training") if training else draw_shapes(250, 48, "test")


class SeriesDataLoader(TensorDataLoader):
    """A year of hours, divided by time: 36 weeks for training, the next 8 for validation, the last 8 for the test.

    No value stands in two parts. The unit is the mean absolute error of the naive seasonal forecast (the value of a
    week before) on the training part, so that a mean absolute error is a mean absolute scaled error (Hyndman, Koehler
    2006, with that forecast as the yardstick): what is below 1 beats the naive forecast.
    Batches: the past [B, past], what follows it [B, ahead].

    :param part: of the training data; with `training` false it is the test part
    :param past: hours that the model sees
    :param ahead: hours that it is to forecast
    """

    def __init__(
        self,
        batch_size: int = 64,
        shuffle: bool = True,
        part: Literal["training", "validation"] = "training",
        past: int = 2 * WEEK,
        ahead: int = 24,
        training: bool = True,
    ) -> None:
        first, second, last = make_hours(52).split([36 * WEEK, 8 * WEEK, 8 * WEEK])
        series = {"training": first, "validation": second}[part] if training else last
        naive_error = (first[WEEK:] - first[:-WEEK]).abs().mean()
        windows = (series / naive_error).unfold(0, past + ahead, 1)
        super().__init__([windows[:, :past], windows[:, past:]], batch_size, shuffle)


def make_friedman(n: int, part: str) -> tuple[Tensor, Tensor]:
    """Friedman 1 (Friedman 1991): features [n, 10], of which five matter, and numbers [n] with noise of variance 1."""
    draws = generator("Friedman 1", part)
    x = torch.rand(n, 10, generator=draws)
    y = 10 * (math.pi * x[:, 0] * x[:, 1]).sin() + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    return x, y + torch.randn(n, generator=draws)


def draw_shapes(n: int, size: int, part: str) -> tuple[Tensor, Tensor]:
    """Images [n, 1, size, size] of bright shapes on noise, and the class of each pixel, int64 [n, size, size].

    Each of `SHAPES` is in every second image, anywhere, and covers those before it. Class 0 is the background.
    """
    draws = generator("shapes", part)
    images, pixels = torch.zeros(n, size, size), torch.zeros(n, size, size, dtype=torch.int64)
    places = torch.linspace(-1, 1, size)
    for number, covers in enumerate(SHAPES.values(), start=1):
        chance, across, down, radius, brightness = torch.rand(5, n, 1, 1, generator=draws)
        radius = 0.25 + 0.25 * radius
        x = (places - (2 * across - 1) * (1 - radius)) / radius
        y = (places[:, None] - (2 * down - 1) * (1 - radius)) / radius
        covered = covers(x, y) & (chance < 0.5)
        images = torch.where(covered, 0.5 + 0.5 * brightness, images)
        pixels = torch.where(covered, number, pixels)
    images += 0.3 * torch.randn(n, size, size, generator=draws)
    return images[:, None], pixels


def make_hours(weeks: int) -> Tensor:
    """A number an hour that rises slowly, by day and by week, with noise of standard deviation 2: [168 * weeks]."""
    hours = torch.arange(weeks * WEEK)
    day, week = 2 * math.pi * hours / 24, 2 * math.pi * hours / WEEK
    seasons = 10 * day.sin() + 4 * (2 * day).sin() + 6 * week.sin()
    return 50 + 0.002 * hours + seasons + 2 * torch.randn(len(hours), generator=generator("hours"))
