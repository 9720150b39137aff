"""Makes docstrings.csv from the source files of Python's standard library.

    python make_docstrings.py path/to/lib/python3.11 [docstrings.csv]

A row is a sentence of a docstring, and the part of the library that it comes from. Files that other people than
Python's own hold the copyright of are left out, and so are sentences that stand in two parts.
"""

import argparse
import ast
import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

MOST = 900  # sentences of a part
PARTS = {
    "concurrency": "asyncio concurrent contextlib multiprocessing queue sched signal subprocess threading",
    "files": "bz2 dbm filecmp fileinput fnmatch genericpath glob gzip linecache lzma ntpath os pathlib posixpath "
    "_pyio shelve shutil tempfile zipapp zipfile",
    "network": "cgi ftplib http imaplib ipaddress nntplib poplib selectors smtplib socket ssl telnetlib urllib "
    "webbrowser wsgiref",
    "numbers": "bisect calendar colorsys datetime decimal _pydecimal fractions heapq numbers random statistics "
    "_strptime zoneinfo",
    "windows": "curses idlelib tkinter",
}
OTHERS = re.compile(r"Copyright (?!.*Python Software Foundation)")
GIVEN = "Licensed to PSF under a Contributor Agreement"
SENTENCE = re.compile(r"[A-Z][^<>=\\{}|_]*[.!?]")


def files(library: Path, names: str) -> Iterator[Path]:
    """The source files of some modules and packages, without their tests."""
    for name in names.split():
        found = [library / f"{name}.py"] if (library / f"{name}.py").exists() else (library / name).rglob("*.py")
        yield from sorted(file for file in found if not {"test", "tests", "idle_test"} & set(file.parts))


def sentences(source: str) -> Iterator[str]:
    """The sentences of 5 to 40 words in the docstrings of a source file, without examples and lists."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
            if re.search(r"^\s*(>>>|[:|+*@-])", paragraph, re.MULTILINE):
                continue
            for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
                if SENTENCE.fullmatch(sentence) and 5 <= len(sentence.split()) <= 40:
                    yield sentence


def main(library: Path, target: Path) -> None:
    parts_of = defaultdict(set)
    for part, names in PARTS.items():
        for file in files(library, names):
            source = file.read_text(encoding="utf-8")
            if GIVEN in source or not OTHERS.search(source):
                for sentence in sentences(source):
                    parts_of[sentence].add(part)
    rows = []
    for part in PARTS:
        of_part = [sentence for sentence, parts in parts_of.items() if parts == {part}]
        of_part.sort(key=lambda sentence: blake2b(sentence.encode()).digest())  # an order without a meaning
        rows += [(part, sentence) for sentence in of_part[:MOST]]
    with open(target, "w", encoding="utf-8", newline="") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("class", "text"))
        writer.writerows(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make docstrings.csv from Python's standard library")
    parser.add_argument("library", type=Path, help="folder of the standard library")
    parser.add_argument("target", nargs="?", type=Path, default="docstrings.csv", help="file to write")
    args = parser.parse_args()
    main(args.library, args.target)
