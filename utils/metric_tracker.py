"""Sums and counts of named values: their means over all samples, without waiting for the device."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import torch

from utils import dist

MOST_WAITING = 4096  # values, before they are read without anybody asking


class MetricTracker:
    """Means of named values, weighted by the samples behind each.

    Tensors are kept where they are, and read only when a mean is asked for; then all are added up in double precision,
    one after the other, so that it makes no difference when and how often somebody asks:

        tracker = MetricTracker("loss", "accuracy")
        tracker.update("loss", loss, n=len(target))
        tracker.result()                              # {"loss": 0.21, "accuracy": 0.0}

    :param writer: if given, every update is also written to it as a scalar
    """

    def __init__(self, *keys: str, writer: Any = None) -> None:
        self.writer = writer
        self._begin_with(keys)

    def _begin_with(self, names: Iterable[str]) -> None:
        # sums and counts before the current window, and within it: an infinite value leaves with its window
        self._totals, self._counts = _zeros(names), _zeros(names)
        self._recent_totals, self._recent_counts = _zeros(self._totals), _zeros(self._totals)
        self._waiting: dict[str, list[tuple[Any, float]]] = {name: [] for name in self._totals}
        self._values: dict[str, list[float]] = {name: [] for name in self._totals}  # of the window, one by one
        self._is_over = False  # the window that they are of

    def reset(self) -> None:
        """Forgets all values, keeps the names."""
        self._begin_with(list(self._totals))

    def update(self, key: str, value: Any, n: float = 1) -> None:
        """Adds `value`, the mean over `n` samples; waits for nothing."""
        if self.writer is not None:
            self.writer.add_scalar(key, value)
        # a copy: what a metric gives may be its own, and change
        self.add(key, value.detach().clone() if isinstance(value, torch.Tensor) else value, n)

    def add(self, key: str, value: Any, n: float) -> None:
        """As `update`, of a value outside any graph that nobody will change."""
        if key not in self._waiting:
            for cells in (self._totals, self._counts, self._recent_totals, self._recent_counts):
                cells[key] = 0
            self._waiting[key], self._values[key] = [], []
        waiting = self._waiting[key]
        waiting.append((value, n))
        if len(waiting) >= MOST_WAITING:
            self._add_up()

    def _add_up(self) -> None:
        """Takes in what waits: the one place where the device is waited for."""
        for key, waiting in self._waiting.items():
            if not waiting:
                continue
            if self._is_over:
                self._values, self._is_over = {name: [] for name in self._totals}, False
            if all(isinstance(value, torch.Tensor) and value.dim() == 0 for value, _ in waiting):
                values = torch.stack([value for value, _ in waiting]).tolist()
            else:
                values = [float(value) for value, _ in waiting]
            for value, (_, n) in zip(values, waiting):
                self._recent_totals[key] += value * n
                self._recent_counts[key] += n
            self._values[key] += values
            waiting.clear()

    def avg(self, key: str) -> float:
        """The mean of one value so far; 0 before the first update."""
        count = self.count(key)
        return float(self._totals[key] + self._recent_totals[key]) / count if count else 0.0

    def count(self, key: str) -> float:
        """How many samples stand behind one value."""
        self._add_up()
        return self._counts[key] + self._recent_counts[key]

    def values(self, key: str) -> list[float]:
        """What was added in the current window, or, where nothing has been since, in the one before."""
        self._add_up()
        return self._values[key]

    def result(self) -> dict[str, float]:
        """The mean of every value so far, as Python numbers."""
        return {key: self.avg(key) for key in self._totals}

    def recent(self, device: torch.device) -> dict[str, float]:
        """The means over what all processes added since the last call, if anything; every rank must call it."""
        totals, counts = dist.sum_over_ranks(self.sums(device))[2:].tolist()
        for key in self._totals:
            self._totals[key] += self._recent_totals[key]
            self._counts[key] += self._recent_counts[key]
        self._recent_totals, self._recent_counts, self._is_over = _zeros(self._totals), _zeros(self._totals), True
        return {key: total / n for key, total, n in zip(self._totals, totals, counts) if n}

    def sums(self, device: torch.device) -> torch.Tensor:
        """Totals and counts before the current window and within it, as one tensor: float64 [4, names]."""
        self._add_up()
        rows = [self._totals, self._counts, self._recent_totals, self._recent_counts]
        precision = torch.float32 if device.type == "mps" else torch.float64
        return torch.tensor([[row[key] for key in self._totals] for row in rows], dtype=precision, device=device)

    @property
    def names(self) -> list[str]:
        """Of the values, in the order of their sums."""
        return list(self._totals)

    def load_sums(self, sums: torch.Tensor, names: list[str]) -> None:
        """Takes back what `sums` gave, under the names they had; what has another name begins anew."""
        self._begin_with(dict.fromkeys([*self._totals, *names]))
        rows: list[dict[str, Any]] = [_zeros(self._totals) | dict(zip(names, row)) for row in sums.tolist()]
        self._totals, self._counts, self._recent_totals, self._recent_counts = rows

    def over_ranks(self, device: torch.device) -> "MetricTracker":
        """The tracker of all processes together; every rank must call it."""
        if dist.world_size() == 1:
            return self
        whole = MetricTracker(*self._totals)
        whole.load_sums(dist.sum_over_ranks(self.sums(device)), self.names)
        return whole

    @property
    def _data(self) -> Any:
        """The columns `total`, `counts`, `average` by name, with an `index`, as older projects read them."""
        self._add_up()
        return SimpleNamespace(
            index=_Index(self._totals),
            total={key: float(total + self._recent_totals[key]) for key, total in self._totals.items()},
            counts={key: count + self._recent_counts[key] for key, count in self._counts.items()},
            average=self.result(),
        )


class _Index:
    """The names of a tracker, with `.values` as in a data frame."""

    def __init__(self, names: Any) -> None:
        self.values = list(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.values)

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def __len__(self) -> int:
        return len(self.values)


def _zeros(names: Iterable[str]) -> dict[str, Any]:
    return dict.fromkeys(names, 0)
