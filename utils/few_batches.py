"""A few batches instead of all: the same ones over and over, or only the first of each pass."""

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

from utils.batch_order import Portion


def few_batches(loader: Any, valid_loader: Any, options: Any) -> tuple[Any, Any]:
    """The loaders of training and validation as `--overfit` and `--limit` want them (None: no validation)."""
    if options.overfit is not None:
        same = SameBatches(loader, options.overfit)
        return same, same
    if options.limit is not None and valid_loader is not None:
        return loader, FirstBatches(valid_loader, options.limit)
    return loader, valid_loader


class SameBatches:
    """The first `n` batches of a loader's stream, over and over, for training and for evaluation alike."""

    def __init__(self, loader: Any, n: int) -> None:
        self.loader, self.n = loader, n

    def portions(self, start: int = 0) -> Iterator[Portion]:
        """This process's share of batch `start % n` and of those behind it, without end."""
        kept = self._kept()
        return islice(cycle(kept), start % len(kept), None)

    def one_pass(self) -> Iterator[Portion]:
        """Each of them once, without the empty shares."""
        return (portion for portion in self._kept() if portion.n > 0)

    def _kept(self) -> list[Portion]:
        return list(islice(self.loader.portions(0), min(self.n, len(self.loader))))


class FirstBatches:
    """The first `n` batches of each pass of a loader, for evaluation."""

    def __init__(self, loader: Any, n: int) -> None:
        self.loader, self.n = loader, n

    def one_pass(self) -> Iterator[Portion]:
        """One pass, the same each time."""
        return islice(self.loader.one_pass(), self.n)
