"""Batches by number: `BaseDataLoader` over any map-style dataset, `TensorDataLoader` over tensors in memory."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import tee
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler, TensorDataset, default_collate

from utils import dist
from utils.batch_order import Place, Portion, places, places_of_pass
from utils.cores import loader_processes
from utils.datasets import must_have_labels
from utils.image_transforms import augmentations
from utils.loader_arguments import TRAINING_ONLY, problems_of_arguments, problems_with_tensors
from utils.samplers import sampler_of
from utils.seed import derive_seed, generator, kept_generators
from utils.seeded_samples import loader_of_places, single_threaded
from utils.split import split_indices


class BaseDataLoader(DataLoader):
    """A DataLoader whose batch number i can be asked for directly, whatever was asked for before.

        for batch in loader:                        # one pass, shuffled anew from torch's global generator
        for batch in loader.stream(start=120):      # from batch 120 on, without end

    The order of a pass is a function of (seed, pass), the randomness of a sample of (seed, pass, its place in it): free
    of the number of workers. `batch_size` is that of the whole batch at any number of processes; each gets its share.

    :param validation_split: the part (0.1) or the number (500) of samples that `split_validation` gets
    :param valid_dataset: the same samples as validation sees them, without augmentation (default: `dataset`)
    :param valid_collate_fn: as `collate_fn` for validation and test, without mixing (default: `collate_fn`)
    :param split_seed: which samples those are
    :param stratify: each class in its proportion
    :param num_workers: processes that load; "auto": as many as there are cores, at most 8
    :param seed_all: seed `random` and NumPy too before each sample, not only torch (9 us a sample, else 2)
    :param options: everything else that torch's DataLoader takes
    """

    seed = 0  # of `stream`; the trainer sets it to the config's
    _idle: DataLoader | None = None  # with persistent_workers, where the next pass finds them

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = 1,
        shuffle: bool = True,
        validation_split: float | int = 0.0,
        num_workers: int | Literal["auto"] = 0,
        collate_fn: Callable | None = default_collate,
        *,
        valid_dataset: Dataset | None = None,
        valid_collate_fn: Callable | None = None,
        split_seed: int = 0,
        stratify: bool = False,
        seed_all: bool = True,
        **options: Any,
    ) -> None:
        self.shuffle = shuffle
        self.validation_split = validation_split
        self.split_seed = split_seed
        self.seed_all = seed_all
        self.valid_dataset, self.valid_collate_fn = valid_dataset, valid_collate_fn
        self.n_samples = len(dataset)  # type: ignore[arg-type]
        self.options = options = {key: value for key, value in options.items() if value is not None}
        self._labels = must_have_labels(dataset, "stratify") if stratify else None
        sampler: Any = None
        self.valid_sampler: list[int] | None = None
        own = "batch_sampler" if "batch_sampler" in options else "sampler"
        waits = isinstance(options.get(own), partial)  # named in a config, for the loader to make
        if waits or own not in options:
            sampler, self.valid_sampler = self._split_sampler(validation_split)
        elif validation_split:
            raise ValueError("validation_split cannot be had beside a sampler; give the sampler the training part only")
        if waits:
            options[own] = sampler_of(options[own], dataset, getattr(sampler, "indices", sampler))
        sampler = options.get("sampler", sampler)
        if batch_size is None and "batch_sampler" not in options:
            raise ValueError("batch_size must be a number: batches are what is counted")
        if "batch_sampler" not in options:
            options = options | {"batch_size": batch_size, "sampler": sampler, "shuffle": shuffle and sampler is None}
        num_workers = loader_processes(num_workers)
        pinned = options.get("pin_memory", torch.cuda.is_available())
        options["pin_memory"] = bool(pinned) and torch.accelerator.is_available()
        self.valid_batch_size = getattr(options.get("batch_sampler"), "batch_size", batch_size)
        # for a `split_validation` of an older project's own
        self.init_kwargs: dict[str, Any] = {"dataset": dataset, "batch_size": batch_size, "shuffle": False}
        self.init_kwargs |= {"collate_fn": collate_fn, "num_workers": num_workers}
        super().__init__(dataset, num_workers=num_workers, collate_fn=collate_fn, **options)

    problems_of_arguments = staticmethod(problems_of_arguments)

    def stream(self, start: int = 0) -> Iterator[Any]:
        """This process's share of every batch from number `start` on, pass after pass, without end."""
        return (portion.batch for portion in self.portions(start))

    def portions(self, start: int = 0) -> Iterator[Portion]:
        """As `stream`, with the number of samples beside each batch."""
        return self._portions(places(self, self.seed, start, dist.rank(), dist.world_size()))

    def one_pass(self) -> Iterator[Portion]:
        """One pass in an order that never changes, without empty shares: what an evaluation wants."""
        order = places_of_pass(self, derive_seed(self.seed, "one pass"), 0, dist.rank(), dist.world_size())
        return (portion for portion in self._portions(order) if portion.n > 0)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        # the seed is agreed on: under torchrun every rank must iterate
        seed = dist.from_main(int(torch.empty((), dtype=torch.int64).random_()))
        batches = self._portions(places_of_pass(self, seed, 0, dist.rank(), dist.world_size()))
        while True:
            with kept_generators():  # loading in this process seeds them; the caller must not notice
                portion = next(batches, None)
            if portion is None:
                return
            yield portion.batch

    def split_validation(self) -> DataLoader | None:
        """The loader of the validation part, in a fixed order and without augmentation; None without a split."""
        return None if self.valid_sampler is None else self._valid_loader(self.valid_sampler)

    def to(self, device: torch.device) -> "BaseDataLoader":
        """Keeps on the device what can be kept there; here, nothing."""
        return self

    def _make(self, order: Iterable[Place]) -> Iterator[Any]:
        """The batches of the places, one after the other. Override it to make batches another way."""
        loader = loader_of_places(self, self.seed_all) if self._idle is None else self._idle
        self._idle = None
        loader.batch_sampler.order = order  # type: ignore[union-attr]
        try:
            yield from iter(loader) if self.num_workers else single_threaded(iter(loader))
        finally:
            loader.batch_sampler.order = ()  # type: ignore[union-attr]  # else workers that are kept keep all of it
            self._idle = loader if self.persistent_workers else None

    def _portions(self, order: Iterator[Place]) -> Iterator[Portion]:
        order, order_again = tee(order)
        for batch, place in zip(self._make(order), order_again):
            yield Portion(batch, place.mine.stop - place.mine.start, place.n)

    def _split_sampler(self, split: float | int) -> tuple[Any, Any]:
        """The samplers of the training and of the validation part; (None, None) without a split."""
        if not split:
            return None, None
        train, valid = split_indices(self.n_samples, split, self.split_seed, self._labels)
        self.n_samples = len(train)
        return SubsetRandomSampler(train) if self.shuffle else sorted(train), valid

    def _valid_loader(self, indices: Any) -> DataLoader:
        options = {key: value for key, value in self.options.items() if key not in TRAINING_ONLY}
        return BaseDataLoader(
            self.dataset if self.valid_dataset is None else self.valid_dataset,
            self.valid_batch_size,
            shuffle=False,
            num_workers=self.num_workers,
            collate_fn=self.valid_collate_fn or self.collate_fn,
            sampler=indices,
            seed_all=self.seed_all,
            **options,
        )


