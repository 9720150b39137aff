"""Metrics that a config can name.

A function (output, target) gives the mean over the batch, as a tensor: `.item()` would wait for the device. What is no
mean over samples (F1, R^2) is a class with `update(output, target)`, `compute()` and `reset()`, as in torchmetrics;
`MetricOfSums` has all three for what can be computed from sums.
"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor

from utils import dist


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The part of the samples, or pixels, whose highest score [B, classes, ...] is that of their class [B, ...]."""
    return (output.argmax(dim=1) == _classes(target)).float().mean()


def top_k_acc(output: Tensor, target: Tensor, k: int = 3) -> Tensor:
    """The part of the samples whose class [B] is among the k highest scores [B, classes]."""
    return (output.topk(k, dim=1).indices == _classes(target)[:, None]).any(dim=1).float().mean()


def subset_accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The part of the samples whose labels are all right: scores [B, labels], above 0 for yes; labels 0 or 1."""
    return ((output > 0) == (target > 0)).all(dim=1).float().mean()


class MetricOfSums(ABC):
    """A metric of all samples, on all processes, that is computed from sums over them.

    A subclass gives `sums`, what a batch adds, and `value`, what the sums of all batches mean.
    """

    def __init__(self) -> None:
        self.reset()

    @abstractmethod
    def sums(self, output: Tensor, target: Tensor) -> Tensor:
        """The sums over the samples of a batch, always of the same shape."""

    @abstractmethod
    def value(self, sums: Tensor) -> Tensor:
        """The metric, from the sums over all samples."""

    def reset(self) -> None:
        """Begins anew."""
        self.total: Tensor | None = None

    def update(self, output: Tensor, target: Tensor) -> None:
        """Adds a batch; waits for nothing."""
        sums = _precise(self.sums(output, target))
        self.total = sums if self.total is None else self.total.to(sums.device) + sums

    def compute(self) -> Tensor:
        """The metric of all samples so far, NaN before the first; every rank must call it."""
        totals = dist.gather_objects(None if self.total is None else self.total.cpu())
        seen = [total for total in totals if total is not None]
        return self.value(torch.stack(seen).sum(dim=0)) if seen else torch.tensor(torch.nan)


class R2Score(MetricOfSums):
    """The coefficient of determination of numbers of any shape: 1 is perfect, 0 what their mean would give."""

    def sums(self, output: Tensor, target: Tensor) -> Tensor:
        output, target = _precise(output), _precise(target)
        parts = (torch.ones_like(target), target, target**2, (target - output) ** 2)
        return torch.stack([part.sum() for part in parts])

    def value(self, sums: Tensor) -> Tensor:
        n, total, squares, errors = sums
        return 1 - errors / (squares - total**2 / n)


class MultilabelF1(MetricOfSums):
    """The harmonic mean of precision and recall: scores [B, labels], above 0 for yes; labels 0 or 1.

    :param average: "micro": of all labels together; "macro": the mean over the labels of each one's own, without those
        that are nowhere and nowhere found
    """

    def __init__(self, average: Literal["micro", "macro"] = "micro") -> None:
        super().__init__()
        self.average = average

    def sums(self, output: Tensor, target: Tensor) -> Tensor:
        found, there = output > 0, target > 0
        return torch.stack([(found & there).sum(dim=0), found.sum(dim=0) + there.sum(dim=0)])

    def value(self, sums: Tensor) -> Tensor:
        return _f1(*(sums.sum(dim=1) if self.average == "micro" else sums))


class MacroF1(MetricOfSums):
    """The mean over the classes of their F1 = 2 TP / (2 TP + FP + FN), so that a rare class counts as much as any.

    Scores [B, classes], classes [B]. Without the classes that are nowhere and nowhere found.
    """

    def sums(self, output: Tensor, target: Tensor) -> Tensor:
        classes = torch.arange(output.shape[1], device=output.device)[:, None]
        found, there = output.argmax(dim=1) == classes, _classes(target) == classes
        return torch.stack([(found & there).sum(dim=1), found.sum(dim=1) + there.sum(dim=1)])

    def value(self, sums: Tensor) -> Tensor:
        return _f1(*sums)


class MeanIoU(MetricOfSums):
    """How well areas agree: the pixels that are of a class and found to be, by those that are one or the other.

    Scores [B, classes, H, W], classes [B, H, W]. The mean over the classes, without those that are nowhere and nowhere
    found.
    """

    def sums(self, output: Tensor, target: Tensor) -> Tensor:
        classes = torch.arange(output.shape[1], device=output.device).view(-1, 1, 1, 1)
        found, there = output.argmax(dim=1) == classes, target == classes
        return torch.stack([(found & there).sum(dim=(1, 2, 3)), (found | there).sum(dim=(1, 2, 3))])

    def value(self, sums: Tensor) -> Tensor:
        both, either = sums
        return (both / either)[either > 0].mean()


class ConfusionMatrix(MetricOfSums):
    """How many samples of each class (row) are taken for each class (column): a picture in TensorBoard.

    Scores [B, classes], classes [B].
    """

    def sums(self, output: Tensor, target: Tensor) -> Tensor:
        n = output.shape[1]
        return torch.bincount(_classes(target) * n + output.argmax(dim=1), minlength=n * n).view(n, n)

    def value(self, sums: Tensor) -> Tensor:
        return sums


def _f1(right: Tensor, found_and_there: Tensor) -> Tensor:
    """The mean of 2 TP / (2 TP + FP + FN) over those that are there or found."""
    return (2 * right / found_and_there)[found_and_there > 0].mean()


def _classes(target: Tensor) -> Tensor:
    """The classes of a target; of shares [B, classes], as mixup gives them, those of the largest."""
    return target.argmax(dim=1) if target.is_floating_point() else target


def _precise(values: Tensor) -> Tensor:
    """In double precision, where the device has it."""
    return values.float() if values.device.type == "mps" else values.double()
