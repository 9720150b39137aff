"""Batches by number: `BaseDataLoader` over any map-style dataset, `TensorDataLoader` over tensors in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import tee
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset, SubsetRandomSampler, TensorDataset, default_collate

from utils import dist
from utils.batch_order import Place, Portion, places, places_of_pass
from utils.device import map_tensors
from utils.seed import derive_seed, generator, kept_generators, seed_generators


class BaseDataLoader(DataLoader):
    """A DataLoader whose batch number i can be asked for directly, whatever was asked for before.

    The order of a pass is a function of (seed, pass), the randomness of a sample of (seed, pass, its index): free of
    the number of workers. `batch_size` is that of the whole batch at any number of processes; each gets its share.

        for batch in loader:                        # one pass, shuffled anew from torch's global generator
        for batch in loader.stream(start=120):      # from batch 120 on, without end

    :param validation_split: the part (0.1) or the number (500) of samples that `split_validation` gets
    :param valid_dataset: the same samples as validation sees them, without augmentation (default: `dataset`)
    :param split_seed: which samples those are
    :param seed_all: seed `random` and NumPy too before each sample, not only torch (9 us a sample, else 2)
    :param options: everything else that torch's DataLoader takes
    """

    seed = 0  # of `stream`; the trainer sets it to the config's
    _workers: DataLoader | None = None  # kept from pass to pass with persistent_workers

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = 1,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        num_workers: int = 0,
        collate_fn: Callable | None = default_collate,
        *,
        valid_dataset: Dataset | None = None,
        split_seed: int = 0,
        seed_all: bool = True,
        **options: Any,
    ) -> None:
        self.shuffle = shuffle
        self.validation_split = validation_split
        self.split_seed = split_seed
        self.seed_all = seed_all
        self.valid_dataset = valid_dataset if valid_dataset is not None else dataset
        self.n_samples = len(dataset)  # type: ignore[arg-type]
        self.options = options
        if options.get("sampler") is None and options.get("batch_sampler") is None:
            sampler, self.valid_sampler = self._split_sampler(validation_split)
            options = options | ({"sampler": sampler} if sampler is not None else {"shuffle": shuffle})
        elif validation_split:
            raise ValueError("validation_split cannot be had beside a sampler; give the sampler the training part only")
        else:
            self.valid_sampler = None
        if options.get("batch_sampler") is None:
            options["batch_size"] = batch_size
        options["pin_memory"] = bool(options.get("pin_memory")) and torch.accelerator.is_available()
        super().__init__(dataset, num_workers=num_workers, collate_fn=collate_fn, **options)

    def stream(self, start: int = 0) -> Iterator[Any]:
        """This process's share of every batch from number `start` on, pass after pass, without end."""
        return (portion.batch for portion in self.portions(start))

    def portions(self, start: int = 0) -> Iterator[Portion]:
        """As `stream`, with the number of samples beside each batch."""
        return self._portions(places(self, self.seed, start, dist.rank(), dist.world_size()))

    def one_pass(self) -> Iterator[Portion]:
        """One pass in an order that never changes, without the empty shares: what an evaluation wants."""
        seed = derive_seed(self.seed, "one pass")
        order = places_of_pass(self, seed, 0, dist.rank(), dist.world_size())
        return (portion for portion in self._portions(order) if portion.n > 0)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        seed = dist.from_main(int(torch.empty((), dtype=torch.int64).random_()))
        batches = self._portions(places_of_pass(self, seed, 0, dist.rank(), dist.world_size()))
        while True:
            with kept_generators():  # loading in this process seeds them; the caller's must not depend on that
                portion = next(batches, None)
            if portion is None:
                return
            yield portion.batch

    def split_validation(self) -> "DataLoader | None":
        """The loader of the validation part, in a fixed order and without augmentation; None without a split."""
        return None if self.valid_sampler is None else self._part(self.valid_dataset, self.valid_sampler)

    def to(self, device: torch.device) -> "BaseDataLoader":
        """Keeps on the device what can be kept there; here, nothing."""
        return self

    def _split_sampler(self, split: float | int) -> tuple[Any, Any]:
        """The samplers of the training and of the validation part; (None, None) without a split."""
        if not split:
            return None, None
        count = split if isinstance(split, int) else int(self.n_samples * split)
        if not 0 < count < self.n_samples:
            raise ValueError(f"validation_split {split} leaves {count} of {self.n_samples} samples for validation")
        indices = np.random.RandomState(self.split_seed).permutation(self.n_samples)
        self.n_samples -= count
        train = indices[count:]
        return SubsetRandomSampler(train.tolist()) if self.shuffle else np.sort(train).tolist(), indices[
            :count
        ].tolist()

    def _part(self, dataset: Dataset, indices: Any) -> DataLoader:
        options = {
            key: value for key, value in self.options.items() if key not in ("sampler", "batch_sampler", "drop_last")
        }
        return BaseDataLoader(
            dataset,
            self.batch_size,
            shuffle=False,
            num_workers=self.num_workers,
            collate_fn=self.collate_fn,
            sampler=indices,
            seed_all=self.seed_all,
            **options,
        )

    def _portions(self, order: Iterator[Place]) -> Iterator[Portion]:
        order, order_again = tee(order)
        for batch, place in zip(self._make(order), order_again):
            yield Portion(batch, place.mine.stop - place.mine.start, len(place.indices))

    def _make(self, order: Iterable[Place]) -> Iterator[Any]:
        """The batches of the places, in their order. Override it to make batches another way."""
        loader = self._workers or self._inner_loader()
        if self.persistent_workers:
            self._workers = loader
        loader.batch_sampler.order = order  # type: ignore[union-attr]
        return iter(loader) if self.num_workers else _single_threaded(iter(loader))

    def _inner_loader(self) -> DataLoader:
        seeded = _SeededMany if _takes_many(self.dataset) else _Seeded
        return DataLoader(
            seeded(self.dataset, self.seed_all),
            batch_sampler=_Addresses(),
            num_workers=self.num_workers,
            collate_fn=self.collate_fn,
            pin_memory=self.pin_memory,
            timeout=self.timeout,
            worker_init_fn=self.worker_init_fn,
            multiprocessing_context=self.multiprocessing_context,
            generator=torch.Generator(),  # else torch draws from the global one
            prefetch_factor=self.prefetch_factor if self.num_workers else None,
            persistent_workers=self.persistent_workers,
        )


