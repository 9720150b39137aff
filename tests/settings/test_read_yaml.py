"""read_yaml: safe YAML with places, and one line for what it refuses."""

import json

import pytest
import yaml

from settings.read_json import read_json
from settings.read_yaml import read_yaml
from utils.errors import ConfigError


def fault(text):
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "config.yaml")
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_the_same_config_as_json_and_as_yaml_is_the_same_tree(digits_config):
    text = yaml.safe_dump(digits_config, sort_keys=False)
    assert read_yaml(text, "c.yaml").tree == read_json(json.dumps(digits_config), "c.json").tree


def test_every_value_knows_its_line_and_column():
    document = read_yaml("# a comment\narch:\n  type: Net\nmetrics: [accuracy, {type: f1}]\n", "c.yaml")
    assert document.place(("arch", "type")) == "c.yaml:3:3"
    assert document.place(("metrics", 0)) == "c.yaml:4:11"
    assert document.place(("metrics", 1, "type")) == "c.yaml:4:22"
    assert list(document.places)[:3] == [(), ("arch",), ("arch", "type")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("1E5", 1e5),
        ("-2.5e+4", -2.5e4),
        (".5e3", 500.0),
        ("'1e-3'", "1e-3"),
        ("e5", "e5"),
        ("1e", "1e"),
        ("yes", True),
        ("off", False),
        ("'yes'", "yes"),
        ("~", None),
        ("", None),
        ("010", 8),
    ],
)
def test_a_plain_word_is_what_yaml_says_and_an_exponent_makes_a_number(text, value):
    found = read_yaml(f"a: {text}", "c.yaml").tree["a"]
    assert (found, type(found)) == (value, type(value))


def test_numbers_with_exponents_leave_the_yaml_module_itself_as_it_was():
    assert yaml.safe_load("1e-3") == "1e-3"


def test_an_alias_gives_a_copy_of_its_own():
    tree = read_yaml("a: &x {b: 1}\nc: *x\n", "c.yaml").tree
    tree["a"]["b"] = 2
    assert tree["c"] == {"b": 1}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\na: 2", "2:1: the key 'a' stands here a second time; first at config.yaml:1:1"),
        ("b:\n  a: 2020-01-31", "2:6: '2020-01-31' is a date; put it in quotes"),
        ("a: &x [*x]", "1:4: an alias to something that it stands in"),
        ("a: &x {b: {c: *x}}", "1:4: an alias to something that it stands in"),
        ("a: *b", "1:4: found undefined alias 'b'"),
        ("a:\n\t- 1", "2:1: found character '\\t' that cannot start any token"),
        ("1: a", "1:1: keys are words; put this one in quotes"),
        ("yes: a", "1:1: keys are words; put this one in quotes"),
        ("- a", "1:1: a config is a mapping of keys to values, not list"),
        ("# nothing", "1:1: the file is empty"),
    ],
)
def test_a_fault_is_one_line_at_its_place(text, line):
    assert fault(text) == f"config.yaml:{line}"


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object:os.system x",
        "!!python/name:os.system x",
        '!!python/object/apply:os.system ["ls"]',
        "!!python/tuple [1, 2]",
        "!!python/object:fractions.Fraction {a: 1}",
        "!mine [1]",
        "!!set {a, b}",
        "!!binary aGk=",
    ],
)
def test_a_tag_that_plain_data_has_not_is_refused(value):
    assert fault(f"b: 1\na: {value}").startswith("config.yaml:2:4: ")


def test_a_control_character_is_refused_in_one_line():
    assert fault("a: 1\nb: \x00").startswith("config.yaml:")


def test_a_config_nested_too_deep_is_refused_in_one_line():
    assert "nested" in fault("a: " + "[" * 5000)


@pytest.mark.parametrize("value", [".inf", ".nan", "1e999"])
def test_a_number_that_json_has_not_is_refused_since_a_run_stores_its_config_as_json(value):
    assert fault(f"a: {value}").startswith("config.yaml:1:4: ")


def test_two_documents_in_one_file_are_refused_in_words_that_say_so():
    assert fault("a: 1\n---\nb: 2") == "config.yaml:2:1: expected a single document in the stream"
