"""Made data and a small model, of any size: what `steps.py` and `growth.py` train."""

from typing import Any

import torch

import data_loader.data_loaders as module_data
import model.model as module_arch
from base import TensorDataLoader


class MadeDataLoader(TensorDataLoader):
    """Rows of noise, and the sign of their sum as classes 0 and 1.

    :param n: how many
    :param features: numbers a row
    """

    def __init__(self, n: int, features: int, batch_size: int, validation_split: float = 0.0) -> None:
        rows = torch.randn(n, features, generator=torch.Generator().manual_seed(0))
        super().__init__([rows, (rows.sum(1) > 0).long()], batch_size, validation_split=validation_split)


class MadeModel(torch.nn.Module):
    """Linear layers of a width with ReLU between them; width 0 is one layer from the features to the classes."""

    def __init__(self, features: int, width: int = 0) -> None:
        super().__init__()
        linear, relu = torch.nn.Linear, torch.nn.ReLU()
        if width == 0:
            self.layers: torch.nn.Module = linear(features, 2)
        else:
            hidden = linear(features, width), relu, linear(width, width), relu
            self.layers = torch.nn.Sequential(*hidden, linear(width, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows [n, features] -> scores [n, 2]."""
        return self.layers(x)


def offer() -> None:
    """Lets a config name the classes of this file, as if they stood in model/ and data_loader/."""
    for kind, module in ((MadeModel, module_arch), (MadeDataLoader, module_data)):
        kind.__module__ = module.__name__
        setattr(module, kind.__name__, kind)


def job(n: int, features: int, width: int, batch_size: int, validation_split: float = 0.0) -> dict[str, Any]:
    """A config that trains one on the other."""
    data = {"n": n, "features": features, "batch_size": batch_size, "validation_split": validation_split}
    return {
        "name": "Made",
        "arch": {"type": "MadeModel", "args": {"features": features, "width": width}},
        "data_loader": {"type": "MadeDataLoader", "args": data},
        "optimizer": {"type": "SGD", "args": {"lr": 0.01}},
        "loss": "cross_entropy",
        "metrics": [],
        "trainer": {"epochs": 1, "monitor": "off", "tensorboard": False, "verbosity": 0, "threads": 1},
    }
