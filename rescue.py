"""Reads a checkpoint of the old template, and writes one that -r and test.py take.

\b
python rescue.py OLD.pth NEW.pth
python train.py -r NEW.pth                  # a new run that goes on from it
python train.py -r NEW.pth -c config.json   # a new run from its weights

The old template pickled its ConfigParser, which may run code when it is loaded. Here nothing of a file is run: in the
place of every class that it names stands an empty one that only keeps what it is given.
"""

import warnings
from pathlib import Path
from typing import Any

import click

from utils.errors import ConfigError, UserError, report_user_errors

KEPT = (  # the classes that old checkpoints name, and no others
    *("parse_config.ConfigParser", "utils.parse_config.ConfigParser", "logger.logger.Logger"),
    *("pathlib.PosixPath", "pathlib.WindowsPath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath"),
    *("pathlib._local.PosixPath", "pathlib._local.WindowsPath", "numpy.dtype"),
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
)


class Kept:
    """What stands for an object of a class that is not loaded: its arguments and its state."""

    def __new__(cls, *arguments: Any) -> "Kept":
        kept = super().__new__(cls)
        kept.arguments, kept.state = arguments, {}
        return kept

    def __init__(self, *arguments: Any) -> None:
        self.arguments: tuple[Any, ...] = arguments
        self.state: Any

    def __setstate__(self, state: Any) -> None:
        self.state = state


@click.command(help=__doc__)
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--steps-per-epoch", type=int, help="where the optimizer does not tell how many steps were made")
def main(old: Path, new: Path, steps_per_epoch: int | None) -> None:
    from utils import checkpoint

    if new.exists():
        raise ConfigError(f"{new}: exists already; name another file")
    state = rescued(old, steps_per_epoch)
    checkpoint.write(state, new)
    checkpoint.read(new)
    epoch, step = state["epoch"], state["step"]
    print(f"{new}: {state['arch']} after epoch {epoch}, step {step}; go on with: python train.py -r {new}")


def rescued(path: Path, steps_per_epoch: int | None = None) -> dict[str, Any]:
    """The state of an old checkpoint, in our format; ConfigError, one line, if it is none."""
    from utils.checkpoint import FORMAT

    old = _load(path)
    if not isinstance(old, dict) or not isinstance(old.get("state_dict"), dict):
        raise ConfigError(f"{path}: no checkpoint of the old template: it has no 'state_dict'")
    config = _config(old.get("config"), path)
    optimizer = old.get("optimizer") or {}
    epoch = _plain(old.get("epoch", 0))
    return {
        "format": FORMAT,
        "name": str(config.get("name", "run")),
        "arch": str(old.get("arch", "")),
        "epoch": epoch,
        "step": _step(optimizer, epoch, steps_per_epoch, path),
        "state_dict": {key.removeprefix("module."): value for key, value in old["state_dict"].items()},
        "optimizer": _plain(optimizer),
        "monitor": {"best": _best(old.get("monitor_best")), "bad_epochs": 0},
        "monitor_best": _best(old.get("monitor_best")),
        "config": config,
        "fingerprint": {},
        "log": {"bytes": 0, "crc32": 0},
        "extra": {},
    }


def _load(path: Path) -> Any:
    import torch

    if not path.is_file():
        raise ConfigError(f"{path}: no such file")
    try:
        with torch.serialization.safe_globals([(Kept, name) for name in KEPT]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd files, which are refused in a line
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for files that are not what they say
        reason = str(error).strip().splitlines()
        raise ConfigError(f"{path}: cannot be read safely ({reason[-1] if reason else type(error).__name__})") from None


def _config(kept: Any, path: Path) -> dict[str, Any]:
    """The config inside the old ConfigParser, or the one that stands beside the checkpoint."""
    found = kept.state if isinstance(kept, Kept) else kept
    found = found.get("_config", found.get("config", found)) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return _plain(found)
    beside = path.with_name("config.json")
    if not beside.is_file():
        raise ConfigError(f"{path}: no config in it; put the run's config.json beside it")
    from settings.reading import read_config

    return read_config(beside).tree


def _step(optimizer: dict[str, Any], epoch: int, steps_per_epoch: int | None, path: Path) -> int:
    if steps_per_epoch is not None:
        return epoch * steps_per_epoch
    steps = [int(state["step"]) for state in optimizer.get("state", {}).values() if "step" in state]
    if not steps and epoch:
        raise UserError(f"{path}: its optimizer does not tell how many steps were made; add --steps-per-epoch N")
    return max(steps, default=0)


def _best(value: Any) -> float | None:
    import math

    best = _plain(value)
    return best if isinstance(best, (int, float)) and math.isfinite(best) else None


def _plain(value: Any) -> Any:
    """The value with paths as texts and NumPy's numbers as Python's; anything else that was kept is dropped."""
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    if not isinstance(value, Kept):
        return value
    if len(value.arguments) == 2 and isinstance(value.arguments[0], Kept):  # numpy's scalar(dtype, bytes)
        import numpy as np

        kind, data = value.arguments
        return np.frombuffer(data, dtype=np.dtype(str(kind.arguments[0])))[0].item()
    return "/".join(map(str, value.arguments)) or None


if __name__ == "__main__":
    report_user_errors()
    main()
