"""Metrics that a config can name.

A function (output, target) gives the mean over the batch, as a tensor: `.item()` would wait for the device. What is no
mean over samples (F1, AUROC) is a class with `update(output, target)`, `compute()` and `reset()`, as in torchmetrics.
"""

from torch import Tensor


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """The part of the samples whose highest score [B, classes] is that of their class [B]."""
    return (output.argmax(dim=1) == _classes(target)).float().mean()


def top_k_acc(output: Tensor, target: Tensor, k: int = 3) -> Tensor:
    """The part of the samples whose class [B] is among the k highest scores [B, classes]."""
    return (output.topk(k, dim=1).indices == _classes(target)[:, None]).any(dim=1).float().mean()


def _classes(target: Tensor) -> Tensor:
    """The classes of a target; of shares [B, classes], as mixup gives them, those of the largest."""
    return target.argmax(dim=1) if target.is_floating_point() else target
