"""Metrics that a config can name.

A function (output, target) gives the mean over the batch, as a tensor: `.item()` would wait for the device. What is no
mean over samples (F1, AUROC) is a class with `update(output, target)`, `compute()` and `reset()`, as in torchmetrics.
"""

import torch
from torch import Tensor


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The part of the samples whose highest score [B, classes] is that of their class [B]."""
    return (output.argmax(dim=1) == target).float().mean()


def top_k_acc(output: Tensor, target: Tensor, k: int = 3) -> Tensor:
    """The part of the samples whose class [B] is among the k highest scores [B, classes]."""
    return (output.topk(k, dim=1).indices == target[:, None]).any(dim=1).float().mean()


class MacroF1:
    """The mean over the classes of their F1 = 2 TP / (2 TP + FP + FN), so that a rare class counts as much as any.

    Of scores [B, classes] and classes [B]. A class that neither occurs nor is predicted does not count.
    """

    def __init__(self, num_classes: int) -> None:
        self.counts = torch.zeros(3, num_classes, dtype=torch.int64)  # right, predicted, occurring

    def update(self, output: Tensor, target: Tensor) -> None:
        predicted = output.argmax(dim=1)
        self.counts = self.counts.to(output.device)
        for row, classes in zip(self.counts, (target[predicted == target], predicted, target)):
            row += classes.bincount(minlength=len(row))

    def compute(self) -> float:
        right, predicted, occurring = self.counts
        counted = predicted + occurring > 0
        return float((2 * right[counted] / (predicted + occurring)[counted]).mean())

    def reset(self) -> None:
        self.counts.zero_()
