"""How far the epoch is: a bar on a terminal, a plain line now and then elsewhere (with verbosity 2)."""

import logging
import sys
from time import monotonic
from typing import Any

from tqdm import tqdm

from utils import dist

SECONDS_BETWEEN_LINES = 10


class Progress:
    """The progress of one epoch, as a context.

    with Progress(logger, "epoch 3/20", total=23, start=0) as progress:
        progress.advance()                          # one step done
        progress.show({"loss": 0.31})               # values beside the bar
    """

    def __init__(self, logger: logging.Logger, title: str, total: int, start: int = 0) -> None:
        self._logger, self._title, self._total, self._done = logger, title, total, start
        terminal = sys.stderr.isatty() and dist.is_main()
        self._bar: Any = tqdm(
            desc=title, total=total, initial=start, unit="step", leave=False, dynamic_ncols=True, disable=not terminal
        )
        self._due = monotonic() + SECONDS_BETWEEN_LINES
        self._samples, self._asked = 0, (monotonic(), 0)

    def advance(self, samples: int) -> None:
        """One more step is done, over so many samples."""
        self._done += 1
        self._samples += samples
        self._bar.update()

    def show(self, values: dict[str, float]) -> None:
        """Shows values beside the bar; where there is none, as a line when some time has passed."""
        if not self._bar.disable:
            self._bar.set_postfix({name: f"{value:.4g}" for name, value in values.items()}, refresh=False)
        elif monotonic() >= self._due:
            self._due = monotonic() + SECONDS_BETWEEN_LINES
            text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
            self._logger.debug("%s  step %d/%d  %s", self._title, self._done, self._total, text)

    def timing(self) -> dict[str, float]:
        """Seconds, and samples a second, since this was last asked; the most memory taken so far, in MiB."""
        (then, samples), self._asked = self._asked, (monotonic(), self._samples)
        seconds = self._asked[0] - then
        rate = (self._samples - samples) / max(seconds, 1e-9)
        return {"seconds": round(seconds, 6), "samples_per_second": round(rate, 1), "memory_mib": peak_memory()}

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.close()


def peak_memory() -> float:
    """The most memory that this process has taken: on the GPU, if it uses one, else of the machine; in MiB."""
    import torch

    if torch.cuda.is_initialized():
        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:  # Windows
        return 0.0
    return round(getrusage(RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)
