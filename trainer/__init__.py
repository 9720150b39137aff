"""The training loop. `Trainer` is imported when it is asked for."""

from importlib import import_module
from typing import Any

__all__ = ["Trainer"]


def __getattr__(name: str) -> Any:
    if name == "__all__" or name.startswith("__"):
        raise AttributeError(name)
    module = import_module("trainer.trainer")
    if hasattr(module, name):
        return getattr(module, name)
    raise AttributeError(f"module 'trainer' has no attribute {name!r}")
