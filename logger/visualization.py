"""TensorBoard: every method of its SummaryWriter, with the step and the mode filled in."""

import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from logger.metrics_log import is_matrix

WITHOUT_MODE = ("add_histogram", "add_embedding", "add_graph", "add_hparams")


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
            self.purge_step = None  # what this session writes from here on stays
        return self._writer

    def set_step(self, step: int, mode: str = "train") -> None:
        """What is added from here on belongs to this step and mode."""
        now = monotonic()
        if step != 0 and now > self._timer:
            self.mode, self.step = mode, step
            self.add_scalar("steps_per_sec", 1 / (now - self._timer))
        self.mode, self.step, self._timer = mode, step, now

    def add_row(self, kind: str, values: dict[str, Any], step: int) -> None:
        """One point for each number in a row of the log, a picture for each matrix, under the tag kind/name."""
        if self.writer is None:
            return
        from tensorboard.compat.proto.summary_pb2 import Summary

        for name, value in values.items():
            if is_matrix(value):
                self.writer.add_image(f"{kind}/{name}", _picture(value), step)
        numbers = {name: float(value) for name, value in values.items() if isinstance(value, (int, float))}
        points = [Summary.Value(tag=f"{kind}/{name}", simple_value=value) for name, value in numbers.items()]
        self.writer.file_writer.add_summary(Summary(value=points), step)  # one event: add_scalar takes 60 us a number

    def add_batch(self, tag: str, images: Any, step: int) -> None:
        """At most 32 images of a batch [B, 1 or 3, H, W] as a grid, stretched to the range of grey values."""
        if self.writer is not None and getattr(images, "ndim", 0) == 4 and images.shape[1] in (1, 3):
            images = images[:32].detach().float().cpu()
            images = (images - images.min()) / (images.max() - images.min()).clamp(min=1e-9)
            self.writer.add_images(tag, images, step)

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
        signature = inspect.signature(add)

        def with_step(*arguments: Any, **keywords: Any) -> Any:
            given = signature.bind(*arguments, **keywords).arguments
            tag = next((key for key in ("tag", "main_tag") if isinstance(given.get(key), str)), None)
            if tag is not None and name not in WITHOUT_MODE and self.mode:
                given[tag] = f"{given[tag]}/{self.mode}"
            if "global_step" in signature.parameters and name != "add_hparams":
                given.setdefault("global_step", self.step)
            return add(**given)

        return with_step


def _picture(matrix: list[list[float]]) -> Any:
    """A matrix in grey, the largest of each row white, [1, height, width] with 16 pixels a number."""
    import numpy as np

    rows = np.nan_to_num(np.array(matrix, dtype=np.float32)).clip(min=0)
    rows /= np.maximum(rows.max(axis=1, keepdims=True), 1e-9)
    return rows.repeat(16, axis=0).repeat(16, axis=1)[None]
