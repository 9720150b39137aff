"""TensorBoard: every method of its SummaryWriter, with the step and the mode filled in."""

import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

WITHOUT_MODE = ("add_histogram", "add_embedding", "add_graph", "add_hparams")
WITHOUT_STEP = ("add_graph", "add_hparams", "add_custom_scalars", "add_mesh")


class TensorboardWriter:
    """A SummaryWriter that knows where training is; off, it takes the same calls and writes nothing.

        writer.set_step(120, "valid")
        writer.add_scalar("loss", 0.3)              # tag loss/valid at step 120

    :param log_dir: the folder, or a function that gives it when the first point is written
    """

    def __init__(self, log_dir: Path | str | Callable[[], Path], logger: logging.Logger, enabled: bool) -> None:
        self._log_dir = log_dir
        self._logger = logger
        self._enabled = bool(enabled)
        self._writer: Any = None
        self.purge_step: int | None = None  # points from this step on belong to a broken run and are dropped
        self.step = 0
        self.mode = ""
        self._timer = monotonic()

    @property
    def writer(self) -> Any:
        """The SummaryWriter itself, opened at first use; None when off."""
        if self._writer is None and self._enabled:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                self._logger.warning(
                    "trainer.tensorboard is on, but tensorboard is not installed: pip install tensorboard"
                )
                self._enabled = False
                return None
            folder = self._log_dir() if callable(self._log_dir) else self._log_dir
            self._writer = SummaryWriter(str(folder), purge_step=self.purge_step)
        return self._writer

    def set_step(self, step: int, mode: str = "train") -> None:
        """What is added from here on belongs to this step and mode."""
        now = monotonic()
        if step != 0 and now > self._timer:
            self.mode, self.step = mode, step
            self.add_scalar("steps_per_sec", 1 / (now - self._timer))
        self.mode, self.step, self._timer = mode, step, now

    def scalars(self, values: dict[str, float], step: int) -> None:
        """One point each, under the tags as they are."""
        if self.writer is not None:
            for tag, value in values.items():
                self.writer.add_scalar(tag, value, step)

    def close(self) -> None:
        """Writes what is still buffered."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("add_"):
            raise AttributeError(f"TensorboardWriter has no attribute {name!r}")
        writer = self.writer
        if writer is None:
            return lambda *arguments, **keywords: None
        add = getattr(writer, name)

        def with_step(tag: Any, *arguments: Any, **keywords: Any) -> Any:
            if isinstance(tag, str) and name not in WITHOUT_MODE and self.mode:
                tag = f"{tag}/{self.mode}"
            if name not in WITHOUT_STEP and len(arguments) < 2:
                keywords.setdefault("global_step", self.step)
            return add(tag, *arguments, **keywords)

        return with_step
