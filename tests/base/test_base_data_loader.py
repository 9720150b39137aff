"""BaseDataLoader and TensorDataLoader: batches by number, the same for any number of workers and of processes."""

import gc
import multiprocessing
import random
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler, Subset, SubsetRandomSampler
from torch.utils.data import WeightedRandomSampler as Weighted

from base import BaseDataLoader, TensorDataLoader
from tests.base.worker_datasets import Noisy, NoisyMany, Pairs, Processes, Slow, Touching, as_list, mark_process
from utils.failures import SampleError, told
from utils.seed import kept_generators

N = 11


class AddNoise:
    """An augmentation whose draws can be read off its output."""

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.rand(n, 1, generator=generator)

    def apply(self, inputs: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
        return inputs + draws


def tensor_loader(n: int = N, batch_size: int = 4, **options: Any) -> TensorDataLoader:
    return TensorDataLoader(
        [torch.arange(n * 1.0)[:, None], torch.arange(n)], batch_size, **{"augment": AddNoise()} | options
    )


def noisy_loader(n: int = N, **options: Any) -> BaseDataLoader:
    return BaseDataLoader(Noisy(n), **{"batch_size": 4} | options)


LOADERS: dict[str, Callable[..., BaseDataLoader]] = {
    "shuffled": noisy_loader,
    "in order": lambda: noisy_loader(shuffle=False),
    "drop_last": lambda: noisy_loader(drop_last=True),
    "validation split": lambda: noisy_loader(validation_split=2),
    "two workers": lambda: noisy_loader(num_workers=2),
    "persistent workers": lambda: noisy_loader(num_workers=2, persistent_workers=True),
    "many at once": lambda: BaseDataLoader(NoisyMany(N), 4),
    "subset": lambda: BaseDataLoader(Subset(Noisy(30), range(7, 7 + N)), 4),
    "subset of many at once": lambda: BaseDataLoader(Subset(NoisyMany(30), range(7, 7 + N)), 4),
    "weighted sampler": lambda: noisy_loader(sampler=Weighted([i + 0.1 for i in range(N)], 9)),
    "batch sampler": lambda: BaseDataLoader(Noisy(N), batch_sampler=Pairs(N)),
    "tensors": tensor_loader,
    "tensors, drop_last": lambda: tensor_loader(drop_last=True),
    "tensors by a batch sampler": lambda: TensorDataLoader(
        [torch.arange(N * 1.0)[:, None]], augment=AddNoise(), batch_sampler=Pairs(N)
    ),
}


def plain(value: Any) -> Any:
    """A batch as lists that can be compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def first(count: int, batches: Iterable[Any]) -> list[Any]:
    return [plain(batch) for batch in islice(batches, count)]


def draw_from_all() -> list[float]:
    return [torch.rand(()).item(), random.random(), np.random.rand()]


def seed_all(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


# -- batches by number ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_a_stream_from_batch_k_is_the_stream_from_0_without_its_first_k_batches(make):
    loader = make()
    per_pass = len(loader)
    whole = first(2 * per_pass + 5, loader.stream())
    for start in (1, per_pass - 1, per_pass, per_pass + 2):
        draw_from_all()  # what was drawn before must not count
        assert first(3, loader.stream(start)) == whole[start : start + 3]


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_a_stream_draws_anew_in_each_pass_and_for_each_seed(make):
    loader = make()
    per_pass = len(loader)
    batches = first(2 * per_pass, loader.stream())
    assert sorted(batches[:per_pass]) != sorted(batches[per_pass:])
    loader.seed = 1
    assert sorted(first(per_pass, loader.stream())) != sorted(batches[:per_pass])


@pytest.mark.parametrize(
    "dataset", [Noisy(N), NoisyMany(N), Subset(NoisyMany(30), range(N))], ids=["single", "many", "subset"]
)
def test_the_number_of_workers_and_how_long_they_live_change_no_sample(dataset):
    expected = first(7, BaseDataLoader(dataset, 4).stream(1))
    assert first(7, BaseDataLoader(dataset, 4, num_workers=2).stream(1)) == expected
    persistent = BaseDataLoader(dataset, 4, num_workers=2, persistent_workers=True)
    first(1, persistent)  # a pass that is left
    assert first(7, persistent.stream(1)) == expected
    assert first(7, persistent.stream(1)) == expected


@pytest.mark.parametrize("context", ["spawn", "forkserver"])
def test_workers_that_are_not_forked_make_the_same_samples(context):
    if context not in torch.multiprocessing.get_all_start_methods():
        pytest.skip("not on this system")
    loader = noisy_loader(num_workers=2, multiprocessing_context=context)
    assert first(4, loader.stream(1)) == first(4, noisy_loader().stream(1))


@pytest.mark.parametrize("persistent", [False, True])
def test_another_pass_begun_meanwhile_leaves_a_stream_as_it_was(persistent):
    loader = noisy_loader(num_workers=1, persistent_workers=persistent, timeout=20)
    stream = loader.stream()
    before = first(1, stream)
    assert len(list(loader.one_pass())) == 3
    assert before + first(4, stream) == first(5, noisy_loader().stream())


def test_a_stream_says_beside_each_batch_how_many_samples_it_has():
    assert [portion[1:] for portion in islice(noisy_loader().portions(), 4)] == [(4, 4), (4, 4), (3, 3), (4, 4)]


def test_one_pass_is_the_same_each_time_whatever_was_drawn_and_streamed_before():
    loader = noisy_loader()
    expected = [plain(portion.batch) for portion in loader.one_pass()]
    next(loader.stream(5))
    draw_from_all()
    assert [plain(portion.batch) for portion in loader.one_pass()] == expected
    assert sorted(row[0] for batch in expected for row in batch) == list(range(N))


def test_a_loader_without_batches_is_refused_when_it_is_streamed():
    with pytest.raises(ValueError, match="no batches"):
        next(noisy_loader(n=3, drop_last=True).stream())


# -- as torch's DataLoader --------------------------------------------------------------------------------------------


def test_iterating_is_one_pass_over_every_sample():
    loader = noisy_loader()
    assert sorted(row[0] for batch in first(100, loader) for row in batch) == list(range(N))
    assert len(first(100, loader)) == len(loader) == 3


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_iterating_draws_one_number_from_torchs_generator_and_nothing_else(make):
    loader = make()
    passes, after = [], []
    for seed in (3, 3, 4):
        seed_all(seed)
        passes.append(sorted(first(100, loader)))
        after.append(draw_from_all())
    seed_all(3)
    torch.empty((), dtype=torch.int64).random_()
    assert passes[0] == passes[1] != passes[2]
    assert after[0] == after[1] == draw_from_all()


@pytest.mark.parametrize("options", [{"num_workers": 2}, {"num_workers": 1, "persistent_workers": True}])
def test_workers_change_neither_an_iterated_pass_nor_the_callers_generators(options):
    results = []
    for loader in (noisy_loader(), noisy_loader(**options)):
        seed_all(3)
        results.append([first(100, loader), draw_from_all(), first(100, loader), draw_from_all()])
    assert results[0] == results[1]
    assert results[0][0] != results[0][2]


def test_what_the_caller_draws_between_two_batches_changes_no_batch_and_is_not_changed_by_it():
    seed_all(3)
    expected = first(100, noisy_loader())
    seed_all(3)
    batches = iter(noisy_loader())
    found, drawn = first(1, batches), [draw_from_all()]
    found, drawn = found + first(1, batches), [*drawn, draw_from_all()]
    assert found + first(100, batches) == expected
    seed_all(3)
    torch.empty((), dtype=torch.int64).random_()
    assert drawn == [draw_from_all(), draw_from_all()]


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 4, "shuffle": True},
        {"batch_size": 4, "shuffle": False, "drop_last": True},
        {"batch_size": 2, "shuffle": False, "sampler": SubsetRandomSampler([1, 5, 3])},
        {"batch_sampler": BatchSampler(SequentialSampler(range(N)), 3, drop_last=True)},
        {"batch_size": 3, "shuffle": True, "num_workers": 2, "prefetch_factor": 5, "timeout": 7},
        {"batch_size": 3, "sampler": None, "batch_sampler": None, "shuffle": True},
    ],
)
def test_length_and_attributes_are_those_of_torchs_loader(options):
    dataset = Noisy(N)
    ours, torchs = BaseDataLoader(dataset, **options), DataLoader(dataset, **options)
    assert isinstance(ours, DataLoader)
    assert ours.dataset is dataset
    assert type(ours.sampler) is type(torchs.sampler)
    names = ["batch_size", "drop_last", "num_workers", "prefetch_factor", "timeout", "collate_fn", "pin_memory"]
    assert [getattr(ours, name) for name in names] == [getattr(torchs, name) for name in names]
    assert len(ours) == len(torchs) == len(first(100, ours))


def test_a_sampler_of_ones_own_decides_what_a_pass_visits():
    loader = noisy_loader(sampler=[5, 3, 8, 3, 1])
    assert [row[0] for batch in first(100, loader) for row in batch] == [5, 3, 8, 3, 1]
    weights = [0.0] * N
    weights[6] = 1.0
    assert {row[0] for batch in first(100, noisy_loader(sampler=Weighted(weights, 20))) for row in batch} == {6}


def test_a_loader_without_automatic_batches_is_refused_when_it_is_made_not_when_it_is_read():
    with pytest.raises(ValueError, match="batch_size"):
        noisy_loader(batch_size=None)


def test_shuffle_is_on_unless_it_is_switched_off():
    in_order = [float(index) for index in range(N)]
    assert [row[0] for batch in first(3, noisy_loader(shuffle=False).stream()) for row in batch] == in_order
    assert [row[0] for batch in first(3, noisy_loader().stream()) for row in batch] != in_order


# -- what reaches the workers -----------------------------------------------------------------------------------------


def test_workers_live_as_long_as_persistent_workers_says():
    def processes(**options: Any) -> list[set[int]]:
        loader = BaseDataLoader(Processes(), 2, num_workers=1, **options)
        return [{pid for pids, _ in loader for pid in pids.tolist()} for _ in range(2)]

    kept, kept_again = processes(persistent_workers=True)
    assert len(kept) == 1
    assert kept == kept_again
    first_pass, second_pass = processes()
    assert first_pass != second_pass


@pytest.mark.parametrize("persistent", [False, True])
def test_workers_end_with_the_stream_and_loader_that_started_them(persistent):
    gc.collect()
    before = set(multiprocessing.active_children())
    gc.disable()  # collected later, perhaps within another worker, they can hang it
    try:
        loader = noisy_loader(num_workers=1, persistent_workers=persistent)
        stream = loader.stream()
        next(stream)
        assert len(set(multiprocessing.active_children()) - before) == 1
        del stream, loader
        assert set(multiprocessing.active_children()) <= before
    finally:
        gc.enable()


def test_worker_init_fn_runs_once_in_each_worker():
    loader = BaseDataLoader(Processes(), 2, num_workers=1, worker_init_fn=mark_process)
    assert [marks.tolist() for _, marks in loader] == [[1, 1], [1, 1]]


def test_prefetch_factor_says_how_many_batches_are_loaded_ahead(tmp_path):
    batches = BaseDataLoader(Touching(tmp_path), 1, shuffle=False, num_workers=1, prefetch_factor=4).stream()
    next(batches)
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert len(list(tmp_path.iterdir())) == 5


def test_timeout_ends_the_wait_for_a_worker():
    with pytest.raises(RuntimeError, match="timed out after 1 seconds"):
        next(BaseDataLoader(Slow(), 1, num_workers=1, timeout=1).stream())


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_in_the_dataset_names_the_sample(num_workers):
    with pytest.raises(SampleError) as caught:
        next(BaseDataLoader(Subset(Broken(), [3, 2]), shuffle=False, num_workers=num_workers).stream())
    line = told(caught.value)
    assert line is not None
    assert line.startswith("sample 3 of Broken: ValueError: cannot be read (")
    assert "\n" not in line


@pytest.mark.parametrize("options", [{}, {"num_workers": 1}])
def test_pin_memory_without_an_accelerator_is_quietly_left_out(options):
    loader = noisy_loader(pin_memory=True, **options)
    assert loader.pin_memory is torch.accelerator.is_available()
    assert len(first(100, loader)) == 3


class Broken(torch.utils.data.Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise ValueError("cannot be read")


# -- batches of any shape ---------------------------------------------------------------------------------------------

SAMPLES: list[Any] = [
    {"image": torch.tensor([1.0, i]), "name": f"sample {i}", "box": (i, (i + 1, torch.tensor(i)))} for i in range(4)
]


def test_samples_of_dicts_and_nested_tuples_are_collated_as_torch_does():
    ours = next(BaseDataLoader(SAMPLES, 4, shuffle=False).stream())
    assert list(ours) == ["image", "name", "box"]
    assert plain(ours["image"]) == [[1, 0], [1, 1], [1, 2], [1, 3]]
    assert ours["name"] == ["sample 0", "sample 1", "sample 2", "sample 3"]
    assert plain(ours["box"]) == [[0, 1, 2, 3], [[1, 2, 3, 4], [0, 1, 2, 3]]]


@pytest.mark.parametrize("length", [1, 3, 5])
def test_samples_may_have_any_number_of_parts(length):
    batch = next(BaseDataLoader([(i,) * length for i in range(4)], 4, shuffle=False).stream())
    assert plain(batch) == [[0, 1, 2, 3]] * length
    tensors = TensorDataLoader([torch.arange(4)] * length, 4, shuffle=False)
    assert plain(next(tensors.stream())) == [[0, 1, 2, 3]] * length


@pytest.mark.parametrize("workers", [0, 1])
def test_a_collate_fn_of_ones_own_makes_training_and_validation_batches(workers):
    loader = noisy_loader(collate_fn=as_list, num_workers=workers, validation_split=3)
    validation = loader.split_validation()
    assert validation is not None
    for batch in (next(loader.stream()), next(iter(loader)), next(iter(validation))):
        assert isinstance(batch, list)
        assert isinstance(batch[0], list)


def test_a_collate_fn_of_none_is_torchs_default():
    assert torch.is_tensor(next(noisy_loader(collate_fn=None).stream()))


# -- validation -------------------------------------------------------------------------------------------------------


def validation_of(loader: BaseDataLoader) -> DataLoader:
    validation = loader.split_validation()
    assert validation is not None
    return validation


def visited(loader: DataLoader) -> list[int]:
    """The samples that one pass visits; the first number of each sample is its index."""
    return [int(row[0]) for batch in loader for row in (batch[0] if isinstance(batch, list | tuple) else batch)]


def old_template_indices(n: int) -> list[int]:
    with kept_generators():
        indices = np.arange(n)
        np.random.seed(0)
        np.random.shuffle(indices)
    return indices.tolist()


@pytest.mark.parametrize(("split", "count"), [(0.3, 30), (0.129, 12), (17, 17), (1, 1), (99, 99)])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("make", [noisy_loader, tensor_loader])
def test_the_split_has_the_old_templates_samples_and_leaves_the_others_for_training(make, split, count, shuffle):
    loader = make(n=100, validation_split=split, shuffle=shuffle)
    expected = old_template_indices(100)
    assert visited(validation_of(loader)) == expected[:count]
    training = visited(loader)
    assert sorted(training) == sorted(expected[count:])
    assert (training == sorted(training)) is (not shuffle or count == 99)
    assert loader.n_samples == 100 - count == len(training)
    assert len(loader) == -(-(100 - count) // 4)


def test_splitting_draws_nothing_from_the_global_generators():
    seed_all(3)
    expected = draw_from_all()
    seed_all(3)
    noisy_loader(validation_split=0.3).split_validation()
    assert draw_from_all() == expected


def test_split_seed_chooses_other_samples():
    parts = [visited(validation_of(noisy_loader(n=100, validation_split=20, split_seed=seed))) for seed in (0, 1, 1)]
    assert parts[0] != parts[1] == parts[2]


def test_without_a_split_there_is_no_validation_loader():
    assert noisy_loader().split_validation() is None
    assert noisy_loader(validation_split=0).n_samples == N


@pytest.mark.parametrize("split", [1.0, 1.5, N, N + 1, -1, -0.5, 0.01])
def test_a_split_that_leaves_nothing_on_one_side_is_refused(split):
    with pytest.raises(ValueError, match=f"validation_split {split} leaves -?[0-9]+ of {N} samples"):
        noisy_loader(validation_split=split)


@pytest.mark.parametrize("options", [{"sampler": [1, 2]}, {"batch_sampler": Pairs(N)}])
def test_a_split_beside_a_sampler_is_refused(options):
    with pytest.raises(ValueError, match="beside a sampler"):
        BaseDataLoader(Noisy(N), validation_split=0.2, **options)


def test_validation_sees_the_samples_of_valid_dataset():
    loader = noisy_loader(n=20, validation_split=6, valid_dataset=[-index for index in range(20)])
    assert first(100, validation_of(loader)) == [
        [-index for index in part] for part in (old_template_indices(20)[:4], old_template_indices(20)[4:6])
    ]
    assert len(next(loader.stream())[0]) == 4  # training sees Noisy


def test_validation_of_tensors_is_transformed_but_not_augmented():
    loader = tensor_loader(n=20, validation_split=6, transform=lambda inputs: inputs * 10)
    inputs = torch.cat([inputs for inputs, _ in validation_of(loader)])
    assert plain(inputs) == [[10.0 * index] for index in old_template_indices(20)[:6]]
    augmented, targets = next(loader.stream())
    assert bool((augmented[:, 0] > targets * 10).all())


def test_validation_keeps_the_short_last_batch_though_training_drops_its_own():
    loader = noisy_loader(n=20, validation_split=6, drop_last=True)
    assert [len(batch) for batch in validation_of(loader)] == [4, 2]
    assert [len(batch) for batch in loader] == [4, 4, 4]


def test_validation_loads_with_the_workers_of_training():
    validation = validation_of(noisy_loader(n=20, validation_split=6, num_workers=2, prefetch_factor=3))
    assert (validation.num_workers, validation.prefetch_factor) == (2, 3)
    without = validation_of(noisy_loader(n=20, validation_split=6))
    assert [plain(batch) for batch in validation.one_pass()] == [plain(batch) for batch in without.one_pass()]  # type: ignore[attr-defined]


# -- several processes ------------------------------------------------------------------------------------------------


@pytest.fixture
def on_rank(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """The first portions that a loader gives to a rank."""

    def portions(read: Callable[[], Iterator[Any]], rank: int, world: int, count: int = 100) -> list[Any]:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", str(world))
        return list(islice(read(), count))

    return portions


PARTED: dict[str, Callable[[], BaseDataLoader]] = {
    "samples": lambda: noisy_loader(n=9),
    "workers": lambda: noisy_loader(n=9, num_workers=1),
    "tensors": lambda: tensor_loader(n=9),
}


@pytest.mark.parametrize("world", [2, 3])
@pytest.mark.parametrize("make", PARTED.values(), ids=PARTED)
def test_the_shares_of_all_ranks_together_are_the_batch_of_one_process(make, world, on_rank):
    whole = on_rank(make().portions, 0, 1, 7)
    shares = [on_rank(make().portions, rank, world, 7) for rank in range(world)]
    assert [sum(portion.n for portion in parts) for parts in zip(*shares)] == [4, 4, 1, 4, 4, 1, 4]
    for portion, *parts in zip(whole, *shares):
        assert {part.n_total for part in parts} == {portion.n_total}
        rows = [row for part in parts for row in rows_of(part.batch)[: part.n]]
        assert rows == rows_of(portion.batch)


def rows_of(batch: Any) -> list[Any]:
    return list(zip(*map(plain, batch))) if isinstance(batch, tuple) else plain(batch)


@pytest.mark.parametrize("make", PARTED.values(), ids=PARTED)
def test_a_rank_whose_share_is_empty_borrows_one_sample(make, on_rank):
    owner, borrower = (on_rank(make().portions, rank, 2, 3)[2] for rank in range(2))
    assert (owner.n, borrower.n, borrower.n_total) == (1, 0, 1)
    assert rows_of(borrower.batch) == rows_of(owner.batch)
    assert len(rows_of(borrower.batch)) == 1


def test_one_pass_leaves_empty_shares_out(on_rank):
    assert [portion.n for portion in on_rank(noisy_loader(n=9).one_pass, 0, 2)] == [2, 2, 1]
    assert [portion.n for portion in on_rank(noisy_loader(n=9).one_pass, 1, 2)] == [2, 2]


# -- tensors ----------------------------------------------------------------------------------------------------------


def test_the_augmentation_of_a_tensor_batch_draws_for_each_sample_and_each_batch_anew():
    noise = [(inputs[:, 0] - targets).tolist() for inputs, targets in islice(tensor_loader().stream(), 6)]
    drawn = [round(value, 4) for batch in noise for value in batch]
    assert len(set(drawn)) == 2 * N


def test_tensors_kept_on_a_device_give_the_same_batches_and_the_loader_itself():
    loader = tensor_loader()
    expected = first(5, loader.stream())
    assert loader.to(torch.device("cpu")) is loader
    assert first(5, loader.stream()) == expected


def test_tensors_of_different_lengths_are_refused():
    with pytest.raises(AssertionError, match="Size mismatch"):
        TensorDataLoader([torch.zeros(3), torch.zeros(4)])
