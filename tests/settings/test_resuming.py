"""What a resume may change."""

import copy
from typing import Any

import pytest

from settings.document import Document
from settings.resuming import changes
from utils.errors import ConfigError

STORED: dict[str, Any] = {
    "seed": 0,
    "arch": {"type": "Net", "args": {"n": 1}},
    "data_loader": {"type": "Loader", "args": {"batch_size": 8, "num_workers": 0}},
    "optimizer": {"type": "SGD", "args": {"lr": 0.1}},
    "optimizer_d": {"type": "SGD", "args": {"lr": 0.1}},
    "lr_scheduler": {"type": "StepLR", "args": {"step_size": 1}},
    "trainer": {"epochs": 1, "verbosity": 2, "amp": "off"},
    "mine": {"x": [1]},
}


def changed(path: str, value: Any) -> Document:
    tree = copy.deepcopy(STORED)
    *keys, last = path.split(".")
    node = tree
    for key in keys:
        node = node[key]
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return Document(tree, {tuple(path.split(".")): f"-s {path}=..."})


def test_the_stored_config_itself_has_no_changes():
    assert changes(STORED, Document(copy.deepcopy(STORED)), allowed=False) == []


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("trainer.verbosity", 1, "trainer.verbosity: 2 -> 1 (safe)"),
        ("trainer.keep_last", 3, "trainer.keep_last: (none) -> 3 (safe)"),
        ("data_loader.args.num_workers", 2, "data_loader.args.num_workers: 0 -> 2 (safe)"),
        ("metrics", ["f1"], 'metrics: (none) -> ["f1"] (safe)'),
        ("trainer.epochs", 2, "trainer.epochs: 1 -> 2 (planned anew)"),
        ("lr_scheduler.args.step_size", 2, "lr_scheduler.args.step_size: 1 -> 2 (planned anew)"),
        ("lr_scheduler", ..., 'lr_scheduler: {"type": "StepLR", "args": {"step_size": 1}} -> (none) (planned anew)'),
        ("optimizer.args.lr", 0.2, "optimizer.args.lr: 0.1 -> 0.2 (planned anew)"),
        ("optimizer_d.args.lr", 0.2, "optimizer_d.args.lr: 0.1 -> 0.2 (planned anew)"),
    ],
)
def test_what_is_safe_or_planned_anew_is_only_shown(path, value, text):
    assert [str(change) for change in changes(STORED, changed(path, value), allowed=False)] == [text]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1),
        ("arch.args.n", 2),
        ("arch.type", "Other"),
        ("data_loader.args.batch_size", 16),
        ("data_loader.args.augment", True),
        ("optimizer.type", "AdamW"),
        ("trainer.amp", "bfloat16"),
        ("trainer.accumulation", 2),
        ("loss", "l1_loss"),
        ("mine.x", [2]),
        ("seed", False),
    ],
)
def test_what_makes_another_run_needs_to_be_allowed(path, value):
    with pytest.raises(ConfigError) as caught:
        changes(STORED, changed(path, value), allowed=False)
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].startswith(f"-s {path}=...: {path}: ")
    assert "--allow goes on all the same" in caught.value.faults[0]
    assert [change.verdict for change in changes(STORED, changed(path, value), allowed=True)] == ["breaking"]
