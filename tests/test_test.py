"""test.py from the outside: which checkpoint it takes, and what it says of it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

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
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.name != "split.json"}
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
    noted = ("test.json", "split.json")
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.name not in noted} == before


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


def test_a_confusion_matrix_is_printed_stored_and_drawn(
    tmp_path: Path, digits_config: dict[str, Any], run_command: Callable
) -> None:
    digits_config["metrics"] = ["accuracy", {"type": "ConfusionMatrix", "name": "confusion"}]
    digits_config["trainer"] |= {"tensorboard": True, "monitor": "max val_confusion"}
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    trained = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    assert trained.returncode == 0, trained.stderr
    assert "the log has no 'val_confusion'" in trained.stdout + trained.stderr
    log = tmp_path / "log" / "Digits" / "run"
    row = json.loads((log / "metrics.jsonl").read_text().splitlines()[-1])
    n_valid = sum(map(sum, row["val_confusion"]))
    assert sum(row["val_confusion"][k][k] for k in range(10)) == pytest.approx(row["val_accuracy"] * n_valid)
    run = tmp_path / "models" / "Digits" / "run"
    tested = run_command("test.py", "-r", run)
    assert tested.returncode == 0, tested.stderr
    matrix = json.loads((run / "test.json").read_text())["metrics"]["confusion"]
    assert [sum(row) for row in matrix] == torch.bincount(DigitsDataLoader(training=False).tensors[1]).tolist()
    assert [list(map(float, line.split())) for line in tested.stdout.splitlines()[-10:]] == matrix
    events = EventAccumulator(str(log), size_guidance={"images": 0}).Reload()
    assert (events.Images("epoch/val_confusion")[-1].width, events.Images("epoch/val_confusion")[-1].height) == (
        160,
        160,
    )


def test_torchmetrics_may_give_a_number_a_class_and_a_matrix(
    tmp_path: Path, digits_config: dict[str, Any], run_command: Callable
) -> None:
    pytest.importorskip("torchmetrics")
    digits_config["metrics"] = ["ConfusionMatrix"]
    for name, args in (("MulticlassF1Score", {"average": None}), ("MulticlassConfusionMatrix", {})):
        metric = {"type": f"torchmetrics.classification.{name}", "args": {"num_classes": 10, **args}}
        digits_config["metrics"].append(metric)
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    trained = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", "run")
    assert trained.returncode == 0, trained.stderr
    log = tmp_path / "log" / "Digits" / "run" / "metrics.jsonl"
    row = json.loads(log.read_text().splitlines()[-1])
    assert all(0 <= row[f"val_MulticlassF1Score/{number}"] <= 1 for number in range(10))
    assert row["val_MulticlassConfusionMatrix"] == row["val_ConfusionMatrix"]


def test_data_in_memory_calls_no_collate_fn_and_says_so(run_command: Callable) -> None:
    collate = '+data_loader.args.collate_fn={"type": "collate.stack"}'
    refused = run_command("train.py", "-c", "config.json", "-s", collate, "--check")
    assert refused.returncode == 2
    assert "collate_fn: data in memory is cut into batches as a whole" in refused.stderr
