"""--schema: an editor accepts the configs that train, and marks what check would refuse."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import train
from settings.building import several
from settings.schema import schema

ROOT = Path(__file__).parents[2]
SHIPPED = [ROOT / "config.json", *sorted((ROOT / "configs").glob("*.json"))]


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    return schema({section: several(module) for section, module in train.modules().items()})


@pytest.fixture(scope="module")
def validator(written: dict[str, Any]) -> jsonschema.Draft7Validator:
    jsonschema.Draft7Validator.check_schema(written)
    return jsonschema.Draft7Validator(written)


@pytest.fixture
def config() -> dict[str, Any]:
    return json.loads((ROOT / "config.json").read_text())


def test_the_command_prints_it_and_needs_no_config(written: dict[str, Any], run_command: Callable) -> None:
    done = run_command("train.py", "--schema")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(json.dumps(written))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_config_is_accepted_and_names_its_schema(path: Path, validator: jsonschema.Draft7Validator) -> None:
    config = json.loads(path.read_text())
    assert [error.message for error in validator.iter_errors(config)] == []
    assert (path.parent / config["$schema"]).resolve() == ROOT / "config.schema.json"


def test_the_schema_that_is_shipped_is_that_of_the_projects_classes(written: dict[str, Any]) -> None:
    """Of torch's classes each version has its own."""
    shipped = json.loads((ROOT / "config.schema.json").read_text())
    own = {name for name in written["definitions"] if not name.startswith("torch.")}
    assert own == {name for name in shipped["definitions"] if not name.startswith("torch.")}
    for name in own - {"reference"}:
        mine = {key: written["definitions"][name]["properties"].get(key) for key in _own_arguments(name, written)}
        theirs = {key: shipped["definitions"][name]["properties"].get(key) for key in _own_arguments(name, written)}
        assert json.loads(json.dumps(mine)) == theirs, f"{name}: python train.py --schema > config.schema.json"
    for section in ("trainer", "arch", "data_loader"):
        assert shipped["properties"][section] == json.loads(json.dumps(written["properties"][section]))


def _own_arguments(name: str, written: dict[str, Any]) -> list[str]:
    """What is not passed on to torch's DataLoader, whose arguments are torch's affair."""
    from torch.utils.data import DataLoader

    from settings.signatures import arguments_of

    return [
        key for key in written["definitions"][name]["properties"] if key not in arguments_of(DataLoader).annotations
    ]


def test_every_argument_has_its_default_and_what_the_docstring_says(written: dict[str, Any]) -> None:
    model = written["definitions"]["model.model.ResNet"]
    assert model["description"].startswith("A residual network for images of 16 pixels and more")
    assert model["properties"]["widths"]["description"] == "the channels of each stage"
    assert model["properties"]["widths"]["default"] == [32, 64, 128]
    assert "learning rate" in written["definitions"]["torch.optim.AdamW:1"]["properties"]["lr"]["description"]
    assert written["properties"]["trainer"]["properties"]["accumulation"]["description"] == "batches a step"
    listed = written["properties"]["optimizer"]["properties"]["type"]["anyOf"][0]["enum"]
    assert {"AdamW", "SGD", "Muon"} <= set(listed)
    assert "Optimizer" not in listed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("mine", {"anything": [1]}),
        ("$schema", "./config.schema.json"),
        ("arch.args.channels", "${data.num_classes}"),
        ("seed", "${env:SEED:-0}"),
        ("lr_scheduler.args.total_steps", "auto"),
        ("lr_scheduler", None),
        ("loss", {"type": "cross_entropy", "args": {"label_smoothing": 0.1, "weight": [1, 2, 3]}}),
        ("metrics", [{"type": "top_k_acc", "args": {"k": 5}, "name": "top_5"}, "mse_loss"]),
        ("arch", {"type": "torchvision.models.resnet18", "args": {"num_classes": 10}}),
        ("data_loader.args.sampler", {"type": "torch.utils.data.SequentialSampler", "args": {}}),
        ("optimizer", {"type": "SGD", "args": {"lr": 0.1, "momentum": 0.9}}),
        ("trainer.amp", True),
        ("data_loader", {"type": "BaseDataLoader", "args": {"dataset": {"type": "torchvision.datasets.FakeData"}}}),
        ("trainer.mine", [1]),
    ],
)
def test_what_check_accepts_is_accepted(path: str, value: Any, validator: Any, config: dict[str, Any]) -> None:
    assert [error.message for error in validator.iter_errors(put(config, path, value))] == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("arch.type", "DigitModel"),
        ("arch.args.chanels", 3),
        ("arch.args.channels", "16"),
        ("arch.type", ...),
        ("optimizer.type", "Adamm"),
        ("optimizer.args.lrr", 0.1),
        ("optimizer.args.lr", "0.1"),
        ("optimizer.args.betas", 0.9),
        ("optimizer", ...),
        ("data_loader", {"type": "MnistDataLoader", "args": {}}),
        ("data_loader", {"type": "MnistDataLoader"}),
        ("lr_scheduler.interval", "steps"),
        ("lr_scheduler", {"type": "StepLR", "args": {"step_size": "x"}}),
        ("loss", "cross_entrpy"),
        ("metrics", ["acuracy"]),
        ("metrics", "accuracy"),
        ("trainer.epochs", "3"),
        ("trainer.amp", "fp16"),
        ("trainer.type", "Trainr"),
        ("seed", 1.5),
        ("trainer", ...),
        ("optimizer", {"type": "AdamW", "lr": 0.1}),
        ("loss", {"type": "cross_entropy", "label_smoothing": 0.1}),
    ],
)
def test_what_check_refuses_is_marked(path: str, value: Any, validator: Any, config: dict[str, Any]) -> None:
    assert list(validator.iter_errors(put(config, path, value)))


def test_a_config_that_extends_another_need_not_say_everything(validator: Any) -> None:
    assert list(validator.iter_errors({"extends": "base.json", "optimizer": {"args": {"lr": 1}}})) == []
    assert list(validator.iter_errors({"optimizer": {"args": {"lr": 1}}}))
    assert list(validator.iter_errors({"extends": 3}))


def put(config: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(config)
    *keys, last = path.split(".")
    node = config
    for key in keys:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return config
