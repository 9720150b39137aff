"""One checkpoint file: plain data, written whole, checked before it is believed, loaded without running anything."""

import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from utils.errors import ConfigError, UserError
from utils.platform_files import link_or_copy, replacing, sync_file

FORMAT = 1
NUMBERS = {np.dtype(name).type for name in ("?", "i1", "i2", "i4", "i8", "u1", "f2", "f4", "f8", "c8", "c16")}
PICKLES = (b"\x80\x02", b"\x80\x04")  # what files of torch before 1.6 begin with
OBJECTS = (
    "holds Python objects, which may run code and are not loaded; checkpoints of the old template do (they pickle "
    "their ConfigParser): train anew, or save its weights as plain tensors"
)
SECTIONS = {"epoch": int, "step": int, "log": dict, "fingerprint": dict, "extra": dict}
MOST_VALUES, DEEPEST = 200_000, 250  # of a config
PLAIN = (bool, int, float, str, bytes, complex, type(None), torch.dtype, torch.device, torch.Size)


def _as_is(tensor: torch.Tensor, path: str) -> torch.Tensor:
    return tensor


def to_plain(value: Any, path: str = "checkpoint", copied: Callable[[torch.Tensor, str], torch.Tensor] = _as_is) -> Any:
    """The value as data that `torch.load(weights_only=True)` opens; raises UserError naming what is not.

    NumPy numbers become Python numbers and NumPy arrays tensors; containers keep their kind.

    :param copied: (tensor, its key path) -> what stands for it
    """
    if isinstance(value, torch.Tensor):
        return copied(value.detach().as_subclass(torch.Tensor), path)
    if isinstance(value, np.generic):
        value = value.item()
    if type(value) in PLAIN:
        return value
    if isinstance(value, np.ndarray) and value.dtype.type in NUMBERS:
        return torch.from_numpy(value.astype(value.dtype.newbyteorder("=")))
    if isinstance(value, str):
        return str.__str__(value)
    if type(value) is Counter:  # the milestones of MultiStepLR
        return Counter(dict(value))
    if isinstance(value, dict):
        kind = OrderedDict if isinstance(value, OrderedDict) else dict
        items = ((to_plain(key, path), to_plain(item, f"{path}.{key}", copied)) for key, item in value.items())
        plain: Any = kind(items)
        if hasattr(value, "_metadata"):  # the versions of a module's layers
            plain._metadata = value._metadata
        return plain
    if isinstance(value, (list, tuple, set)):
        parts = [to_plain(item, f"{path}[{index}]", copied) for index, item in enumerate(value)]
        return tuple(parts) if isinstance(value, tuple) else set(parts) if isinstance(value, set) else parts
    raise UserError(
        f"{path}: a {type(value).__module__}.{type(value).__qualname__} cannot go into a checkpoint; "
        "give numbers, strings, tensors, and lists or dicts of them"
    )


def write(state: dict[str, Any], path: Path, more_names: Iterable[Path] = (), previous: Path | None = None) -> None:
    """Writes a checkpoint so that any crash leaves the old file or the new one under `path`, never a part.

    :param more_names: names that the new file gets too, before it becomes `path`: none is lost to a crash in between
    :param previous: a name that the old file keeps
    """
    with replacing(path) as temporary:
        with open(temporary, "wb") as handle:
            torch.save(to_plain(state), handle)
            handle.flush()
            sync_file(handle.fileno())
        for name in more_names:
            link_or_copy(temporary, name)
        if previous is not None and path.exists():
            link_or_copy(path, previous)


def read(path: Path | str) -> dict[str, Any]:
    """The checkpoint at `path`, on the CPU; raises ConfigError with one line if it is damaged or none of ours."""
    path = Path(path)
    fault = _damage(path)
    if fault:
        raise ConfigError(f"{path}: {fault}")
    try:
        # weights_only is said aloud because an environment variable can change the default
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for files that are not what they say
        raise ConfigError(f"{path}: {_unreadable(error)}") from None
    if not isinstance(state, dict) or "state_dict" not in state or not isinstance(state.get("config"), dict):
        raise ConfigError(f"{path}: a PyTorch file, but not a checkpoint of a training run")
    if type(state.get("format", 0)) is not int or state.get("format", 0) != FORMAT:
        raise ConfigError(f"{path}: checkpoint format {state.get('format')!r}; this version reads format {FORMAT}")
    for key, kind in SECTIONS.items():
        if type(state.setdefault(key, kind())) is not kind:
            raise ConfigError(f"{path}: no checkpoint of ours: its {key!r} is a {type(state[key]).__name__}")
    if not _is_config(state["config"], [0]):
        raise ConfigError(f"{path}: its config is no plain data")
    return state


