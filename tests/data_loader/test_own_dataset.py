"""The dataset of one's own that the README shows: as it stands there, it trains."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READ_BATCH = """
from trainer.trainer import Trainer


class MyTrainer(Trainer):
    @staticmethod
    def read_batch(batch):
        return batch["Text"], batch["Class"]
"""


def shown() -> tuple[str, dict]:
    """The program and the sections of a config that the README shows."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("**Data.**")[2]
    program, sections = re.search(r"```python\n(.*?)```.*?```json\n(.*?)```", text, re.DOTALL).groups()
    return program, json.loads("{" + sections + "}")


@pytest.mark.parametrize("by", ["collate.pairs", "read_batch"])
def test_a_dataset_of_dicts_trains_as_it_is_shown(by: str, project_copy: Path, run_command: Callable) -> None:
    program, sections = shown()
    (project_copy / "data_loader" / "sentences.py").write_text(program)
    config = json.loads((ROOT / "config.json").read_text()) | sections | {"metrics": ["accuracy"]}
    config["trainer"] = {"epochs": 2, "threads": 1}
    config["data_loader"]["args"]["num_workers"] = 0
    if by == "read_batch":
        (project_copy / "trainer" / "mine.py").write_text(READ_BATCH)
        config["trainer"]["type"] = "mine.MyTrainer"
        del config["data_loader"]["args"]["collate_fn"], config["test_data_loader"]["args"]["collate_fn"]
    header, *texts = (project_copy / "data" / "docstrings.csv").read_text().splitlines()
    (project_copy / "test.csv").write_text("\n".join([header, *texts[::7]]))
    (project_copy / "own.json").write_text(json.dumps(config))
    trained = run_command("train.py", "-c", "own.json", "--run-id", "own", cwd=project_copy)
    assert trained.returncode == 0, trained.stderr
    rows = (project_copy / "saved" / "log" / "Digits" / "own" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(rows[-1])["val_accuracy"] > 0.5  # the largest class: 0.23
    tested = run_command("test.py", "-r", "saved/models/Digits/own", cwd=project_copy)
    assert tested.returncode == 0, tested.stderr
    assert "593 samples" in tested.stdout