class TensorDataLoader(BaseDataLoader):
    """Data that fits in memory: a batch is an index into tensors, and is augmented and transformed as a whole.

    :param tensors: inputs, then targets, ...: one row a sample each
    :param transform: inputs -> inputs, for every batch
    :param augment: has `draw(n, generator)`, the random numbers of n samples, and `apply(inputs, draws)`;
        for training batches only, before `transform`
    """

    def __init__(
        self,
        tensors: Sequence[Tensor],
        batch_size: int | None = 1,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        *,
        transform: Callable[[Tensor], Tensor] | None = None,
        augment: Any = None,
        **options: Any,
    ) -> None:
        self.tensors = tuple(tensors)
        self.transform = transform
        self.augment = augment
        super().__init__(TensorDataset(*tensors), batch_size, shuffle, validation_split, **options)

    def to(self, device: torch.device) -> "TensorDataLoader":
        """Keeps the tensors on the device, so that a batch never crosses to it."""
        self.tensors = tuple(tensor.to(device) for tensor in self.tensors)
        return self

    def _part(self, dataset: Dataset, indices: Any) -> DataLoader:
        part = TensorDataLoader(self.tensors, self.batch_size, shuffle=False, transform=self.transform, sampler=indices)
        return part

    def _make(self, order: Iterable[Place]) -> Iterator[tuple[Tensor, ...]]:
        device = self.tensors[0].device
        for place in order:
            mine = place.indices[_never_empty(place.mine)].to(device)
            inputs, *others = (tensor[mine] for tensor in self.tensors)
            if self.augment is not None:
                draws = self.augment.draw(len(place.indices), generator(place.seed, place.number))
                draws = map_tensors(lambda draw: draw[_never_empty(place.mine)].to(device), draws)  # noqa: B023
                inputs = self.augment.apply(inputs, draws)
            yield self.transform(inputs) if self.transform else inputs, *others


class _Addresses:
    """A batch sampler that sends each sample's address, (seed of its pass, index), to where it is loaded."""

    order: Iterable[Place] = ()

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for place in self.order:
            yield [(place.seed, index) for index in place.indices[_never_empty(place.mine)].tolist()]


class _Seeded(Dataset):
    """The samples of `dataset`, each with the generators set from its address before it is made."""

    def __init__(self, dataset: Any, seed_all: bool) -> None:
        self.dataset = dataset
        self.seed_all = seed_all

    def __getitem__(self, address: tuple[int, int]) -> Any:
        self.seed(*address)
        return self.dataset[address[1]]

    def seed(self, *address: int) -> None:
        if self.seed_all:
            seed_generators(*address)
        else:
            torch.default_generator.manual_seed(derive_seed(*address))


class _SeededMany(_Seeded):
    """As `_Seeded` for a dataset that makes many samples at once: seeded by the first address of the batch."""

    def __getitems__(self, addresses: list[tuple[int, int]]) -> Any:
        self.seed(*addresses[0])
        return self.dataset.__getitems__([index for _, index in addresses])


def _takes_many(dataset: Any) -> bool:
    while isinstance(dataset, Subset):  # it only passes the call on, sample by sample if need be
        dataset = dataset.dataset
    return callable(getattr(dataset, "__getitems__", None))


def _never_empty(mine: slice) -> slice:
    return mine if mine.stop > mine.start else slice(0, 1)  # a borrowed sample; the portion's n says 0


def _single_threaded(batches: Iterator[Any]) -> Iterator[Any]:
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
