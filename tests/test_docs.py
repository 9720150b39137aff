"""What docs/config.md shows is what the commands say."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "config.md"
FILE = re.compile(r"`(\w+\.json)`:\n\n```json\n(.*?)```", re.DOTALL)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
NOT_SHOWN = re.compile(
    r"[\d.]+ (s|min|h|MB|GB|TB)\b|\d+\.\d+(?=[, )\n])|\d{4}_\d{6}|:\d+(?=[),\n ])"
)  # differ by machine


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, with the files of the page."""
    folder = tmp_path_factory.mktemp("docs") / "project"
    left = shutil.ignore_patterns(".*", "saved", "tests", "__pycache__", "*.egg-info", "build", "MNIST", "*.gz")
    shutil.copytree(ROOT, folder, ignore=left)
    for name, text in FILE.findall(PAGE.read_text(encoding="utf-8")):
        (folder / name).write_text(text)
    return folder


def shown() -> list[tuple[str, str]]:
    """Each command of the page, with the output below it."""
    found = []
    for block in CONSOLE.findall(PAGE.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def said(command: str, folder: Path) -> str:
    words = shlex.split(command.replace("python ", f"{sys.executable} ", 1))
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(("command", "output"), shown(), ids=[command for command, _ in shown()])
def test_a_command_says_what_the_page_shows(command: str, output: str, project: Path) -> None:
    found = said(command, project).splitlines()
    for line in output.splitlines():
        if line not in ("", "..."):
            assert any(_plain(line) == _plain(other) for other in found), f"{line}\nis not in\n" + "\n".join(found)


def _plain(line: str) -> str:
    return re.sub(r"\s+", " ", NOT_SHOWN.sub("#", line + "\n")).strip()
