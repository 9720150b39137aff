"""Samples of any map-style dataset whose randomness has an address, loaded by worker processes or by this one."""

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Subset

from utils.batch_order import Place
from utils.failures import SampleError
from utils.seed import derive_seed, seed_cpu_generators
from utils.stopping import ignore_signals, stop_workers_at_exit


def loader_of_places(loader: DataLoader, seed_all: bool) -> "DataLoader":
    """A DataLoader that works as `loader` does, over the places that are put in its `batch_sampler.order`."""
    seeded = SeededMany if _makes_many(loader.dataset) else Seeded
    return DataLoader(
        seeded(loader.dataset, seed_all),
        batch_sampler=Addresses(),
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=WorkerStart(loader.worker_init_fn),
        multiprocessing_context=loader.multiprocessing_context,
        generator=torch.Generator(),  # else torch draws from the global one
        prefetch_factor=loader.prefetch_factor if loader.num_workers else None,
        persistent_workers=loader.persistent_workers,
    )


class WorkerStart:
    """What a worker does first: signals are not its to hear; then what the user has it do."""

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self.then = then
        stop_workers_at_exit()

    def __call__(self, number: int) -> None:
        ignore_signals()
        if self.then is not None:
            self.then(number)


class Addresses:
    """A batch sampler that sends where samples are loaded their addresses: (seed of the pass, place in it, index)."""

    order: Iterable[Place] = ()

    def __iter__(self) -> Iterator[list[tuple[int, int, int]]]:
        self.order = iter(self.order)
        while (place := next(self.order, None)) is not None:  # held here only, so that whoever made it can let go
            first, indices = place.first + place.mine_or_one.start, place.indices[place.mine_or_one].tolist()
            yield [(place.seed, first + offset, index) for offset, index in enumerate(indices)]


class Seeded(Dataset):
    """The samples of `dataset`, each made with the generators set from its place in the pass."""

    def __init__(self, dataset: Any, seed_all: bool) -> None:
        self.dataset = dataset
        self.seed: Callable[..., Any] = seed_cpu_generators if seed_all else _seed_torch

    def __getitem__(self, address: tuple[int, int, int]) -> Any:
        self.seed(*address[:2])
        try:
            return self.dataset[address[2]]
        except Exception as error:
            raise _sample_error(self.dataset, address[2], error) from error


class SeededMany(Seeded):
    """As `Seeded` for a dataset that makes many samples at once: set from the place of the batch's first."""

    def __getitems__(self, addresses: list[tuple[int, int, int]]) -> Any:
        self.seed(*addresses[0][:2])
        indices = [index for _, _, index in addresses]
        try:
            return self.dataset.__getitems__(indices)
        except Exception as error:
            raise _sample_error(self.dataset, indices, error) from error


def single_threaded(batches: Iterator[Any]) -> Iterator[Any]:
    """Loads with one thread, as workers do: some sums depend on the number of threads."""
    while True:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            batch = next(batches)
        except StopIteration:
            return
        finally:
            torch.set_num_threads(threads)
        yield batch


def _sample_error(dataset: Any, index: Any, error: Exception) -> Exception:
    """Names the sample; `python -X dev` shows the dataset's own traceback."""
    if sys.flags.dev_mode:
        return error
    while isinstance(dataset, Subset):
        index = [dataset.indices[one] for one in index] if isinstance(index, list) else dataset.indices[index]
        dataset = dataset.dataset
    files: Any = getattr(dataset, "samples", None)  # of an image folder
    is_file = isinstance(files, list) and isinstance(index, int) and isinstance(files[index], tuple)
    name = f"{index} ({files[index][0]})" if is_file else index
    frame = traceback.extract_tb(error.__traceback__)[-1]
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return SampleError(f"sample {name} of {type(dataset).__name__}: {said} ({frame.filename}:{frame.lineno})")


def _seed_torch(*place: int) -> None:
    torch.default_generator.manual_seed(derive_seed(*place))


def _makes_many(dataset: Any) -> bool:
    while isinstance(dataset, Subset):  # it only passes the call on, sample by sample if need be
        dataset = dataset.dataset
    return callable(getattr(dataset, "__getitems__", None))
