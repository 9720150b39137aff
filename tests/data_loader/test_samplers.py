"""Samplers by name, made from the training part, exactly resumable in the middle of a pass."""

import json
import signal
from collections import Counter
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
import torch

import data_loader.data_loaders as module_data
from base import BaseDataLoader
from parse_config import ConfigParser
from utils.datasets import labels_of
from utils.errors import ConfigError

ROOT = Path(__file__).parents[2]


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> int:
        return index


Rows.__module__ = module_data.__name__
IN_TORCH = "torch.utils.data."
SAMPLERS: dict[str, dict[str, Any]] = {
    "in order": {"sampler": {"type": IN_TORCH + "SequentialSampler"}},
    "random": {"sampler": {"type": IN_TORCH + "RandomSampler"}},
    "with replacement": {
        "sampler": {"type": IN_TORCH + "RandomSampler", "args": {"replacement": True, "num_samples": 300}}
    },
    "subset": {"sampler": {"type": IN_TORCH + "SubsetRandomSampler"}},
    "weighted": {"sampler": {"type": IN_TORCH + "WeightedRandomSampler", "args": {"weights": "balanced"}}},
    "batches": {
        "batch_size": None,
        "shuffle": None,
        "batch_sampler": {"type": IN_TORCH + "BatchSampler", "args": {"batch_size": 50, "drop_last": True}},
    },
    "batches, weighted": {
        "batch_size": None,
        "shuffle": None,
        "batch_sampler": {
            "type": IN_TORCH + "BatchSampler",
            "args": {
                "batch_size": 50,
                "drop_last": False,
                "sampler": {
                    "type": IN_TORCH + "WeightedRandomSampler",
                    "args": {"weights": "balanced", "num_samples": 275},
                },
            },
        },
    },
}


def loader_of(given: dict[str, Any], kind: str = "DigitsDataLoader", **more: Any) -> Any:
    config = json.loads((ROOT / "config.json").read_text())
    args = {"batch_size": 64, "validation_split": 0.2, "augment": False} | given | more
    config["data_loader"] = {"type": kind, "args": {key: value for key, value in args.items() if value is not None}}
    parser = ConfigParser(config, run_id="x")
    parser.check(data_loader=module_data)
    return parser.init_obj("data_loader", module_data)


def drawn(loader: Any, start: int = 0) -> list[list[int]]:
    """The indices of a pass from batch `start` on."""
    from utils.batch_order import places

    return [place.indices.tolist() for place in islice(places(loader, 0, start, 0, 1), len(loader) - start)]


def samples_of(loader: Any) -> list[int]:
    return list(chain.from_iterable(drawn(loader)))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_draws_from_the_training_part_only_and_can_be_entered_anywhere(name: str) -> None:
    loader = loader_of(SAMPLERS[name])
    order = drawn(loader)
    valid = set(loader.valid_sampler)
    assert len(valid) == 287
    assert not valid & {index for batch in order for index in batch}
    assert len(loader) == len(order) > 3
    assert drawn(loader_of(SAMPLERS[name]), 2) == order[2:]
    assert drawn(loader) == order
    assert len(loader.split_validation().sampler) == 287


def test_they_draw_what_their_names_say() -> None:
    order = {name: samples_of(loader_of(given)) for name, given in SAMPLERS.items()}
    train = 1437 - 287
    assert order["in order"] == sorted(order["in order"])
    assert order["random"] != order["in order"]
    assert all(len(set(order[name])) == train for name in ("in order", "random", "subset"))
    assert len(order["with replacement"]) == 300
    assert len(set(order["with replacement"])) < 300
    assert len(order["weighted"]) == train
    assert len(order["batches"]) == train // 50 * 50
    assert [len(batch) for batch in drawn(loader_of(SAMPLERS["batches, weighted"]))] == [50] * 5 + [25]


def test_balanced_draws_every_class_equally_often(tmp_path: Path) -> None:
    given = {
        "sampler": {"type": IN_TORCH + "WeightedRandomSampler", "args": {"weights": "balanced", "num_samples": 8000}}
    }
    loader = loader_of(given, "ImbalancedDigitsDataLoader")
    labels = labels_of(loader.dataset)
    rare = Counter(labels.tolist())[7]
    assert rare < 20
    counts = Counter(labels[samples_of(loader)].tolist())
    assert len(counts) == 10
    assert max(counts.values()) < 1.25 * min(counts.values())


