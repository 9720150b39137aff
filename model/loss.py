"""Losses of (output, target) that a config can name; those of `torch.nn.functional` and `torch.nn` need none here."""

import torch.nn.functional as F
from torch import Tensor


def nll_loss(output: Tensor, target: Tensor) -> Tensor:
    """Negative log-likelihood of log-probabilities [B, classes] for class indices [B]."""
    return F.nll_loss(output, target)
