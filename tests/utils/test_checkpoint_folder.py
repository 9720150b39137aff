import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch

from utils import checkpoint
from utils.checkpoint_folder import BEST, LAST, PREVIOUS, CheckpointFolder, locate
from utils.errors import ConfigError


def state(step: int):
    return {
        "format": checkpoint.FORMAT,
        "state_dict": {"w": torch.full((2,), float(step))},
        "config": {},
        "step": step,
    }


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def step_in(path: Path) -> int:
    """The step of a good checkpoint whose tensors are those of that step."""
    found = checkpoint.read(path)
    assert found["state_dict"]["w"].tolist() == [found["step"]] * 2
    return found["step"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.unlink()  # other names of the file stay good
    path.write_bytes(content[: 2 * len(content) // 3])


def run_folder(root: Path) -> Path:
    folder = root / "models" / "Digits" / "run"
    folder.mkdir(parents=True)
    return folder


def test_the_checkpoint_before_stays_as_the_previous_one(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 3):
        assert step_in(folder.save(state(step))) == step
    assert names(tmp_path) == [LAST, PREVIOUS]
    assert (step_in(tmp_path / LAST), step_in(tmp_path / PREVIOUS)) == (3, 2)


def test_an_epochs_checkpoint_and_the_best_are_links_that_keep_their_content(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(state(1), epoch=1, best=True)
    assert (tmp_path / BEST).samefile(tmp_path / LAST)
    for step in (2, 3, 4):
        folder.save(state(step))
    assert step_in(tmp_path / BEST) == step_in(tmp_path / "checkpoint-epoch1.pth") == 1
    folder.save(state(5), best=True)
    assert step_in(tmp_path / BEST) == 5
    assert step_in(tmp_path / "checkpoint-epoch1.pth") == 1


def test_of_the_epochs_checkpoints_the_last_few_stay_counted_as_numbers(tmp_path):
    folder = CheckpointFolder(tmp_path, keep_last=2)
    for epoch in (8, 9, 10, 11):
        folder.save(state(epoch), epoch=epoch, best=epoch == 8)
    assert [name for name in names(tmp_path) if "epoch" in name] == ["checkpoint-epoch10.pth", "checkpoint-epoch11.pth"]
    assert (step_in(tmp_path / BEST), step_in(tmp_path / LAST)) == (8, 11)


def test_without_keep_last_every_epochs_checkpoint_stays(tmp_path):
    for epoch in (1, 2, 3, 4):
        CheckpointFolder(tmp_path).save(state(epoch), epoch=epoch)
    assert len([name for name in names(tmp_path) if "epoch" in name]) == 4


def test_the_newest_is_the_one_with_the_highest_step_inside_whatever_its_name(tmp_path):
    for name, step in {"checkpoint-epoch9": 90, "checkpoint-epoch10": 100, "a": 700, LAST[:-4]: 50}.items():
        checkpoint.write(state(step), tmp_path / f"{name}.pth")
    assert CheckpointFolder(tmp_path).newest() == tmp_path / "a.pth"


def test_of_equal_steps_the_last_one_is_the_newest(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(state(1), epoch=1, best=True)
    assert folder.newest() == tmp_path / LAST


def test_damaged_checkpoints_are_passed_over_by_name(tmp_path):
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2, 3):
        folder.save(state(step))
    damage(tmp_path / LAST)
    content = bytearray((tmp_path / PREVIOUS).read_bytes())
    content[content.index(torch.full((2,), 2.0).numpy().tobytes())] ^= 1
    checkpoint.write(state(1), tmp_path / "checkpoint-epoch1.pth")
    (tmp_path / PREVIOUS).write_bytes(content)
    assert folder.newest() == tmp_path / "checkpoint-epoch1.pth"
    assert [line.split(": ")[0] for line in folder.damaged] == [str(tmp_path / PREVIOUS), str(tmp_path / LAST)]


def test_a_folder_of_damaged_checkpoints_is_an_error_and_never_an_empty_one(tmp_path):
    folder = CheckpointFolder(tmp_path)
    assert folder.newest() is None
    folder.save(state(1))
    folder.save(state(2))
    damage(tmp_path / LAST)
    damage(tmp_path / PREVIOUS)
    with pytest.raises(ConfigError, match="none of the checkpoints is good") as caught:
        folder.newest()
    assert all(any(str(tmp_path / name) in fault for fault in caught.value.faults) for name in (LAST, PREVIOUS))


def test_what_a_killed_save_left_is_no_checkpoint_and_is_cleaned_away(tmp_path):
    folder = CheckpointFolder(tmp_path)
    folder.save(state(1))
    checkpoint.write(state(9), tmp_path / ".tmp-checkpoint-next.pth")
    (tmp_path / ".tmp-model_best.pth").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    assert folder.newest() == tmp_path / LAST
    folder.clean()
    assert names(tmp_path) == [LAST, "notes.txt"]


def test_wherever_a_save_is_killed_the_run_goes_on_in_place_from_a_good_checkpoint(tmp_path, monkeypatch):
    real, renames, faults = os.replace, 0, []

    def killed_at(limit: int):
        def replace(*paths):
            nonlocal renames
            renames += 1
            if renames == limit:
                raise KeyboardInterrupt
            real(*paths)

        return replace

    for limit in range(1, 5):  # to previous, last, epoch, best
        path = run_folder(tmp_path / str(limit))
        folder = CheckpointFolder(path, keep_last=1)
        folder.save(state(1), epoch=1, best=True)
        folder.save(state(2), epoch=2, best=True)
        renames = 0
        monkeypatch.setattr(os, "replace", killed_at(limit))
        with pytest.raises(KeyboardInterrupt):
            folder.save(state(3), epoch=3, best=True)
        monkeypatch.setattr(os, "replace", real)
        found, in_place = locate(path)
        if step_in(found) < 2 or not in_place:
            faults.append((limit, found.name, step_in(found), in_place))
        step_in(path / BEST)
        folder.clean()
        folder.save(state(4), epoch=4, best=True)
        assert step_in(path / LAST) == step_in(path / BEST) == 4
    assert faults == []


def test_a_runs_folder_and_its_newest_file_go_on_in_place(tmp_path):
    path = run_folder(tmp_path)
    folder = CheckpointFolder(path)
    folder.save(state(1), epoch=1, best=True)
    folder.save(state(2), epoch=2)
    assert locate(path) == (path / LAST, True)
    assert locate(path / "checkpoint-epoch2.pth") == (path / "checkpoint-epoch2.pth", True)


def test_an_older_file_or_one_outside_a_runs_folder_does_not_go_on_in_place(tmp_path):
    path = run_folder(tmp_path)
    folder = CheckpointFolder(path)
    folder.save(state(1), epoch=1, best=True)
    folder.save(state(2))
    assert locate(path / "checkpoint-epoch1.pth") == (path / "checkpoint-epoch1.pth", False)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(path, elsewhere)
    assert locate(elsewhere) == (elsewhere / LAST, False)
    assert locate(elsewhere / LAST) == (elsewhere / LAST, False)


def test_asked_for_the_best_a_folder_means_its_best_where_it_has_one(tmp_path):
    path = run_folder(tmp_path)
    folder = CheckpointFolder(path)
    folder.save(state(1))
    assert locate(path, best=True)[0] == path / LAST
    folder.save(state(2), best=True)
    folder.save(state(3))
    assert locate(path, best=True) == (path / BEST, False)
    damage(path / BEST)
    with pytest.raises(ConfigError, match=BEST):
        locate(path, best=True)


def test_a_checkpoint_that_is_not_there_or_damaged_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        locate(tmp_path / "none.pth")
    with pytest.raises(ConfigError, match="no checkpoint in this folder"):
        locate(tmp_path)
    (tmp_path / "bad.pth").write_text("<html>")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        locate(tmp_path / "bad.pth")


@pytest.mark.skipif(len(Path("/tmp").resolve().parents) != 1, reason="needs /tmp right below the root")
def test_a_checkpoint_may_lie_right_below_the_root_of_the_file_system():
    with tempfile.NamedTemporaryFile(dir="/tmp", suffix=".pth") as file:
        path = Path(file.name)
        checkpoint.write(state(1), path)
        try:
            assert locate(path) == (path, False)
        finally:
            path.touch()  # for the context to remove
