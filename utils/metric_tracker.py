"""Sums and counts of named values: their means over all samples, without waiting for the device."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import torch

from utils import dist


class MetricTracker:
    """Means of named values, weighted by the samples behind each.

    Tensors are summed where they are, in double precision, and read only when a mean is asked for:

        tracker = MetricTracker("loss", "accuracy")
        tracker.update("loss", loss, n=len(target))
        tracker.result()                              # {"loss": 0.21, "accuracy": 0.0}

    :param writer: if given, every update is also written to it as a scalar
    """

    def __init__(self, *keys: str, writer: Any = None) -> None:
        self.writer = writer
        # sums and counts before the current window, and within it: an infinite value leaves with its window
        self._totals, self._counts = _zeros(keys), _zeros(keys)
        self._recent_totals, self._recent_counts = _zeros(keys), _zeros(keys)

    def reset(self) -> None:
        """Forgets all values, keeps the names."""
        names = list(self._totals)
        self._totals, self._counts = _zeros(names), _zeros(names)
        self._recent_totals, self._recent_counts = _zeros(names), _zeros(names)

    def update(self, key: str, value: Any, n: float = 1) -> None:
        """Adds `value`, the mean over `n` samples."""
        if self.writer is not None:
            self.writer.add_scalar(key, value)
        if isinstance(value, torch.Tensor):
            precision = torch.float32 if value.device.type == "mps" else torch.float64
            value = value.detach().to(precision)
        self._totals.setdefault(key, 0.0)
        self._counts.setdefault(key, 0)
        self._recent_totals[key] = self._recent_totals.get(key, 0.0) + value * n
        self._recent_counts[key] = self._recent_counts.get(key, 0) + n

    def avg(self, key: str) -> float:
        """The mean of one value so far; 0 before the first update."""
        count = self.count(key)
        return float(self._totals[key] + self._recent_totals.get(key, 0.0)) / count if count else 0.0

    def window(self, key: str) -> Any:
        """The sum of one value since `recent` was last asked; a tensor stays where it is."""
        return self._recent_totals.get(key, 0.0)

    def count(self, key: str) -> float:
        """How many samples stand behind one value."""
        return self._counts[key] + self._recent_counts.get(key, 0)

    def result(self) -> dict[str, float]:
        """The mean of every value so far, as Python numbers."""
        return {key: self.avg(key) for key in self._totals}

    def recent(self, device: torch.device) -> dict[str, float]:
        """The means over what all processes added since the last call, if anything; every rank must call it."""
        totals, counts = dist.sum_over_ranks(self.sums(device))[2:].tolist()
        for key in self._totals:
            self._totals[key] = self._totals[key] + self._recent_totals.get(key, 0.0)
            self._counts[key] += self._recent_counts.get(key, 0)
        self._recent_totals, self._recent_counts = _zeros(self._totals), _zeros(self._totals)
        return {key: total / n for key, total, n in zip(self._totals, totals, counts) if n}

    def sums(self, device: torch.device) -> torch.Tensor:
        """Totals and counts before the current window and within it, as one tensor: float64 [4, names]."""
        rows: list[dict[str, Any]] = [self._totals, self._counts, self._recent_totals, self._recent_counts]
        precision = torch.float32 if device.type == "mps" else torch.float64
        cells = [
            torch.as_tensor(row.get(key, 0.0), dtype=precision, device=device) for row in rows for key in self._totals
        ]
        return torch.stack(cells).view(4, -1) if cells else torch.zeros(4, 0)

    def load_sums(self, sums: torch.Tensor) -> None:
        """Takes back what `sums` gave."""
        rows: list[dict[str, Any]] = [dict(zip(self._totals, row)) for row in sums.tolist()]
        self._totals, self._counts, self._recent_totals, self._recent_counts = rows

    def over_ranks(self, device: torch.device) -> "MetricTracker":
        """The tracker of all processes together; every rank must call it."""
        if dist.world_size() == 1:
            return self
        whole = MetricTracker(*self._totals)
        whole.load_sums(dist.sum_over_ranks(self.sums(device)))
        return whole

    @property
    def _data(self) -> Any:
        """The columns `total`, `counts`, `average` by name, with an `index`, as older projects read them."""
        return SimpleNamespace(
            index=_Index(self._totals),
            total={key: float(total + self._recent_totals.get(key, 0.0)) for key, total in self._totals.items()},
            counts={key: count + self._recent_counts.get(key, 0) for key, count in self._counts.items()},
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
