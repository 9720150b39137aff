"""`-s KEY.PATH=VALUE` and the options that a project adds."""

import json
from typing import Any

import pytest

from base.trainer_options import TrainerOptions
from settings.checking import may_be_added
from settings.overrides import USAGE, apply_sets, set_value
from settings.read_json import read_json
from utils.errors import ConfigError

CONFIG = {
    "optimizer": {"type": "AdamW", "args": {"lr": 0.1}},
    "metrics": ["accuracy", {"type": "top_k_acc", "args": {"k": 3}}],
    "loss": {"type": "mse_loss"},
    "trainer": {"epochs": 3},
    "class_weights": {"0": 1.0},
    "nothing": None,
}


def after(*sets: str) -> Any:
    document = read_json(json.dumps(CONFIG), "config.json")
    apply_sets(document, sets, may_be_added(TrainerOptions))
    return document


def lines(*sets: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        after(*sets)
    return caught.value.faults


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.01", 0.01),
        ("1e-3", 1e-3),
        ("true", True),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ('{"a": 1}', {"a": 1}),
        ('"3"', "3"),
        ("min val_loss", "min val_loss"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_value_is_json_or_else_a_bare_word(text, value):
    found = after(f"optimizer.args.lr={text}").tree["optimizer"]["args"]["lr"]
    assert (found, type(found)) == (value, type(value))


def test_a_number_in_the_path_is_the_index_in_a_list_or_a_key_that_is_a_number():
    tree = after("metrics.0=f1", "metrics.1.args.k=5", "class_weights.0=2").tree
    assert tree["metrics"] == ["f1", {"type": "top_k_acc", "args": {"k": 5}}]
    assert tree["class_weights"] == {"0": 2}


def test_a_section_an_option_or_an_argument_that_the_config_leaves_out_can_be_set():
    tree = after("seed=7", "trainer.save_period=2", "loss.args.reduction=sum", "lr_scheduler.warmup=3").tree
    assert tree["seed"] == 7
    assert tree["trainer"] == {"epochs": 3, "save_period": 2}
    assert tree["loss"] == {"type": "mse_loss", "args": {"reduction": "sum"}}
    assert tree["lr_scheduler"] == {"warmup": 3}


def test_a_plus_adds_a_path_that_is_not_there():
    assert after("+mine.deep.value=1").tree["mine"] == {"deep": {"value": 1}}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("trainer.epohcs=3", "trainer has no 'epohcs'; did you mean 'epochs'? (+trainer.epohcs=... adds it)"),
        ("optimizer.arg.lr=1", "optimizer has no 'arg'; did you mean 'args'? (+optimizer.arg.lr=... adds it)"),
        ("metrics.2=f1", "metrics is a list with indices 0 to 1; metrics+=VALUE appends"),
        ("metrics.first=f1", "metrics is a list with indices 0 to 1; metrics+=VALUE appends"),
        ("trainer.epochs.x=1", "trainer.epochs is 3 and has no 'x' in it"),
        ("nothing.x=1", "nothing is null and has no 'x' in it"),
        ("trainer.epochs", USAGE),
        ("trainer..epochs=1", USAGE),
        ("=1", USAGE),
    ],
)
def test_a_path_that_is_not_there_is_refused_with_what_is(text, line):
    assert lines(text) == [f"-s {text}: {line}"]


def test_an_argument_of_a_section_that_no_config_knows_is_refused():
    assert lines("optimzer.args.lr=1")[0].startswith(
        "-s optimzer.args.lr=1: the config has no 'optimzer'; did you mean"
    )
    assert lines("model.args.width=1")[0].startswith("-s model.args.width=1: the config has no 'model'")


def test_all_wrong_paths_are_told_at_once():
    assert [line.split(":")[0] for line in lines("x=1", "trainer.epochs=5", "y.z=2")] == ["-s x=1", "-s y.z=2"]


def test_the_place_of_a_set_value_and_of_all_in_it_is_the_option():
    document = after('optimizer={"type": "SGD", "args": {"lr": 1}}', "trainer.epochs=9")
    assert document.place(("optimizer", "args", "lr")) == '-s optimizer={"type": "SGD", "args": {"lr": 1}}'
    assert document.place(("trainer", "epochs")) == "-s trainer.epochs=9"
    assert document.place(("loss",)).startswith("config.json:1:")


def test_setting_a_value_makes_the_objects_that_lead_to_it():
    document = read_json("{}", "config.json")
    set_value(document, ("optimizer", "args", "lr"), 0.5, "--lr 0.5")
    assert document.tree == {"optimizer": {"args": {"lr": 0.5}}}
    assert document.place(("optimizer", "args")) == "--lr 0.5"


def test_a_list_can_be_appended_to_and_counted_from_its_end():
    assert after("metrics+=f1", "metrics+=f2").tree["metrics"][2:] == ["f1", "f2"]
    assert after("metrics.-1=f1").tree["metrics"] == ["accuracy", "f1"]
    assert after('metrics+={"type": "f1", "args": {"k": 2}}').tree["metrics"][2]["args"] == {"k": 2}
    document = after("metrics+=f1")
    assert document.place(("metrics", 2)) == "-s metrics+=f1"
    assert document.place(("metrics", 1)).startswith("config.json:")


def test_a_key_and_an_item_can_be_deleted():
    assert "loss" not in after("~loss").tree
    assert after("~optimizer.args.lr").tree["optimizer"]["args"] == {}
    document = after("~metrics.0")
    assert document.tree["metrics"] == [{"type": "top_k_acc", "args": {"k": 3}}]
    assert document.place(("metrics", 0, "type")) == after().place(("metrics", 1, "type"))


def test_a_whole_object_replaces_what_was_there():
    tree = after('optimizer={"type": "SGD", "args": {"momentum": 0.9}}', "optimizer.args.momentum=0.5").tree
    assert tree["optimizer"] == {"type": "SGD", "args": {"momentum": 0.5}}


def test_one_set_after_the_other():
    assert after("+mine={}", "+mine.x=[1]", "mine.x+=2", "~mine.x.0").tree["mine"] == {"x": [2]}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("loss+=x", 'loss is {"type": "mse_loss"}, not a list to append to'),
        ("metric+=x", "the config has no 'metric'; did you mean 'metrics'?"),
        ("~metric", "the config has no 'metric'; did you mean 'metrics'?"),
        ("~metrics.7", "metrics is a list with indices 0 to 1"),
        ("~loss=3", USAGE),
        ("~", USAGE),
        ("optimizer={broken", "the value, 2: expected a key in double quotes, found 'b'"),
        ("metrics=[1, 2", "the value, 6: expected ',' or ']', the file ends"),
        ('name="x', 'the value, 1: a text without its closing "'),
        ("extends=base.json", "what a config extends is said in its file"),
        ("+" + ".".join("a" * 101) + "=1", USAGE),
    ],
)
def test_what_cannot_be_appended_deleted_or_read_is_one_line(text, line):
    assert len(lines(text)) == 1
    assert lines(text)[0].startswith(f"-s {text}: {line}")
