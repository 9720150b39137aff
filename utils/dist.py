"""Several processes under torchrun, or one: the same calls, and with one process each of them does nothing.

Rank and world size are read from torchrun's environment, so asking for them needs no torch.
"""

import gc
import os
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def world_size() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", 1))


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", 0)) if world_size() > 1 else 0


def local_rank() -> int:
    """The number of this process on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", 0)) if world_size() > 1 else 0


def local_world_size() -> int:
    """How many of the processes share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if world_size() > 1 else 1


def is_main() -> bool:
    """Whether this process writes files and speaks to the user."""
    return rank() == 0


def start(device: "torch.device") -> None:
    """Joins the process group: NCCL on CUDA, gloo elsewhere."""
    import torch
    import torch.distributed as group

    if world_size() > 1 and not group.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)  # of this process, for everything that asks for the current one
        backend = "nccl" if device.type == "cuda" else "gloo"
        group.init_process_group(backend, timeout=timedelta(minutes=30))


def most(value: int) -> int:
    """The largest of every rank's `value`, without waiting for a device; every rank must call it."""
    if world_size() == 1:
        return value
    import torch
    import torch.distributed as group

    box = torch.tensor([value])
    group.all_reduce(box, op=group.ReduceOp.MAX, group=_on_the_cpu())
    return int(box)


@cache
def _on_the_cpu() -> Any:
    """A group for messages that must not wait for a GPU; None: the default one is such."""
    import torch.distributed as group

    return group.new_group(backend="gloo") if group.get_backend() == "nccl" else None


def stop() -> None:
    """Leaves the process group, all ranks together, when nothing of a run is held any more."""
    import torch.distributed as group

    if world_size() > 1 and group.is_initialized():
        gc.collect()  # what still holds the group would keep its threads, which abort a process that ends
        group.barrier()
        group.destroy_process_group()
        _on_the_cpu.cache_clear()


def sum_over_ranks(values: "torch.Tensor") -> "torch.Tensor":
    """The element-wise sum of every rank's `values`; every rank must call it."""
    import torch.distributed as group

    if world_size() > 1:
        values = values.clone()
        group.all_reduce(values)
    return values


def from_main(value: Any) -> Any:
    """The main process's `value`, on every rank; every rank must call it."""
    import torch.distributed as group

    if world_size() == 1:
        return value
    box = [value]
    group.broadcast_object_list(box, src=0)
    return box[0]


def gather(values: "torch.Tensor") -> list["torch.Tensor"]:
    """Every rank's `values` in the order of ranks; every rank must call it."""
    import torch
    import torch.distributed as group

    if world_size() == 1:
        return [values]
    gathered = [torch.empty_like(values) for _ in range(world_size())]
    group.all_gather(gathered, values)
    return gathered


def gather_objects(value: Any) -> list[Any]:
    """Every rank's `value`, plain data, in the order of ranks; every rank must call it."""
    import torch.distributed as group

    if world_size() == 1:
        return [value]
    gathered: list[Any] = [None] * world_size()
    group.all_gather_object(gathered, value)
    return gathered


def share_buffers(model: "torch.nn.Module") -> None:
    """Gives every rank the main process's buffers (batch-norm statistics); every rank must call it."""
    import torch.distributed as group

    if world_size() > 1:
        for buffer in model.buffers():
            group.broadcast(buffer, src=0)


def wrap(model: "torch.nn.Module", device: "torch.device") -> "torch.nn.Module":
    """The model whose backward averages gradients over ranks; with one process the model itself."""
    from torch.nn.parallel import DistributedDataParallel

    if world_size() == 1:
        return model
    return DistributedDataParallel(model, device_ids=[device] if device.type == "cuda" else None)


def unwrap(model: "torch.nn.Module") -> "torch.nn.Module":
    """The model inside `DistributedDataParallel` or `DataParallel`, else the model itself."""
    from torch.nn.parallel import DataParallel, DistributedDataParallel

    return model.module if isinstance(model, DistributedDataParallel | DataParallel) else model


def local_gradients(model: "torch.nn.Module", enabled: bool) -> AbstractContextManager:
    """A context in which backward leaves gradients unshared, for all but the last batch of a step."""
    if not enabled or world_size() == 1:
        return nullcontext()
    from torch.nn.parallel import DistributedDataParallel

    return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()
