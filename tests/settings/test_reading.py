"""read_config: the reader by the file's extension, and one line where there is nothing to read."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings.reading import read_config
from utils.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "text"), [("c.json", '{"a": 1}'), ("c.yaml", "a: 1 # one"), ("c.yml", "a: 1"), ("c.conf", '{"a": 1}')]
)
def test_the_extension_says_how_a_file_is_read_and_json_is_the_default(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    document = read_config(tmp_path / name)
    assert document.tree == {"a": 1}
    assert document.place(("a",)).startswith(f"{tmp_path / name}:1:")


def test_a_file_is_read_as_utf_8_whatever_the_locale(tmp_path):
    (tmp_path / "c.json").write_bytes('{"name": "Größe"}'.encode())
    code = "import pathlib, sys; from settings.reading import read_config; "
    code += "print(ascii(read_config(pathlib.Path(sys.argv[1])).tree['name']))"
    ascii_only = {**os.environ, "LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", code, str(tmp_path / "c.json")]
    done = subprocess.run(command, cwd=ROOT, env=ascii_only, capture_output=True, text=True)
    assert done.stdout.strip() == ascii("Größe"), done.stderr


def test_a_line_break_of_windows_counts_as_one_line(tmp_path):
    (tmp_path / "c.json").write_bytes(b'{\r\n"a": 1\r\n}')
    assert read_config(tmp_path / "c.json").place(("a",)) == f"{tmp_path / 'c.json'}:2:1"


def test_a_missing_file_a_folder_and_a_file_of_bytes_are_refused_in_one_line_each(tmp_path):
    (tmp_path / "bytes.json").write_bytes(b'{"a": "\xff"}')
    lines = []
    for name in ("missing.json", "", "bytes.json"):
        with pytest.raises(ConfigError) as caught:
            read_config(tmp_path / name)
        lines += caught.value.faults
    assert lines == [
        f"{tmp_path}/missing.json: no such file",
        f"{tmp_path}: a folder, not a config file (to go on with a run: -r {tmp_path})",
        f"{tmp_path}/bytes.json:1:8: not UTF-8 text (invalid start byte); save the file as UTF-8",
    ]