def test_batches_are_those_of_the_order() -> None:
    loader = loader_of(SAMPLERS["weighted"])
    targets = torch.cat([batch[1] for batch in islice(loader.stream(), len(loader))])
    assert targets.tolist() == labels_of(loader.dataset)[samples_of(loader)].tolist()


def test_weights_that_are_given_count() -> None:
    weights = [0.0] * 1437
    weights[5] = weights[9] = 1.0
    args = {"weights": weights, "num_samples": 100}
    loader = loader_of({"sampler": {"type": IN_TORCH + "WeightedRandomSampler", "args": args}}, validation_split=None)
    assert set(samples_of(loader)) == {5, 9}


def test_a_sampler_of_ones_own_gets_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    class EverySecond(torch.utils.data.Sampler):
        def __init__(self, data_source: Any, first: int = 0) -> None:
            self.chosen = range(first, len(data_source), 2)

        def __len__(self) -> int:
            return len(self.chosen)

        def __iter__(self) -> Any:
            return iter(self.chosen)

    EverySecond.__module__ = module_data.__name__
    monkeypatch.setattr(module_data, "EverySecond", EverySecond, raising=False)
    loader = loader_of({"sampler": {"type": "EverySecond", "args": {"first": 1}}}, validation_split=None)
    assert samples_of(loader) == list(range(1, 1437, 2))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ({"replacement": True, "num_sampels": 3}, "did you mean 'num_samples'"),
        ({"replacement": "yes"}, '"yes" is not true or false'),
    ],
)
def test_a_slip_in_a_sampler_is_one_line(args: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        loader_of({"sampler": {"type": IN_TORCH + "RandomSampler", "args": args}})


def test_balanced_without_labels_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match="goes by the labels"):
        loader_of(
            SAMPLERS["weighted"]
            | {"augment": None, "dataset": {"type": "torchvision.datasets.FakeData", "args": {"size": 50}}},
            "BaseDataLoader",
        )


def test_stratified_the_validation_part_has_each_class_in_its_proportion() -> None:
    loader = loader_of({"stratify": True}, "ImbalancedDigitsDataLoader", validation_split=0.25)
    labels = labels_of(loader.dataset)
    everywhere, valid = Counter(labels.tolist()), Counter(labels[torch.tensor(loader.valid_sampler)].tolist())
    assert all(abs(valid[label] - everywhere[label] / 4) < 1 for label in range(10))
    assert sum(valid.values()) == int(len(labels) / 4)
    assert not set(loader.valid_sampler) & set(samples_of(loader))


def test_a_worker_begins_with_ours_then_with_a_function_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def start(number: int, folder: str) -> None:
        """Proves that it ran, and that the signals were already taken care of."""
        heard = signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN
        (Path(folder) / str(number)).write_text(str(heard))

    start.__module__ = module_data.__name__
    monkeypatch.setattr(module_data, "start", start, raising=False)
    given = {"worker_init_fn": {"type": "start", "args": {"folder": str(tmp_path)}}, "num_workers": 2}
    monkeypatch.setattr(module_data, "Rows", Rows, raising=False)
    loader = loader_of(given | {"augment": None, "dataset": {"type": "Rows"}}, "BaseDataLoader", batch_size=2)
    assert len(list(loader)) == 4
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "False", "1": "False"}


def test_a_sampler_object_beside_a_split_is_still_refused() -> None:
    with pytest.raises(ValueError, match="beside a sampler"):
        BaseDataLoader(list(range(10)), 2, validation_split=0.2, sampler=range(8))


@pytest.mark.parametrize("weights", [[1, 1, 2], "balancd"])
def test_weights_that_are_not_one_a_sample_are_refused(weights: Any) -> None:
    args = {"weights": weights}
    with pytest.raises(ConfigError, match=r"weights: (3 for 1437 samples|'balancd' is neither)"):
        loader_of({"sampler": {"type": IN_TORCH + "WeightedRandomSampler", "args": args}}, validation_split=None)


def test_weights_of_all_samples_are_those_of_the_training_part() -> None:
    weights = [float(index < 700) for index in range(1437)]
    args = {"weights": weights}
    loader = loader_of({"sampler": {"type": IN_TORCH + "WeightedRandomSampler", "args": args}})
    assert set(loader.valid_sampler) & set(range(700))
    drawn = {index for index in loader.sampler}
    assert drawn <= set(range(700)) - set(loader.valid_sampler)
