"""The one clock of a run: everything about where it is follows from the number of its step."""

import math
from dataclasses import dataclass
from typing import Any

from utils.errors import ConfigError


@dataclass(frozen=True)
class Clock:
    """Steps, batches and epochs of a run.

    A step is one update attempt from a group of `accumulation` batches; an epoch is `len_epoch` steps. Unless the data
    runs on across epochs (`continuous`), an epoch is one pass and the last group of a pass may be short.
    """

    per_pass: int  # batches
    accumulation: int
    len_epoch: int  # steps
    total_steps: int
    continuous: bool

    @classmethod
    def of(
        cls, per_pass: int, accumulation: int, len_epoch: int | None, epochs: int | None, max_steps: int | None
    ) -> "Clock":
        """The clock of a run over `per_pass` batches a pass that ends with its last epoch or with `max_steps`."""
        if per_pass == 0:
            raise ConfigError(
                "the training data makes no batches: too few samples for batch_size with drop_last, or none"
            )
        continuous = len_epoch is not None or max_steps is not None
        len_epoch = len_epoch or math.ceil(per_pass / accumulation)
        limits = [limit for limit in (epochs and epochs * len_epoch, max_steps) if limit is not None]
        return cls(per_pass, accumulation, len_epoch, min(limits), continuous)

    @classmethod
    def of_run(cls, options: Any, data_loader: Any, len_epoch: int | None = None) -> "Clock":
        """The clock of a run over this loader with the options of a trainer section."""
        if not hasattr(data_loader, "__len__"):
            raise ConfigError(f"a {type(data_loader).__name__} has no length; training counts its batches")
        per_pass, accumulation = len(data_loader), options.accumulation
        len_epoch = len_epoch or options.len_epoch
        if options.limit is not None:
            full = len_epoch or math.ceil(per_pass / accumulation)
            len_epoch = min(full, math.ceil(options.limit / accumulation)) or None
        return cls.of(per_pass, accumulation, len_epoch, options.epochs, options.max_steps)

    @property
    def epochs(self) -> int:
        """How many epochs the run has; the last may be short."""
        return math.ceil(self.total_steps / self.len_epoch)

    def epoch_end(self, epoch: int) -> int:
        """The step count at which epoch `epoch` (from 1) is over."""
        return min(epoch * self.len_epoch, self.total_steps)

    def next_batch(self, step: int) -> int:
        """The number, in the stream, of the first batch of the step after `step` steps."""
        if self.continuous:
            return step * self.accumulation
        epoch, in_epoch = divmod(step, self.len_epoch)
        return epoch * self.per_pass + in_epoch * self.accumulation

    def group_size(self, step: int) -> int:
        """How many batches that step has."""
        return 1 if self.accumulation == 1 else self.next_batch(step + 1) - self.next_batch(step)
