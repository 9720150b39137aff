"""One mechanism a file.

The old template's names (`from utils import MetricTracker`) come from `utils.util`, when they are asked for.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["MetricTracker", "ensure_dir", "inf_loop", "prepare_device", "read_json", "write_json"]


def __getattr__(name: str) -> Any:
    if not find_spec(f"utils.{name}"):  # a module of this folder is for the import system to load
        util = import_module("utils.util")
        if hasattr(util, name):
            return getattr(util, name)
    raise AttributeError(f"module 'utils' has no attribute {name!r}")
