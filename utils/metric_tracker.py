"""Sums and counts of named values: their means over all samples, without waiting for the device."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import torch

from utils import dist

Total = float | torch.Tensor


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
        self._totals: dict[str, Total] = dict.fromkeys(keys, 0.0)
        self._counts: dict[str, float] = dict.fromkeys(keys, 0)
        self._marked_totals: dict[str, Total] = {}
        self._marked_counts: dict[str, float] = {}

    def reset(self) -> None:
        """Forgets all values, keeps the names."""
        self._totals = dict.fromkeys(self._totals, 0.0)
        self._counts = dict.fromkeys(self._counts, 0)
        self._marked_totals, self._marked_counts = {}, {}

    def update(self, key: str, value: Any, n: float = 1) -> None:
        """Adds `value`, the mean over `n` samples."""
        if self.writer is not None:
            self.writer.add_scalar(key, value)
        if isinstance(value, torch.Tensor):
            precision = torch.float32 if value.device.type == "mps" else torch.float64
            value = value.detach().to(precision)
        self._totals[key] = self._totals.get(key, 0.0) + value * n
        self._counts[key] = self._counts.get(key, 0) + n

    def avg(self, key: str) -> float:
        """The mean of one value so far; 0 before the first update."""
        return float(self._totals[key]) / self._counts[key] if self._counts[key] else 0.0

    def result(self) -> dict[str, float]:
        """The mean of every value so far, as Python numbers."""
        return {key: self.avg(key) for key in self._totals}

    def sums(self, device: torch.device) -> torch.Tensor:
        """Totals and counts, and both as they were at the last `recent`, as one tensor: float64 [4, names]."""
        rows: list[dict[str, Any]] = [self._totals, self._counts, self._marked_totals, self._marked_counts]
        precision = torch.float32 if device.type == "mps" else torch.float64
        cells = [
            torch.as_tensor(row.get(key, 0.0), dtype=precision, device=device) for row in rows for key in self._totals
        ]
        return torch.stack(cells).view(4, -1) if cells else torch.zeros(4, 0)

    def load_sums(self, sums: torch.Tensor) -> None:
        """Takes back what `sums` gave."""
        rows = [dict(zip(self._totals, row)) for row in sums.tolist()]
        self._totals, self._counts, self._marked_totals, self._marked_counts = rows

    def over_ranks(self, device: torch.device) -> "MetricTracker":
        """The tracker of all processes together; every rank must call it."""
        if dist.world_size() == 1:
            return self
        whole = MetricTracker(*self._totals)
        whole.load_sums(dist.sum_over_ranks(self.sums(device)))
        return whole

    def recent(self, device: torch.device) -> dict[str, float]:
        """The means over what all processes added since the last call; every rank must call it."""
        totals, counts, old_totals, old_counts = dist.sum_over_ranks(self.sums(device)).tolist()
        self._marked_totals, self._marked_counts = dict(self._totals), dict(self._counts)
        columns = zip(self._totals, totals, counts, old_totals, old_counts)
        return {key: (new - old) / (n - m) if n > m else 0.0 for key, new, n, old, m in columns}

    @property
    def _data(self) -> Any:
        """The columns `total`, `counts`, `average` by name, with an `index`, as older projects read them."""
        return SimpleNamespace(
            index=_Index(self._totals),
            total={key: float(total) for key, total in self._totals.items()},
            counts=dict(self._counts),
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
