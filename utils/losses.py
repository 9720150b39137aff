"""Several losses as one."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


class WeightedLosses(nn.Module):
    """The sum of several losses of (output, target), each times its weight.

    What each gave last, without its weight, stands in `parts` by name, for the log.
    """

    def __init__(self, losses: Sequence[Any], weights: Sequence[float]) -> None:
        super().__init__()
        self.losses = {loss.__name__: (loss, weight) for loss, weight in zip(losses, weights, strict=True)}
        self.modules_among = nn.ModuleList(loss for loss in losses if isinstance(loss, nn.Module))
        self.parts: dict[str, Tensor] = {}

    def forward(self, output: Any, target: Any) -> Tensor:
        total: Any = 0
        for name, (loss, weight) in self.losses.items():
            value = loss(output, target)
            self.parts[name] = value.detach()
            total = total + weight * value
        return total


def one_loss(losses: Sequence[Any], parts: Sequence[Any], device: torch.device) -> Any:
    """The loss on the device: with `parts` of a config ({"type": ..., "weight": ...}) the weighted sum of all."""
    weights = [part.get("weight", 1.0) if isinstance(part, dict) else 1.0 for part in parts]
    loss = WeightedLosses(losses, weights) if parts else losses[0]
    return loss.to(device) if isinstance(loss, nn.Module) else loss


def part_names(criterion: Any) -> tuple[str, ...]:
    """The names under which a loss has parts in the log."""
    return tuple(criterion.losses) if isinstance(criterion, WeightedLosses) else ()
