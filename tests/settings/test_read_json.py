"""read_json: what json.loads reads, with places, and one line for what it refuses."""

import json
import random
import re
from typing import Any

import pytest

from settings.read_json import parse_value, read_json
from utils.errors import ConfigError

LETTERS = "ab Z_0/\\\"'\n\t{}[],:é€\U0001f600\u2028"
SIGNS = "{}[]\",:0123456789eE+-.truefalsn \n\t'/#\\u\u0663\x00\x0b\u00a0é"
STRICTER = (
    "second time",
    "no such number",
    "nested deeper",
    "too large",
    "a config is an object",
    "half of a surrogate",
)


def random_value(draw: random.Random, depth: int) -> Any:
    kind = draw.randrange(8 if depth else 6)
    if kind == 0:
        return draw.choice([True, False, None])
    if kind == 1:
        return draw.choice([draw.randrange(-9, 9), draw.randrange(10**30), -(2**63)])
    if kind == 2:
        return draw.choice([draw.random(), -0.0, 1e300, 5e-324, draw.uniform(-1e9, 1e9), 1e16])
    if kind in (3, 4, 5):
        return random_text(draw)
    if kind == 6:
        return [random_value(draw, depth - 1) for _ in range(draw.randrange(5))]
    return random_object(draw, depth - 1)


def random_text(draw: random.Random) -> str:
    return "".join(draw.choices(LETTERS, k=draw.randrange(6)))


def random_object(draw: random.Random, depth: int) -> dict[str, Any]:
    return {random_text(draw): random_value(draw, depth) for _ in range(draw.randrange(5))}


def random_document(draw: random.Random) -> str:
    separators = draw.choice([(",", ":"), (" ,\n", "\t:\r\n "), (", ", ": ")])
    text = json.dumps(
        random_object(draw, 4),
        indent=draw.choice([None, 1, "\t"]),
        ensure_ascii=draw.random() < 0.5,
        separators=separators,
    )
    return draw.choice(["", "\n \t"]) + text.replace("e+", draw.choice(["e+", "E+", "e"])) + draw.choice(["", "\n"])


def mutated(draw: random.Random, text: str) -> str:
    for _ in range(draw.randrange(1, 3)):
        at, end = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
        text = draw.choice(
            [
                text[:at] + draw.choice(SIGNS) + text[at:],
                text[:at] + text[at + 1 :],
                text[:at] + draw.choice(SIGNS) + text[at + 1 :],
                text[:at],
                text[:end] + text[at:end] + text[end:],
                text[:at] + draw.choice(["NaN", "-Infinity", "1e999", "True", "// x", "01", "1٣", "{}"]) + text[at:],
            ]
        )
    return text


def outcome(text: str) -> Any:
    """The tree as text, in which 1, 1.0 and true differ, or the error."""
    try:
        return repr(read_json(text, "config.json").tree)
    except ConfigError as error:
        return error


def offset(text: str, place: str) -> int:
    """Where in the text a place such as "config.json:3:7" points."""
    name, line, column = place.split(":")
    assert name == "config.json"
    lines = text.split("\n")
    assert 1 <= int(line) <= len(lines)
    assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1
    return sum(len(before) + 1 for before in lines[: int(line) - 1]) + int(column) - 1


def test_every_random_document_is_read_as_json_loads_reads_it():
    draw = random.Random(0)
    for _ in range(500):
        text = random_document(draw)
        assert outcome(text) == repr(json.loads(text)), text


def test_every_place_points_at_its_key_or_at_its_list_item():
    draw, decoder = random.Random(1), json.JSONDecoder()
    for _ in range(100):
        text = random_document(draw)
        document = read_json(text, "config.json")
        for path, place in document.places.items():
            value: Any = document.tree
            for key in path:
                value = value[key]
            wanted = path[-1] if path and isinstance(path[-1], str) else value
            assert repr(decoder.raw_decode(text, offset(text, place))[0]) == repr(wanted), (text, path)


def test_places_are_in_the_order_of_the_file():
    text = '{"b": [1, {"a": 2}],\n "a": 3}'
    assert read_json(text, "f").places == {
        (): "f:1:1",
        ("b",): "f:1:2",
        ("b", 0): "f:1:8",
        ("b", 1): "f:1:11",
        ("b", 1, "a"): "f:1:12",
        ("a",): "f:2:2",
    }
    assert list(read_json(text, "f").places)[-1] == ("a",)