class TensorDataLoader(BaseDataLoader):
    """Data that fits in memory: a batch is an index into tensors, augmented and transformed as a whole.

    :param tensors: inputs, then targets, ...: one row a sample each
    :param transform: inputs -> inputs, for every batch
    :param augment: for training batches only, before `transform`: has `draw(n, generator)`, the random numbers of n
        samples, one row each, and `apply(inputs, draws)`; or is a transform of single images; or a list of such
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
        self.tensors = tensors if isinstance(tensors, list) else list(tensors)  # shared with the validation loader
        self.transform = transform
        self.augment = augmentations(augment)
        super().__init__(TensorDataset(*tensors), batch_size, shuffle, validation_split, **options)

    problems_of_arguments = staticmethod(problems_with_tensors)

    def to(self, device: torch.device) -> "TensorDataLoader":
        """Keeps the tensors on the device, if half of its free memory is enough: a batch then never crosses to it."""
        if (
            device.type != "cuda"
            or 2 * sum(tensor.nbytes for tensor in self.tensors) < torch.cuda.mem_get_info(device)[0]
        ):
            self.tensors[:] = [tensor.to(device) for tensor in self.tensors]
        return self

    def _make(self, order: Iterable[Place]) -> Iterator[tuple[Tensor, ...]]:
        device, alone = self.tensors[0].device, dist.world_size() == 1
        for place in order:
            mine = (place.indices if alone else place.indices[place.mine_or_one]).to(device)
            inputs, *others = [tensor.index_select(0, mine) for tensor in self.tensors]
            if self.augment:  # drawn for the whole batch, so that no share's draws depend on the others
                drawn_from = generator(place.seed, place.number)
                for augment in self.augment:
                    draws = augment.draw(place.n, drawn_from)
                    inputs = augment.apply(inputs, draws[place.mine_or_one].to(device))
            yield self.transform(inputs) if self.transform else inputs, *others

    def _valid_loader(self, indices: Any) -> DataLoader:
        return TensorDataLoader(
            self.tensors, self.valid_batch_size, shuffle=False, transform=self.transform, sampler=indices
        )
