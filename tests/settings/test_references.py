"""Values that refer to others."""

import json
from typing import Any

import pytest

from settings.document import Document
from settings.read_json import read_json
from settings.references import escape, is_late, provide, resolve
from utils.errors import ConfigError

LATE = {"data.num_classes": 7, "data.input_shape": [1, 8, 8], "run.total_steps": 800}


def resolved(tree: dict[str, Any]) -> Document:
    document = read_json(json.dumps(tree, indent=4), "config.json")
    resolve(document)
    return document


def lines(tree: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolved(tree)
    return caught.value.faults


def test_a_whole_value_is_referred_to_with_its_type_and_within_a_text_as_text():
    tree = {
        "trainer": {"epochs": 4, "deep": {"list": [1, {"x": True}]}},
        "a": "${trainer.epochs}",
        "b": "run_${trainer.epochs}_${c}",
        "c": "${trainer.deep.list.1.x}",
        "d": "${trainer.deep}",
        "e": "${metrics.-1}",
        "metrics": ["f1", "f2"],
    }
    found = resolved(tree).tree
    assert [found[key] for key in "abcde"] == [4, "run_4_true", True, {"list": [1, {"x": True}]}, "f2"]
    found["d"]["list"].append(9)
    assert found["trainer"]["deep"]["list"] == [1, {"x": True}]


def test_references_may_refer_to_references_in_any_order():
    assert resolved({"a": "${b}", "b": ["${c.d}"], "c": {"d": "${e}"}, "e": 1}).tree["a"] == [1]


def test_the_environment_gives_values_as_the_command_line_does(monkeypatch):
    monkeypatch.setenv("HOTPLATE_TEST", "1e-3")
    monkeypatch.setenv("HOTPLATE_WORD", "some/folder")
    monkeypatch.delenv("HOTPLATE_NONE", raising=False)
    tree = {
        "a": "${env:HOTPLATE_TEST}",
        "b": "${env:HOTPLATE_WORD}",
        "c": "${env:HOTPLATE_WORD}/${env:HOTPLATE_TEST}",
        "d": "${env:HOTPLATE_NONE:-data/}",
        "e": "${env:HOTPLATE_NONE:-3}",
        "f": "${env:HOTPLATE_WORD:-unused}",
    }
    assert list(resolved(tree).tree.values()) == [1e-3, "some/folder", "some/folder/1e-3", "data/", 3, "some/folder"]
    assert lines({"a": "${env:HOTPLATE_NONE}"}) == [
        "config.json:2:5: a: ${env:HOTPLATE_NONE}: there is no such environment variable; "
        "${env:HOTPLATE_NONE:-VALUE} gives a default"
    ]


@pytest.mark.parametrize(
    ("tree", "line"),
    [
        (
            {"trainer": {"epochs": 1}, "a": "${trainer.epohcs}"},
            "a: ${trainer.epohcs}: trainer has no 'epohcs'; did you",
        ),
        ({"name": 1, "a": "${nam}"}, "a: ${nam}: the config has no 'nam'; did you mean 'name'"),
        (
            {"a": "${data.num_clases}"},
            "a: ${data.num_clases}: the config has no 'data'; did you mean 'data.num_classes'",
        ),
        ({"b": [1], "a": "${b.1}"}, "a: ${b.1}: b has 1 items, counted from 0"),
        ({"b": 1, "a": "${b.c}"}, "a: ${b.c}: b is 1, with no 'c' in it"),
        ({"b": {}, "a": "x${b}"}, "a: ${b} is no text or number, and must stand alone"),
        ({"a": "${"}, "a: '${': write ${KEY.PATH}, ${env:NAME}, or $${ for a plain ${"),
        ({"a": "${a b"}, "a: '${a b': write ${KEY.PATH}"),
        ({"a": "${}"}, "a: ${}: the config has no ''"),
        ({"a": "${a}"}, "a: refers to itself: a -> a"),
        ({"a": {"b": ["${a}"]}}, "a.b.0: refers to itself: a.b.0 -> a"),
        (
            {"trainer": {"epochs": "${run.total_steps}"}},
            "trainer.epochs: ${run.total_steps} is known only once the data",
        ),
        ({"seed": "${data.num_classes}"}, "seed: ${data.num_classes} is known only once the data is built"),
    ],
)
def test_a_reference_that_leads_nowhere_is_one_line(tree, line):
    found = lines(tree)
    assert len(found) == 1, found
    assert found[0].split(": ", 1)[1].startswith(line)


def test_a_circle_is_told_once_and_all_other_faults_with_it():
    found = lines({"a": "${b}", "b": "${c}", "c": "${a}", "d": "${nothing}", "e": "${a}", "f": "${d}"})
    assert [line.split(": ", 1)[1] for line in found] == [
        "c: refers to itself: a -> b -> c -> a",
        "d: ${nothing}: the config has no 'nothing'; there is a, b, c, d, data.input_shape, data.n_samples, "
        "data.num_classes, data.vocabulary_size, e, env:NAME, f, run.steps_per_epoch, run.total_steps",
    ]


def test_references_that_grow_without_bound_are_refused():
    tree: dict[str, Any] = {"x0": ["lol"] * 10}
    for number in range(1, 12):
        tree[f"x{number}"] = [f"${{x{number - 1}}}"] * 10
    assert "more than 100,000 values" in lines(tree)[0]
    deep: Any = "end"
    for _ in range(60):
        deep = [deep]
    inside: Any = "${deep}"
    for _ in range(60):
        inside = [inside]
    assert "nested deeper than 100 levels" in lines({"deep": deep, "inside": inside})[0]


def test_what_is_known_only_later_waits_and_is_put_in_place_when_it_is_known():
    document = resolved(
        {
            "arch": {"args": {"n": "${data.num_classes}", "shape": "${data.input_shape}", "copy": "${arch.args.n}"}},
            "mine": "of_${data.num_classes}_in_${run.total_steps}",
        }
    )
    assert is_late(document.tree["arch"]["args"]["n"])
    provide(document, LATE.__getitem__)
    assert document.tree == {"arch": {"args": {"n": 7, "shape": [1, 8, 8], "copy": 7}}, "mine": "of_7_in_800"}
    assert document.references["arch", "args", "n"] == "${data.num_classes}"


def test_what_the_data_cannot_tell_is_one_line_where_it_is_asked_for():
    document = resolved({"arch": {"n": "${data.vocabulary_size}"}})

    def value_of(name: str) -> Any:
        raise LookupError("it does not say")

    with pytest.raises(ConfigError) as caught:
        provide(document, value_of)
    assert caught.value.faults == ["config.json:3:9: arch.n: ${data.vocabulary_size}: it does not say"]


@pytest.mark.parametrize("section", ["arch", "optimizer", "lr_scheduler", "loss", "metrics"])
def test_a_section_cannot_be_what_is_known_later(section):
    with pytest.raises(ConfigError, match=r"\$\{data.num_classes\} is a value, no section"):
        resolved({section: "${data.num_classes}"})


def test_a_section_of_ones_own_goes_before_what_is_known_later():
    assert resolved({"data": {"num_classes": 3}, "seed": "${data.num_classes}"}).tree["seed"] == 3


def test_a_doubled_dollar_is_a_plain_one_and_a_config_can_be_written_back():
    tree = resolved({"a": "$${x}", "b": "$5", "c": "${a}", "d": "$${x}${b}"}).tree
    assert tree == {"a": "${x}", "b": "$5", "c": "${x}", "d": "${x}$5"}
    assert resolved(escape(tree)).tree == tree


def test_only_the_paths_asked_for_are_resolved():
    document = Document({"a": "${b}", "b": "${nothing}", "c": "${d}", "d": 2})
    resolve(document, [("c",)])
    assert document.tree == {"a": "${b}", "b": "${nothing}", "c": 2, "d": 2}
