"""Configs that extend others."""

import json
from pathlib import Path
from typing import Any

import pytest

from settings.document import Document
from settings.inheritance import read_extended
from utils.errors import ConfigError


@pytest.fixture
def read(tmp_path):
    """Writes configs, reads the last."""

    def of(**configs: dict[str, Any]) -> Document:
        for name, config in configs.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(config, indent=4))
        return read_extended(tmp_path / f"{name}.json")

    return of


def refused(read: Any, tmp_path: Path, **configs: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        read(**configs)
    assert len(caught.value.faults) == 1
    return caught.value.faults[0].replace(f"{tmp_path}/", "")


def test_objects_are_merged_key_by_key_and_all_else_is_replaced(read):
    base = {"a": {"b": 1, "c": {"d": 2}}, "metrics": ["x", "y"], "loss": "l1"}
    own = {"extends": "base.json", "a": {"c": {"e": 3}}, "metrics": ["z"], "loss": {"type": "l2"}}
    assert read(base=base, own=own).tree == {
        "a": {"b": 1, "c": {"d": 2, "e": 3}},
        "metrics": ["z"],
        "loss": {"type": "l2"},
    }


def test_null_takes_away_what_would_be_inherited_and_is_a_value_elsewhere(read):
    base = {"lr_scheduler": {"type": "StepLR"}, "trainer": {"epochs": 1, "early_stop": 3}}
    own = {"extends": "base.json", "lr_scheduler": None, "trainer": {"early_stop": None, "max_steps": None}}
    assert read(base=base, own=own).tree == {"trainer": {"epochs": 1, "max_steps": None}}


def test_a_section_whose_type_changes_does_not_inherit_the_old_args(read):
    base = {"optimizer": {"type": "AdamW", "args": {"lr": 1, "betas": [0, 0]}}, "arch": {"type": "N", "args": {"a": 1}}}
    own = {"extends": "base.json", "optimizer": {"type": "SGD", "args": {"lr": 2}}, "arch": {"type": "N"}}
    tree = read(base=base, own=own).tree
    assert tree["optimizer"] == {"type": "SGD", "args": {"lr": 2}}
    assert tree["arch"] == {"type": "N", "args": {"a": 1}}
    without = read(base=base, own={"extends": "base.json", "optimizer": {"type": "SGD"}}).tree
    assert without["optimizer"] == {"type": "SGD"}


def test_of_several_parents_the_later_wins_and_they_may_have_parents_themselves(read):
    document = read(
        root={"seed": 1, "name": "root", "a": 1},
        first={"extends": "root.json", "a": 2, "b": 2},
        second={"b": 3, "c": 3},
        own={"extends": ["first.json", "second.json"], "c": 4},
    )
    assert document.tree == {"seed": 1, "name": "root", "a": 2, "b": 3, "c": 4}


def test_a_parent_is_found_beside_the_file_and_may_be_yaml(read, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "base.yaml").write_text("seed: 3\nextends: ../root.json\n")
    assert read(root={"a": 1}, own={"extends": "folder/base.yaml"}).tree == {"a": 1, "seed": 3}


def test_every_value_knows_the_file_it_is_from(read, tmp_path):
    document = read(
        base={"trainer": {"epochs": 1, "verbosity": 1}}, own={"extends": "base.json", "trainer": {"epochs": 2}}
    )
    assert document.place(("trainer", "epochs")) == f"{tmp_path}/own.json:4:9"
    assert document.place(("trainer", "verbosity")) == f"{tmp_path}/base.json:4:9"
    assert document.name == f"{tmp_path}/own.json"


def test_what_replaces_a_value_takes_its_place_too(read, tmp_path):
    document = read(base={"loss": {"type": "a", "args": {"b": 1}}}, own={"extends": "base.json", "loss": "c"})
    assert document.place(("loss", "args", "b")) == f"{tmp_path}/own.json:3:5"


def test_a_missing_parent_and_one_that_is_no_name_are_refused_at_the_line_of_extends(read, tmp_path):
    assert refused(read, tmp_path, own={"extends": "nope.json"}) == "own.json:2:5: extends: nope.json: no such file"
    line = refused(read, tmp_path, base={}, own={"extends": ["base.json", "nope.json"]})
    assert line == "own.json:4:9: extends.1: nope.json: no such file"
    assert "no such file" in refused(read, tmp_path, own={"extends": "x" * 5000})
    for wrong in (3, "", "\0", {"a": "base.json"}, [None]):
        assert "write the name of a config, or a list of names" in refused(read, tmp_path, own={"extends": wrong})


def test_a_circle_is_refused_with_the_way_round(read, tmp_path):
    assert refused(read, tmp_path, own={"extends": "own.json"}) == (
        "own.json:2:5: extends: own.json extends itself: own.json -> own.json"
    )
    line = refused(read, tmp_path, b={"extends": "c.json"}, c={"extends": "a.json"}, a={"extends": "b.json"})
    assert line == "c.json:2:5: extends: a.json extends itself: a.json -> b.json -> c.json -> a.json"


def test_a_fault_in_a_parent_is_told_at_its_place(read, tmp_path):
    (tmp_path / "base.json").write_text('{"a": 1,}')
    assert refused(read, tmp_path, own={"extends": "base.json"}).startswith("base.json:1:8: a comma before '}'")
