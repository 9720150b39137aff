"""Losses of (output, target) that a config can name; those of `torch.nn.functional` and `torch.nn` need none here."""

import torch.nn.functional as F
from torch import Tensor


def nll_loss(output: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of log-probabilities [B, classes] for class indices [B]."""
    return F.nll_loss(output, target)


def pixel_cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of scores [B, classes, H, W] for the class of each pixel [B, H, W], the mean over all pixels.

    `cross_entropy` is the same, but adds up images on a GPU in an order that differs from run to run.
    """
    return F.cross_entropy(output, target, reduction="none").mean()
