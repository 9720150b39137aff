"""JSON, read strictly and with the place of every value.

The standard library's scanners do the lexical work; this adds places, and refuses what `json.load` lets pass: the same
key twice, NaN, an object nested too deep to print.
"""

import re
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Any, NoReturn

from settings.document import Document, KeyPath
from utils.errors import ConfigError

NUMBER = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][-+]?[0-9]+)?")  # of digits 0 to 9 only
BLANK = re.compile(r"[ \t\n\r]*")
WORD = re.compile(r"[A-Za-z_+\-][A-Za-z_0-9]*")
WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}
DEEPEST = 100


def read_json(text: str, name: str) -> Document:
    """The config in a JSON text; raises ConfigError at the line and column of the first fault."""
    reader = _Reader(text, name)
    tree = reader.document()
    if not isinstance(tree, dict):
        raise ConfigError(f"{name}:1:1: a config is an object in braces {{...}}, not {type(tree).__name__}")
    return Document(tree, reader.places, name)


def parse_value(text: str) -> Any:
    """The value of one JSON text; raises ConfigError if it is none."""
    return _Reader(text, "value").document()


def word_or_json(text: str) -> Any:
    """The value of a text outside a config file (-s, an environment variable): JSON, or else the bare word.

    Raises ConfigError for what begins like a list, an object or a quoted text, and is none.
    """
    try:
        return parse_value(PYTHON_WORDS.get(text, text))
    except ConfigError:
        if text.startswith(("{", "[", '"')):
            raise
        return text


class _Reader:
    def __init__(self, text: str, name: str) -> None:
        self.text, self.name = text, name
        self.places: dict[KeyPath, str] = {}

    def document(self) -> Any:
        if self.text.startswith("\ufeff"):
            self.fail(0, "the file starts with a byte order mark; save it as UTF-8 without BOM")
        if not self.text.strip():
            self.fail(0, "the file is empty")
        value, end = self.value(self.blank(0), ())
        end = self.blank(end)
        if end < len(self.text):
            self.fail(end, "more text after the end of the config")
        return value

    def value(self, at: int, path: KeyPath) -> tuple[Any, int]:
        self.places.setdefault(path, self.place(at))
        if len(path) > DEEPEST:
            self.fail(at, f"nested deeper than {DEEPEST} levels")
        start = self.text[at : at + 1]
        if start == "{":
            return self.object(at + 1, path)
        if start == "[":
            return self.array(at + 1, path)
        if start == '"':
            return self.string(at)
        if number := NUMBER.match(self.text, at):
            return self.number(at, number)
        word = WORD.match(self.text, at)
        if word and word[0] in WORDS:
            return WORDS[word[0]], word.end()
        return self.unexpected(at, word[0] if word else start)

    def object(self, at: int, path: KeyPath) -> tuple[dict[str, Any], int]:
        result: dict[str, Any] = {}
        at = self.blank(at)
        if self.text[at : at + 1] == "}":
            return result, at + 1
        while True:
            if self.text[at : at + 1] != '"':
                self.unexpected_key(at)
            key, end = self.string(at)
            if key in result:
                self.fail(at, f"the key {key!r} stands here a second time; first at {self.places[(*path, key)]}")
            self.places[(*path, key)] = self.place(at)
            end = self.blank(end)
            if self.text[end : end + 1] != ":":
                self.fail(end, f"expected ':' after the key {key!r}")
            result[key], end = self.value(self.blank(end + 1), (*path, key))
            at, done = self.next_item(end, "}")
            if done:
                return result, at

    def array(self, at: int, path: KeyPath) -> tuple[list[Any], int]:
        result: list[Any] = []
        at = self.blank(at)
        if self.text[at : at + 1] == "]":
            return result, at + 1
        while True:
            item, end = self.value(at, (*path, len(result)))
            result.append(item)
            at, done = self.next_item(end, "]")
            if done:
                return result, at

    def next_item(self, end: int, closing: str) -> tuple[int, bool]:
        at = self.blank(end)
        sign = self.text[at : at + 1]
        if sign == closing:
            return at + 1, True
        if sign != ",":
            if sign and (sign in '"[{-' or sign.isalnum()):
                self.fail(end, "a comma is missing here")
            found = self.hint(at) if sign else ", the file ends"
            self.fail(at if sign else end, f"expected ',' or '{closing}'" + found)
        after = self.blank(at + 1)
        if self.text[after : after + 1] == closing:
            self.fail(at, f"a comma before '{closing}'; JSON takes none after the last item")
        return after, False

    def string(self, at: int) -> tuple[str, int]:
        try:
            value, end = scanstring(self.text, at + 1, True)
            value.encode()
            return value, end
        except UnicodeEncodeError:
            self.fail(at, "half of a surrogate pair, which is no character")
        except JSONDecodeError as error:
            said = {"Unterminated string starting at": 'a text without its closing "'}.get(error.msg)
            self.fail(
                error.pos,
                said or f'{error.msg[0].lower()}{error.msg[1:].removesuffix(" at")} (is a closing " missing?)',
            )

    def number(self, at: int, match: re.Match[str]) -> tuple[int | float, int]:
        integer, fraction, exponent = match.groups()
        after = self.text[match.end() : match.end() + 1]
        if after.isalnum() or after == ".":
            self.fail(at, f"{match[0] + after!r}... is no number")
        try:
            value = float(integer + (fraction or "") + (exponent or "")) if fraction or exponent else int(integer)
        except ValueError:
            self.fail(at, "a number of too many digits")
        if value in (float("inf"), float("-inf")):
            self.fail(at, f"{match[0]} is too large for a number")
        return value, match.end()

    def blank(self, at: int) -> int:
        return BLANK.match(self.text, at).end()  # type: ignore[union-attr]

    def unexpected(self, at: int, found: str) -> NoReturn:
        if found in PYTHON_WORDS:
            self.fail(at, f"{found} is Python; write {PYTHON_WORDS[found]}")
        if found in ("NaN", "Infinity", "-Infinity", "nan", "inf", "-inf"):
            self.fail(at, f"{found}: JSON has no such number")
        self.fail(at, "expected a value" + (f", found {found!r}" if found else ", the file ends") + self.hint(at))

    def unexpected_key(self, at: int) -> NoReturn:
        found = self.text[at : at + 1]
        self.fail(
            at,
            "expected a key in double quotes" + (f", found {found!r}" if found else ", the file ends") + self.hint(at),
        )

    def hint(self, at: int) -> str:
        if self.text.startswith(("//", "/*", "#"), at):
            return "; JSON has no comments (a .yaml config has)"
        return "; JSON takes double quotes only" if self.text[at : at + 1] == "'" else ""

    def place(self, at: int) -> str:
        line = self.text.count("\n", 0, at) + 1
        return f"{self.name}:{line}:{at - self.text.rfind(chr(10), 0, at)}"

    def fail(self, at: int, text: str) -> NoReturn:
        raise ConfigError(f"{self.place(at)}: {text}")
