"""Threads and algorithms: what must be fixed so that the same step gives the same bits."""

import os
import re
import warnings
from typing import Any

from utils import dist
from utils.cores import usable_cores

NONDETERMINISTIC = re.compile(r"(.+?) does not have a deterministic implementation")
_operations: set[str] = set()


def fix_threads(threads: int | str) -> int:
    """Computes with that many threads, and says how many.

    "auto" is half of the cores that there really are: loader workers and other people's jobs want the rest.
    """
    import torch

    if threads == "auto":
        threads = max(1, usable_cores() // 2 // dist.local_world_size())
    torch.set_num_threads(int(threads))
    return int(threads)


def fix_algorithms(deterministic: bool, compiled: bool = False, tf32: bool = False) -> None:
    """Deterministic algorithms where they exist; the first use of one that does not is warned of, by name.

    :param compiled: the compiler is to choose such algorithms too
    :param tf32: products of float32 matrices may take 10 bits of each factor, on a GPU that can
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when CUDA starts
    import torch

    if compiled:
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
    else:  # the same without importing the compiler, which takes longer than all else at the start
        torch.set_deterministic_debug_mode("warn" if deterministic else "default")
    # it guards against reading unset memory, at the price of a write
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = not deterministic
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    if deterministic and not getattr(warnings.showwarning, "watches", False):
        warnings.filterwarnings("always", message=".*does not have a deterministic implementation")
        warnings.showwarning = _watch(warnings.showwarning)


def nondeterministic_operations() -> list[str]:
    """The operations without a deterministic form that have run so far."""
    return sorted(_operations)


def _watch(show: Any) -> Any:
    def watch(message: Any, *arguments: Any, **keywords: Any) -> None:
        match = NONDETERMINISTIC.match(str(message))
        if match is None:
            show(message, *arguments, **keywords)
        elif match[1] not in _operations:
            import logging

            _operations.add(match[1])
            logging.getLogger("trainer").warning(
                "%s has no deterministic form: a resumed run will not be bit for bit the same", match[1]
            )

    watch.watches = True  # type: ignore[attr-defined]
    return watch
