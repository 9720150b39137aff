"""rescue.py: checkpoints of the old template, without running anything of them.

tests/golden/old_template.pth was written by the old template itself: its LeNet on MNIST after two epochs.
"""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rescue import rescued
from tests.test_configs import write_mnist
from utils.errors import ConfigError, UserError

GOLDEN = Path(__file__).parent / "golden" / "old_template.pth"


def test_a_checkpoint_of_the_old_template_is_tested_and_goes_on(tmp_path: Path, run_command: Callable) -> None:
    new = tmp_path / "new.pth"
    done = run_command("rescue.py", GOLDEN, new)
    assert done.stdout == f"{new}: MnistModel after epoch 2, step 844; go on with: python train.py -r {new}\n", (
        done.stderr
    )
    write_mnist(tmp_path, "MNIST")
    data = ("-s", f"data_loader.args.data_dir={tmp_path}")
    tested = run_command("test.py", "-r", new, *data)
    assert "step 844, 40 samples" in tested.stdout, tested.stderr
    options = ("-s", f"trainer.save_dir={tmp_path / 'saved'}", "-s", "trainer.epochs=3", "-s", "trainer.len_epoch=422")
    trained = run_command("train.py", "-r", new, *data, *options, "--run-id", "on", "--allow", "--limit", "2")
    assert trained.returncode == 0, trained.stderr
    assert "Resume training from step 844" in trained.stdout
    again = run_command("rescue.py", GOLDEN, new)
    assert (again.returncode, again.stderr) == (2, f"{new}: exists already; name another file\n")


def test_prefixes_of_data_parallel_are_taken_off_and_the_rest_is_kept() -> None:
    state = rescued(GOLDEN)
    assert state["config"]["arch"] == {"type": "MnistModel", "args": {}}
    assert state["monitor"]["best"] == pytest.approx(0.0838, abs=1e-3)
    assert set(state["state_dict"]) == {f"{name}.{kind}" for name in LAYERS for kind in ("weight", "bias")}


LAYERS = ("conv1", "conv2", "fc1", "fc2")


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_an_evil_checkpoint_runs_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "config": Evil(tmp_path / "owned")}, tmp_path / "zip.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps({"state_dict": {}, "config": Evil(tmp_path / "owned")}))
    for name in ("zip.pth", "bare.pth"):
        with pytest.raises(ConfigError, match="cannot be read safely"):
            rescued(tmp_path / name)
    assert not (tmp_path / "owned").exists()


def test_without_a_count_of_steps_one_is_asked_for(tmp_path: Path) -> None:
    state = {"arch": "Net", "epoch": 3, "state_dict": {"module.a": torch.ones(1)}, "config": {"name": "x"}}
    torch.save(state, tmp_path / "old.pth")
    with pytest.raises(UserError, match="add --steps-per-epoch N"):
        rescued(tmp_path / "old.pth")
    assert rescued(tmp_path / "old.pth", 10)["step"] == 30
    assert list(rescued(tmp_path / "old.pth", 10)["state_dict"]) == ["a"]
