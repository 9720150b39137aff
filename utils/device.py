"""Which device trains, and how a batch of any shape gets there."""

import copy
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from utils import dist
from utils.errors import ConfigError


def select_devices(name: str | None) -> None:
    """Lets this process see only the devices of `-d`: 'cpu', 'mps', 'cuda', 'cuda:1', or indices such as '0,1'."""
    if name is None or name in ("cuda", "mps"):
        return
    indices = "" if name == "cpu" else name.removeprefix("cuda:")
    if not all(index.isdecimal() for index in indices.split(",") if indices):
        raise ConfigError(f"-d {name}: no such device; write cpu, mps, cuda, cuda:1, or indices such as 0,1")
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    chosen = indices.split(",") if indices else []
    if seen is not None:  # indices count among the devices that the launcher allows
        allowed = seen.split(",") if seen else []
        if any(int(index) >= len(allowed) for index in chosen):
            raise ConfigError(f"-d {name}: the launcher allows {len(allowed)} GPUs (CUDA_VISIBLE_DEVICES={seen})")
        chosen = [allowed[int(index)] for index in chosen]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(chosen)


def prepare_device(n_gpu_use: int | None = None, name: str | None = None) -> tuple[torch.device, list[int]]:
    """The device to train on, and the indices of the GPUs it stands for (one per process under torchrun).

    :param n_gpu_use: how many GPUs to use; 0: the CPU; None: one, if there is any
    :param name: the device of `-d`; without it CUDA, else MPS, else CPU
    """
    n_gpu = torch.cuda.device_count()
    if name == "cpu" or (n_gpu_use == 0 and name is None):
        return torch.device("cpu"), []
    if name not in (None, "mps") and n_gpu == 0:
        raise ConfigError(f"-d {name}: torch sees no CUDA device here; write -d cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise ConfigError("-d mps: not available on this machine; write -d cpu")
    if n_gpu == 0 or name == "mps":
        if n_gpu_use and name != "mps" and not torch.backends.mps.is_available():
            _say("Warning: There's no GPU available on this machine, training will be performed on CPU.")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu"), []
    if n_gpu_use is not None and n_gpu_use > n_gpu:
        _say(f"Warning: n_gpu is {n_gpu_use}, but only {n_gpu} are available on this machine.")
    if n_gpu_use is not None and n_gpu_use > 1 and dist.world_size() == 1:
        n_gpu_use = min(n_gpu_use, n_gpu)
        if n_gpu_use > 1:
            _say(f"One process uses one GPU. For {n_gpu_use}: torchrun --nproc-per-node {n_gpu_use} train.py -c CONFIG")
    index = dist.local_rank()
    return torch.device("cuda", index), [index]


@cache
def _say(line: str) -> None:
    if dist.is_main():
        print(line)


def map_tensors(function: Callable[[torch.Tensor], torch.Tensor], batch: Any) -> Any:
    """The batch with `function` applied to every tensor in it, through tuples, lists and dicts of any depth."""
    if isinstance(batch, torch.Tensor):
        return function(batch)
    if isinstance(batch, dict):
        moved = copy.copy(batch)  # of its own kind, whatever its constructor takes
        moved.update({key: map_tensors(function, item) for key, item in batch.items()})
        return moved
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(map_tensors(function, item) for item in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(map_tensors(function, item) for item in batch)
    return batch


def to_device(batch: Any, device: torch.device, memory_format: torch.memory_format = torch.preserve_format) -> Any:
    """The batch on the device, moved as it is; images (four dimensions) in the given memory format.

    A module (a loss with weights) is moved too; a function is given back.
    """
    if isinstance(batch, torch.nn.Module):
        return batch.to(device)

    if device.type == "cpu" and memory_format is torch.preserve_format:
        return batch  # is there already

    def move(tensor: torch.Tensor) -> torch.Tensor:
        layout = memory_format if tensor.dim() == 4 else torch.preserve_format
        if device.type == "cuda" and tensor.device.type == "cpu":
            return _copied_beside(tensor, device, layout)
        return tensor.to(device, non_blocking=True, memory_format=layout)

    return map_tensors(move, batch)


def _copied_beside(tensor: torch.Tensor, device: torch.device, layout: torch.memory_format) -> torch.Tensor:
    """The tensor on the GPU, copied while it still computes the step before, of which nothing is waited for."""
    computing, copying = torch.cuda.current_stream(device), _copy_stream(device)
    with torch.cuda.stream(copying):
        copied = tensor.to(device, non_blocking=True, memory_format=layout)
    computing.wait_stream(copying)
    copied.record_stream(computing)  # its memory is not given away before that has used it
    return copied


@cache
def _copy_stream(device: torch.device) -> "torch.cuda.Stream":
    return torch.cuda.Stream(device)


def count_samples(batch: Any) -> int:
    """The first dimension of the first tensor in a batch; 1 if there is none."""
    sizes: list[int] = []
    map_tensors(lambda tensor: sizes.append(len(tensor) if tensor.dim() else 1) or tensor, batch)  # type: ignore[func-returns-value]
    return sizes[0] if sizes else 1