def read_tensors(name: str) -> dict[str, Any]:
    """Tensors by name from a file: a plain one of them, or a checkpoint; ConfigError, one line, from any other."""
    fault = _damage(Path(name))
    if fault and fault != OBJECTS:  # those of torch before 1.6 may be plain all the same
        raise ConfigError(f"{name}: {fault}")
    try:
        state = torch.load(name, map_location="cpu", weights_only=True)
    except Exception as error:  # as in `read`
        raise ConfigError(f"{name}: {_unreadable(error)}") from None
    state = state if isinstance(state, dict) and "state_dict" in state else {"state_dict": state}
    tensors = state["state_dict"]
    if not isinstance(tensors, dict) or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise ConfigError(f"{name}: holds no tensors by name")
    return state


def step_of(path: Path) -> int:
    """The step inside a checkpoint, without reading its tensors or checking its sums; -1 if it cannot be read."""
    try:
        return int(torch.load(path, map_location="cpu", weights_only=True, mmap=True)["step"])
    except Exception:  # whatever is wrong with the file, `read` says it
        return -1


def load_state(part: Any, state: Any, name: str, path: Path | str) -> None:
    """Gives a part of a run its state from a checkpoint; raises ConfigError, one line, if it does not fit."""
    try:
        part.load_state_dict(state)
    except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        kind, reason = type(part).__name__, " ".join(str(error).split())
        text = f"{path}: its {name!r} does not fit the {kind} of this config ({reason[:200]})"
        raise ConfigError(f"{text}; to take the weights that fit: -r {path} -c CONFIG") from None


def load_fitting_weights(model: torch.nn.Module, state: dict[str, Any]) -> str:
    """Gives a model those weights of a checkpoint that have a place in it (the averaged ones, if any); says which.

    Raises ConfigError if none has.
    """
    wanted, stored = model.state_dict(), state.get("ema", state["state_dict"])
    fitting = {key: value for key, value in stored.items() if key in wanted and value.shape == wanted[key].shape}
    if not fitting:
        raise ConfigError(f"none of the checkpoint's weights fit this model ({type(model).__name__})")
    model.load_state_dict(fitting, strict=False)
    new = sorted(wanted.keys() - fitting.keys())
    return f"{len(fitting)} of {len(wanted)} tensors" + (f"; new: {', '.join(new)}" if new else "")


def _is_config(value: Any, count: list[int], depth: int = 0) -> bool:
    """Whether a value is made of what JSON has, and not without end."""
    count[0] += 1
    if count[0] > MOST_VALUES or depth > DEEPEST:
        return False
    if type(value) is dict:
        return all(type(key) is str and _is_config(item, count, depth + 1) for key, item in value.items())
    if type(value) is list:
        return all(_is_config(item, count, depth + 1) for item in value)
    return value is None or type(value) in (bool, int, float, str)


def _damage(path: Path) -> str | None:
    # torch.load does not verify the checksums that torch.save writes: one flipped bit would load silently
    if path.is_dir():
        return "is a folder; give model_best.pth in it"
    if not path.is_file():
        return "no such file"
    with open(path, "rb") as handle:
        if handle.read(2) in PICKLES:
            return OBJECTS
    try:
        with zipfile.ZipFile(path) as archive:
            # torch reads nothing of an entry that says it is a folder, and leaves the memory as it was; it compresses
            # none, so that no entry is larger than the file
            entries = archive.infolist()
            odd = (entry.filename for entry in entries if entry.external_attr or entry.compress_type)
            broken = next(odd, None) or archive.testzip()
    except Exception as error:  # zipfile raises whatever the broken bytes lead it to
        return f"not a checkpoint, or a damaged one ({error})"
    return f"damaged: the checksum or the entry of {broken} is wrong" if broken else None


def _unreadable(error: Exception) -> str:
    if "weights_only" in str(error) or "Weights only" in str(error):
        return OBJECTS
    return f"cannot be read ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
