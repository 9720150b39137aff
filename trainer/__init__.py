"""The training loop; its classes are imported when they are asked for. One of your own file is imported here."""

from importlib import import_module
from typing import Any

__all__ = ["Trainer"]


def __getattr__(name: str) -> Any:
    module = import_module("trainer.trainer") if not name.startswith("__") else None
    if hasattr(module, name):
        return getattr(module, name)
    raise AttributeError(f"module 'trainer' has no attribute {name!r}")


def __dir__() -> list[str]:
    return dir(import_module("trainer.trainer"))