def test_a_damaged_document_is_refused_in_one_line_with_its_place_or_read_as_json_loads_reads_it():
    draw, refused, stricter = random.Random(2), 0, 0
    for _ in range(1500):
        text = mutated(draw, random_document(draw))
        found = outcome(text)
        if isinstance(found, ConfigError):
            assert len(found.faults) == 1
            line = str(found)
            assert re.fullmatch(r"config\.json:\d+:\d+: [^\n]+", line), (text, line)
            offset(text, line.split(": ")[0])
        try:
            wanted = repr(json.loads(text))
        except json.JSONDecodeError:
            assert isinstance(found, ConfigError), text
            refused += 1
            continue
        if isinstance(found, ConfigError):
            assert any(reason in str(found) for reason in STRICTER), (text, str(found))
            stricter += 1
        else:
            assert found == wanted, text
    assert refused > 500
    assert stricter > 10


@pytest.mark.parametrize("number", ["1٣", "1.٣", "1e٣", "01", "1.", ".5", "+1", "0x10", "1_000", "--1", "1e"])
def test_what_json_takes_for_no_number_is_refused(number):
    with pytest.raises(json.JSONDecodeError):
        json.loads(f'{{"a": {number}}}')
    with pytest.raises(ConfigError, match=r"^config.json:1:\d+: "):
        read_json(f'{{"a": {number}}}', "config.json")


COMMENT = "; JSON has no comments (a .yaml config has)"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"a": 1, // x\n}', f"1:10: expected a key in double quotes, found '/'{COMMENT}"),
        ('{"a": 1 /* x */}', f"1:9: expected ',' or '}}'{COMMENT}"),
        ('{\n  "a": # x\n1}', f"2:8: expected a value, found '#'{COMMENT}"),
        ("{'a': 1}", '1:2: expected a key in double quotes, found "\'"; JSON takes double quotes only'),
        ("{\"a\": 'x'}", '1:7: expected a value, found "\'"; JSON takes double quotes only'),
        ('{"a": True}', "1:7: True is Python; write true"),
        ('{"a":\n None}', "2:2: None is Python; write null"),
        ('{"a": NaN}', "1:7: NaN: JSON has no such number"),
        ('{"a": -Infinity}', "1:7: -Infinity: JSON has no such number"),
        ('{"a": 1e999}', "1:7: 1e999 is too large for a number"),
        ("\ufeff{}", "1:1: the file starts with a byte order mark; save it as UTF-8 without BOM"),
        ("", "1:1: the file is empty"),
        (" \n\t", "1:1: the file is empty"),
        ("[1]", "1:1: a config is an object in braces {...}, not list"),
        ('{"a": 1,\n "a": 2}', "2:2: the key 'a' stands here a second time; first at config.json:1:2"),
        ('{"a": [1, 2,\n]}', "1:12: a comma before ']'; JSON takes none after the last item"),
        ('{"a": 1\n "b": 2}', "1:8: a comma is missing here"),
        ('{"a" 1}', "1:6: expected ':' after the key 'a'"),
        ('{"a": 1} {', "1:10: more text after the end of the config"),
        ('{"a": ', "1:7: expected a value, the file ends"),
    ],
)
def test_a_common_slip_is_named_at_its_place(text, line):
    with pytest.raises(ConfigError) as caught:
        read_json(text, "config.json")
    assert caught.value.faults == [f"config.json:{line}"]


@pytest.mark.parametrize("depth", [5_000, 100_000])
def test_a_config_nested_too_deep_is_refused_and_never_overflows_the_stack(depth):
    with pytest.raises(ConfigError, match="nested deeper than 100 levels"):
        read_json('{"a":' * depth, "config.json")


def test_a_number_of_too_many_digits_is_refused():
    with pytest.raises(ConfigError, match=r"^config.json:1:7: .*digits"):
        read_json(f'{{"a": {"9" * 5000}}}', "config.json")


@pytest.mark.parametrize("blank", ["\x0b", "\x0c", "\u00a0", "\u2028", "\ufeff"])
def test_only_the_four_blanks_of_json_may_stand_between_values(blank):
    with pytest.raises(ConfigError, match=r"^config.json:1:6: "):
        read_json(f'{{"a":{blank}1}}', "config.json")


def test_parse_value_reads_any_json_text_and_refuses_the_rest():
    assert parse_value(' [1, {"a": null}] ') == [1, {"a": None}]
    assert parse_value('"1"') == "1"
    with pytest.raises(ConfigError):
        parse_value("min val_loss")
