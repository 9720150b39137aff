"""Streams: the same batches at any number of workers and processes, entered where a run was."""

import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import IterableDataset

from data_loader.streams import StreamDataLoader
from utils import dist
from utils.errors import UserError

ROOT = Path(__file__).parents[2]


class Numbers(IterableDataset):
    """0 to 22, read from the front only."""

    def __iter__(self) -> Iterator[int]:
        return iter(range(23))


class NumbersWithPlaces(Numbers):
    """As Numbers, entered anywhere."""

    def __len__(self) -> int:
        return 23

    def read_from(self, n: int) -> Iterator[int]:
        assert 0 <= n < 23
        return iter(range(n, 23))


def noisy(sample: int) -> torch.Tensor:
    return torch.tensor([float(sample), torch.rand(()).item()])


def batches(kind: type, workers: int, start: int = 0, count: int = 12, transform: Any = noisy) -> list[Any]:
    loader = StreamDataLoader(kind(), 5, batches=4, num_workers=workers, transform=transform)
    return [portion.batch for portion in islice(loader.portions(start), count)]


@pytest.mark.parametrize("kind", [Numbers, NumbersWithPlaces])
def test_batches_are_those_of_the_stream_repeated_at_any_number_of_workers(kind: type) -> None:
    plain = torch.stack(batches(kind, 0, transform=None)).flatten().tolist()
    assert plain == [number % 23 for number in range(60)]
    once = torch.stack(batches(kind, 0))
    for workers in (1, 2):
        assert torch.equal(torch.stack(batches(kind, workers)), once)
    assert len(set(once[:, :, 1].flatten().tolist())) > 50  # each sample draws numbers of its own


@pytest.mark.parametrize("kind", [Numbers, NumbersWithPlaces])
@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_entered_by_number_and_what_cannot_be_says_so(
    kind: type, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    whole = torch.stack(batches(kind, 0))
    assert torch.equal(torch.stack(batches(kind, workers, start=7, count=5)), whole[7:])
    assert ("reading 35 samples again" in caplog.text) == (kind is Numbers)


def test_an_empty_stream_is_an_error_and_not_an_endless_search() -> None:
    loader = StreamDataLoader([], 5, batches=4)
    with pytest.raises(UserError, match="a list gave no samples"):
        next(loader.portions(0))


def test_processes_share_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = torch.stack(batches(Numbers, 0))
    monkeypatch.setattr(dist, "world_size", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(dist, "rank", lambda rank=rank: rank)
        parts.append(torch.stack(batches(Numbers, 0)))
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_a_killed_run_on_a_stream_ends_as_the_unbroken_one(tmp_path: Path, start_command: Callable) -> None:
    from tests.faults.harness import Trainings

    config = json.loads((ROOT / "config.json").read_text())
    rows = {"type": "torchvision.datasets.FakeData", "args": {"size": 50, "image_size": [1, 8, 8]}}
    to_tensor = {"type": "torchvision.transforms.ToTensor"}
    rows["args"]["transform"] = to_tensor
    stream = {"type": "streams.StreamDataLoader", "args": {"dataset": rows, "batch_size": 8, "batches": 9}}
    config |= {"data_loader": stream, "valid_data_loader": stream, "lr_scheduler": None}
    del config["lr_scheduler"]
    config["trainer"] = {"epochs": 2, "save_steps": 4, "log_step": 1, "monitor": "min val_loss"}
    trainings = Trainings(tmp_path, config, start_command)
    trainings.finish(trainings.begin("whole"))
    trainings.trial("broken", "update#14")
