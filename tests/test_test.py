"""test.py from the outside: which checkpoint it takes, and what it says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from data_loader.data_loaders import DigitsDataLoader
from parse_config import ConfigParser
from test import set_test_section
from utils.errors import ConfigError

ROOT = Path(__file__).parent.parent


@pytest.fixture
def run(tmp_path: Path, digits_config: dict[str, Any], run_command: Callable) -> Path:
    """The folder of a short run."""
    digits_config["trainer"] |= {"save_period": 1}
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    trained = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    assert trained.returncode == 0, trained.stderr
    return tmp_path / "models" / "Digits" / "run"


def test_a_run_means_its_best_checkpoint_and_a_file_itself(run: Path, run_command: Callable) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    assert run_command("test.py", "-r", run).returncode == 0
    written = json.loads((run / "test.json").read_text())
    best = torch.load(run / "model_best.pth", weights_only=True)
    assert written["checkpoint"] == "model_best.pth"
    assert written["step"] == best["step"]
    assert written["n_samples"] == 360
    assert list(written["metrics"]) == ["loss", "accuracy", "top_k_acc"]
    right = written["metrics"]["accuracy"] * 360
    assert right == pytest.approx(round(right), abs=1e-3)
    finished = run_command("test.py", "-r", run / "checkpoint-epoch1.pth")
    assert "step 5, 360 samples" in finished.stdout
    assert json.loads((run / "test.json").read_text())["step"] == 5
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name != "test.json"} == before


def test_faults_are_one_line_and_exit_code_two(run: Path, tmp_path: Path, run_command: Callable) -> None:
    (tmp_path / "page.pth").write_text("<html>not found</html>")
    for arguments, said in [
        ((), "no checkpoint"),
        (("-c", ROOT / "config.json"), "no checkpoint"),
        (("-r", tmp_path / "nothing.pth"), "no such file"),
        (("-r", tmp_path / "page.pth"), "not a checkpoint"),
    ]:
        refused = run_command("test.py", *arguments)
        assert refused.returncode == 2, refused.stderr
        assert said in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr


def test_a_loader_that_cannot_make_a_test_part_says_what_to_write() -> None:
    class OnlyTraining(DigitsDataLoader):
        def __init__(self, batch_size: int) -> None:
            super().__init__(batch_size)

    rooms = SimpleNamespace(OnlyTraining=OnlyTraining, __module__=__name__)
    config = ConfigParser({"data_loader": {"type": "OnlyTraining", "args": {"batch_size": 4}}})
    with pytest.raises(ConfigError, match="add a section test_data_loader"):
        set_test_section(config, rooms)


def test_what_is_drawn_for_training_is_not_for_the_test(
    tmp_path: Path, digits_config: dict[str, Any], run_command: Callable
) -> None:
    weights = {"type": "torch.utils.data.WeightedRandomSampler", "args": {"weights": "balanced"}}
    digits_config["data_loader"]["args"]["sampler"] = weights
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    assert run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run").returncode == 0
    run, found = tmp_path / "models" / "Digits" / "run", []
    whole = {"type": "DigitsDataLoader", "args": {"training": False, "shuffle": False}}
    for options in ((), ("-s", f"+test_data_loader={json.dumps(whole)}")):
        tested = run_command("test.py", "-r", run, *options)
        assert tested.returncode == 0, tested.stderr
        found.append(json.loads((run / "test.json").read_text())["metrics"])
    assert found[0] == pytest.approx(found[1])


def test_data_in_memory_calls_no_collate_fn_and_says_so(run_command: Callable) -> None:
    collate = '+data_loader.args.collate_fn={"type": "collate.stack"}'
    refused = run_command("train.py", "-c", "config.json", "-s", collate, "--check")
    assert refused.returncode == 2
    assert "collate_fn: data in memory is cut into batches as a whole" in refused.stderr
