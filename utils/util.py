"""The helpers of the old template under their old names; a project's own helpers may join them."""

import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

from utils.device import prepare_device as prepare_device
from utils.metric_tracker import MetricTracker as MetricTracker


def ensure_dir(dirname: str | Path) -> None:
    """Makes the folder, and those above it, unless it is there."""
    Path(dirname).mkdir(parents=True, exist_ok=True)


def read_json(fname: str | Path) -> Any:
    """The content of a JSON file, objects in the order of the file."""
    return json.loads(Path(fname).read_text(encoding="utf-8"), object_pairs_hook=OrderedDict)


def write_json(content: Any, fname: str | Path) -> None:
    """Writes a JSON file, indented."""
    Path(fname).write_text(json.dumps(content, indent=4), encoding="utf-8")


def inf_loop(data_loader: Iterable) -> Iterator:
    """The batches of a data loader, pass after pass, without end."""
    for loader in repeat(data_loader):
        yield from loader
