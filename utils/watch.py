"""Where the time of a run goes: in plain words always, and step by step where a profile is asked for."""

import logging
from time import perf_counter
from typing import Any

from utils.cores import usable_cores

FIRST_VERDICT = 60.0  # seconds after which it is known well enough to say
MUCH = 0.25  # of the time
WAIT, WARM_UP, STEPS = 10, 2, 6  # of a profile: steps before, steps traced but not kept, steps kept


class Watch:
    """Adds up the time that parts of a run take, and says so after the first minute and at the end.

    with watch:                                     # the run
        with watch["waiting for data"]:
            batch = next(batches)
        watch.step()

    :param loader: of the training data: what to change where the time is spent waiting for it depends on it
    :param profile_to: a config, whose log folder gets a trace of some of the first steps; None: no trace
    """

    def __init__(self, logger: logging.Logger, loader: Any, profile_to: Any = None) -> None:
        self._logger, self._loader, self._profile_to = logger, loader, profile_to
        self._parts: dict[str, _Part] = {}
        self._began, self._told = perf_counter(), False
        self._profile: Any = None

    def __getitem__(self, name: str) -> "_Part":
        part = self._parts.get(name)
        if part is None:
            part = self._parts[name] = _Part()
        return part

    def __enter__(self) -> None:
        self._began = perf_counter()

    def step(self) -> None:
        """A step is done."""
        if self._profile_to is not None:
            self._trace()
        if not self._told and perf_counter() - self._began > FIRST_VERDICT:
            self._told = True
            self._logger.info(self.verdict())

    def __exit__(self, kind: Any, *exception: object) -> None:
        if self._profile is not None:
            self._profile.stop()
        if kind is None:
            self._logger.info(self.verdict())

    def verdict(self) -> str:
        """A line such as "In 61 s: computing 80%, waiting for data 15%", and what to do about waiting."""
        total = max(perf_counter() - self._began, 1e-9)
        shares = {name: part.seconds / total for name, part in self._parts.items()}
        waits = shares.get("waiting for data", 0.0)
        shares = {"computing": max(0.0, 1 - sum(shares.values())), **shares}
        listed = sorted(shares.items(), key=lambda item: -item[1])
        line = f"In {total:.0f} s: " + ", ".join(f"{name} {share:.0%}" for name, share in listed if share >= 0.005)
        return f"{line}. {advice_for(self._loader, usable_cores())}" if waits >= MUCH else line

    def _trace(self) -> None:
        from torch import profiler

        if self._profile is None:
            self._profile = profiler.profile(
                schedule=profiler.schedule(wait=WAIT, warmup=WARM_UP, active=STEPS, repeat=1),
                on_trace_ready=profiler.tensorboard_trace_handler(str(self._profile_to.log_dir)),
                record_shapes=True,
            )
            self._profile.start()
        self._profile.step()


class _Part:
    """One part: a context that may be entered again and again."""

    def __init__(self) -> None:
        self.seconds, self._since = 0.0, 0.0

    def __enter__(self) -> None:
        self._since = perf_counter()

    def __exit__(self, *exception: object) -> None:
        self.seconds += perf_counter() - self._since


def advice_for(loader: Any, cores: int) -> str:
    """What to write in the config of a run that waits for its data."""
    workers = getattr(loader, "num_workers", 0)
    if getattr(loader, "tensors", None) is not None:
        return "The data is in memory already: a simpler augmentation, or a larger batch_size, makes it faster"
    if workers < cores:
        more = min(cores, max(2, 2 * workers))
        return f'Load with more processes: "data_loader": {{"args": {{"num_workers": {more}}}}}'
    if hasattr(loader, "cache"):
        return 'Decode the images only once: "data_loader": {"args": {"cache": "disk"}}'
    return "All cores load already: make __getitem__ cheaper, or keep its result in files that need no decoding"
