"""What every model of a project may inherit from: `BaseModel`."""

from abc import ABC, abstractmethod
from typing import Any

import torch


class BaseModel(torch.nn.Module, ABC):
    """A module that prints its layers, the shapes of their weights, and how many parameters train."""

    @abstractmethod
    def forward(self, *inputs: Any) -> Any:
        """The model's output for a batch of inputs."""

    def __str__(self) -> str:
        rows = [_row(name or "(model)", module) for name, module in self.named_modules() if _own(module)]
        widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
        lines = [f"  {a:{widths[0]}}  {b:{widths[1]}}  {c:{widths[2]}}  {d:>12}" for a, b, c, d in rows]
        trainable = sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
        return "\n".join([type(self).__name__, *lines, f"Trainable parameters: {trainable:,}"])


def _own(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    return list(module.named_parameters(recurse=False))


def _row(name: str, module: torch.nn.Module) -> tuple[str, str, str, str]:
    shapes = ", ".join(f"{key} {'x'.join(map(str, value.shape)) or '1'}" for key, value in _own(module))
    count = sum(value.numel() for _, value in _own(module))
    return name, type(module).__name__, shapes, f"{count:,}"
