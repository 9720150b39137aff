"""Where the files of a run lie."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from settings.run_folders import folders_beside, folders_of, make_new
from utils.errors import ConfigError


def test_models_and_logs_of_a_run_lie_apart_under_the_same_names(tmp_path):
    save_dir, log_dir, run_id = make_new(tmp_path, "Digits", "0101_120000")
    assert (save_dir, log_dir) == folders_of(tmp_path, "Digits", "0101_120000")
    assert save_dir == tmp_path / "models" / "Digits" / "0101_120000"
    assert log_dir == tmp_path / "log" / "Digits" / "0101_120000"
    assert save_dir.is_dir()
    assert log_dir.is_dir()
    assert run_id == "0101_120000"


def test_the_folders_of_a_checkpoint_are_those_that_its_run_was_given(tmp_path, monkeypatch):
    save_dir, log_dir, _ = make_new(tmp_path, "Digits", "run")
    assert folders_beside(save_dir / "checkpoint-last.pth") == (save_dir, log_dir)
    monkeypatch.chdir(save_dir)
    assert folders_beside(Path("checkpoint-last.pth")) == (save_dir, log_dir)


def test_runs_of_the_same_second_get_folders_of_their_own(tmp_path):
    made = [make_new(tmp_path, "Digits", "run") for _ in range(3)]
    assert [run_id for _, _, run_id in made] == ["run", "run_1", "run_2"]
    assert len({folder for save_dir, log_dir, _ in made for folder in (save_dir, log_dir)}) == 6


def test_a_place_where_no_folder_can_be_made_is_refused_in_one_line(tmp_path):
    (tmp_path / "saved").write_text("a file")
    with pytest.raises(ConfigError, match=r"^.*: Not a directory; trainer\.save_dir says where runs are kept$"):
        make_new(tmp_path / "saved", "Digits", "run")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_a_link_to_a_disk_that_is_not_there_is_refused_and_not_tried_forever(tmp_path):
    (tmp_path / "saved").symlink_to(tmp_path / "unmounted")
    code = "import sys; from pathlib import Path; from settings.run_folders import make_new; "
    code += "make_new(Path(sys.argv[1]), 'Digits', 'run')"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "saved")], cwd=root, capture_output=True, text=True, timeout=5
    )
    assert "ConfigError" in done.stderr
