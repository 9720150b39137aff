"""The options of the `trainer` section: this dataclass is their schema."""

import math
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

MOST = 10**12  # of anything that is counted


@dataclass
class TrainerOptions:
    """Every option, its default, and what it does. A trainer of your own may extend it:

    @dataclass
    class MyOptions(TrainerOptions):
        alpha: float = 0.5

    class MyTrainer(Trainer):
        Options = MyOptions                     # self.options.alpha
    """

    # how long
    epochs: int | None = None  # this many epochs, ...
    max_steps: int | None = None  # ... or this many steps, whichever comes first; the data runs on across epochs
    len_epoch: int | None = None  # steps an epoch (default: once through the data)
    limit: int | None = None  # at most this many batches an epoch, of training and of validation: a quick look
    overfit: int | None = None  # train on and validate with the first so many batches only: the loss must vanish

    # the step
    accumulation: int = 1  # batches a step
    amp: Literal["off", "bfloat16", "float16"] | bool = "off"  # mixed precision; true is bfloat16
    clip_grad_norm: float | None = None  # the largest norm of the whole gradient
    ema_decay: float | None = None  # judge and test a moving average of the weights, such as 0.999
    compile: bool = False  # torch.compile: minutes at first, faster steps after
    profile: bool = False  # trace some of the first steps, for TensorBoard and ui.perfetto.dev
    channels_last: bool = False  # memory layout of images: faster convolutions, on a CPU too
    tf32: bool = False  # products of matrices with 10 bits of each factor, on NVIDIA GPUs from 2020 on

    # exactness
    deterministic: bool = True  # algorithms that give the same bits each time
    threads: int | Literal["auto"] = "auto"  # compute threads; auto: half of the cores, stored with the run

    # what is written, and when
    log_step: int | None = None  # steps between rows of the log (default: the square root of batch_size)
    save_period: int = 1  # epochs between checkpoint-epochN.pth; the last and the best are always kept
    save_steps: int | None = None  # also save within an epoch, after this many steps, ...
    save_minutes: float | None = None  # ... or after this many minutes
    save_in_background: bool = False  # train on while a checkpoint is written, for its size in memory once more
    keep_last: int | None = None  # how many checkpoint-epochN.pth stay (default: all)
    save_dir: str = "saved/"
    tensorboard: bool = False
    watch: tuple[str, ...] = ()  # modules by name ("conv*") whose activations and gradients TensorBoard shows
    histograms: bool = False  # of parameters and their gradients in TensorBoard, once an epoch
    verbosity: Literal[0, 1, 2] = 2  # 0 warnings, 1 what happens, 2 details

    # which epoch is best
    monitor: str = "off"  # "min val_loss", "max val_accuracy", ...
    early_stop: float | None = None  # stop after this many epochs without a new best; 0 is never

    @classmethod
    def of(cls, section: dict[str, Any]) -> Self:
        """The options in a `trainer` section; keys that are no options of ours are the project's own."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: section[name] for name in names if name in section})

    def problems(self) -> list[tuple[str, str]]:
        """What cannot be, as (option, what to write)."""
        counts = "epochs max_steps len_epoch limit overfit accumulation log_step save_period save_steps keep_last"
        positive = counts.split()
        found = [(name, "must be 1 or more") for name in positive if _below(getattr(self, name), 1)]
        found += [(name, f"must be {MOST:,} or less") for name in positive if (getattr(self, name) or 0) > MOST]
        above = ("clip_grad_norm", "save_minutes")
        found += [(name, "must be above 0") for name in above if _not_above(getattr(self, name), 0)]
        if self.epochs is None and self.max_steps is None:
            found.append(("epochs", "how long? Write epochs or max_steps"))
        if self.ema_decay is not None and not 0 <= self.ema_decay < 1:
            found.append(("ema_decay", "must be at least 0 and below 1"))
        if "\0" in self.save_dir or any(len(part.encode()) > 255 for part in self.save_dir.split("/")):
            found.append(("save_dir", "is no path"))
        if self.threads != "auto" and not 1 <= self.threads <= 1024:
            found.append(("threads", 'must be 1 to 1024, or "auto"'))
        return found

    @property
    def patience(self) -> float:
        """Epochs without a new best after which training stops; infinity: never."""
        return self.early_stop if self.early_stop is not None and self.early_stop > 0 else math.inf


def _below(value: float | None, least: float) -> bool:
    return value is not None and value < least


def _not_above(value: float | None, bound: float) -> bool:
    return value is not None and value <= bound
