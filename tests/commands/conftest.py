"""What the tests of commands share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

OLD = """
from base import BaseTrainer

class Old(BaseTrainer):
    def __init__(self, *args, config, **others):
        super().__init__(*args, config)
    def _train_epoch(self, epoch):
        return {"loss": 0.0}
"""


@pytest.fixture
def old_trainer(project_copy: Path) -> Path:
    """A trainer with a loop of its own, `old.Old`, in a copy of the project."""
    (project_copy / "trainer" / "old.py").write_text(OLD)
    return project_copy


@pytest.fixture
def command(tmp_path: Path, digits_config: dict[str, Any], run_command: Callable) -> Callable[..., Any]:
    """Runs train.py with a config and options; what it changed on disk is in `.left`."""

    def run(config: dict[str, Any] | None, *options: object, **environment: str) -> Any:
        config = digits_config if config is None else config
        config["trainer"]["save_dir"] = str(tmp_path / "runs")
        (tmp_path / "config.json").write_text(json.dumps(config, indent=4))
        before = sorted(tmp_path.rglob("*"))
        done = run_command("train.py", "-c", tmp_path / "config.json", *options, **environment)
        done.left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
        done.lines = done.stderr.replace(f"{tmp_path}/", "").splitlines()
        return done

    return run
