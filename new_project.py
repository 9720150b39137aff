"""Starts a project: python new_project.py ../MyProject

Copies what a project needs (code, configs, the digits, tests), and nothing of this repository's own: no runs,
downloads, caches or history, and, in a git checkout, no file that git does not track.
"""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import click

SOURCE = Path(__file__).resolve().parent
LEFT = {
    *(".git", ".github", ".ci", ".venv", "venv", "benchmarks", "docs", "new_project.py", "uv.lock"),
    *("README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md"),
    *("tests/old_projects", "tests/test_old_projects.py"),
    *("tests/test_new_project.py", "tests/test_benchmarks.py", "tests/test_docs.py"),
}
CACHES = shutil.ignore_patterns("__pycache__", ".*_cache", "*.egg-info", "build", "dist")
KEPT_DATA = {
    *("README.md", "digits.npz", "make_digits.py"),
    *("docstrings.csv", "make_docstrings.py", "PYTHON_LICENSE.txt"),
}

README = """# {name}

    python3 -m venv .venv && .venv/bin/pip install -e ".[dev]"
    .venv/bin/python train.py -c config.json                # train
    .venv/bin/python train.py -r saved/models/NAME/RUN      # go on with a run, exactly where it was
    .venv/bin/python test.py -r saved/models/NAME/RUN       # evaluate its best checkpoint
    .venv/bin/python -m pytest

Made from Hotplate. Data loaders live in `data_loader/data_loaders.py`, models in `model/model.py`, losses and metrics
beside them, the loop in `trainer/trainer.py`; `config.json` names what is used.
"""


@click.command(help=__doc__)
@click.argument("target", type=click.Path(path_type=Path))
def main(target: Path) -> None:
    if target.exists():
        raise click.UsageError(f"{target} exists; name a folder that does not")
    if SOURCE in target.resolve().parents:
        raise click.UsageError(f"{target} lies inside this project; name a folder beside it")
    shutil.copytree(SOURCE, target, ignore=_ignored)
    (target / "README.md").write_text(README.format(name=target.resolve().name), encoding="utf-8")
    pyproject = target / "pyproject.toml"
    name = re.sub(r"[^a-z0-9]+", "-", target.resolve().name.lower()).strip("-") or "project"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace('"hotplate', f'"{name}'), encoding="utf-8")
    print(f"{target} is ready; its README.md says how to set it up and train.")


def _ignored(folder: str, names: list[str]) -> set[str]:
    inside = Path(folder).relative_to(SOURCE).as_posix()
    left = {name for name in names if (name if inside == "." else f"{inside}/{name}") in LEFT}
    if inside == "saved":
        left |= set(names) - {".gitkeep"}
    if inside == "data":
        left |= set(names) - KEPT_DATA
    if (tracked := _tracked()) is not None:
        left |= {name for name in names if not any(f"{path}/".startswith(_inside(inside, name)) for path in tracked)}
    return left | CACHES(folder, names)


def _inside(folder: str, name: str) -> str:
    return f"{name}/" if folder == "." else f"{folder}/{name}/"


@cache
def _tracked() -> list[str] | None:
    """The files that git tracks; None outside a git checkout."""
    if not (SOURCE / ".git").exists():
        return None
    listed = subprocess.run(["git", "ls-files"], cwd=SOURCE, capture_output=True, text=True)
    return listed.stdout.splitlines() if listed.returncode == 0 else None


if __name__ == "__main__":
    main()
