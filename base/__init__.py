"""What a project inherits from. The classes are imported when they are asked for, so that options need no torch."""

from importlib import import_module
from typing import Any

__all__ = ["BaseDataLoader", "BaseModel", "BaseTrainer", "TensorDataLoader"]

_FILES = {
    "BaseDataLoader": "base.base_data_loader",
    "TensorDataLoader": "base.base_data_loader",
    "BaseModel": "base.base_model",
    "BaseTrainer": "base.base_trainer",
}


def __getattr__(name: str) -> Any:
    if name in _FILES:
        return getattr(import_module(_FILES[name]), name)
    raise AttributeError(f"module 'base' has no attribute {name!r}")
