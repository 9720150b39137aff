"""What is known of a run only once its data is built: classes, shapes, sizes, steps."""

from collections.abc import Callable
from typing import Any

import torch

from utils.clock import Clock
from utils.datasets import labels_of, whole_dataset
from utils.plain_loader import as_portions
from utils.seed import kept_generators


def run_facts(data_loader: Any, read_batch: Callable | None, clock: Clock | None = None) -> Callable[[str], Any]:
    """A function from a name that a config may refer to ("data.num_classes") to its value.

    It raises LookupError where the data does not say. A loader, or its dataset, says by attributes: `num_classes` or
    `classes`, `vocabulary_size` or `vocabulary`, `input_shape`.

    :param read_batch: a batch -> (what the model takes, what its output is compared with)
    """
    facts = {
        "data.num_classes": lambda: _num_classes(data_loader),
        "data.input_shape": lambda: _input_shape(data_loader, read_batch),
        "data.n_samples": lambda: getattr(data_loader, "n_samples", None) or len(data_loader.dataset),
        "data.vocabulary_size": lambda: _said(data_loader, "vocabulary_size", "vocabulary"),
        "run.steps_per_epoch": lambda: clock and clock.len_epoch,
        "run.total_steps": lambda: clock and clock.total_steps,
    }

    def value_of(name: str) -> Any:
        value = facts[name]()
        if value is None:
            kind, attribute = type(data_loader).__name__, name.split(".")[1]
            raise LookupError(f"{kind} does not say; give it an attribute {attribute!r}, or write the value here")
        return value

    return value_of


def _num_classes(loader: Any) -> int | None:
    said = _said(loader, "num_classes", "classes")
    if said is not None:
        return said
    labels = labels_of(loader if getattr(loader, "tensors", None) else whole_dataset(loader))
    return None if labels is None else int(labels.max()) + 1


def _input_shape(loader: Any, read_batch: Callable | None) -> list[int] | None:
    said = _said(loader, "input_shape")
    if said is not None:
        return list(said)
    if read_batch is None:
        return None
    with kept_generators():
        data, _ = read_batch(next(as_portions(loader).portions(0)).batch)
    return list(data.shape[1:]) if isinstance(data, torch.Tensor) else None


def _said(loader: Any, number: str, things: str | None = None) -> Any:
    """The number that a loader or its dataset gives under a name, or that of the things it lists."""
    for source in (loader, whole_dataset(loader)):
        if (value := getattr(source, number, None)) is not None:
            return value
        if things is not None and hasattr(listed := getattr(source, things, None), "__len__"):
            return len(listed)  # type: ignore[arg-type]
    return None
