import os
import pickle
import subprocess
import sys
import zipfile
from collections import Counter, OrderedDict
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
import torch

from utils import checkpoint
from utils.errors import ConfigError, UserError

ROOT = Path(__file__).parents[2]


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


class Subclass(torch.Tensor):
    pass


class Colour(str, Enum):  # noqa: UP042 (as much older code has it)
    RED = "red"


def state(**more):
    return {"format": checkpoint.FORMAT, "state_dict": {"w": torch.arange(4.0)}, "config": {"a": 1}, "step": 7} | more


def written(folder: Path, **more) -> Path:
    checkpoint.write(state(**more), folder / "a.pth")
    return folder / "a.pth"


def fault(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        checkpoint.read(path)
    assert len(caught.value.faults) == 1
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


def with_code(kind: str, folder: Path) -> Path:
    """A file whose unpickling makes `folder / "ran"`."""
    path = folder / "evil.pth"
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Evil(folder / "ran")))
    else:
        torch.save(state(extra=Evil(folder / "ran")), path, _use_new_zipfile_serialization=kind == "zip")
    return path


def flips(path: Path, first: int, last: int):
    """The name of a file with one bit flipped, for every bit of a range of bytes."""
    content, flipped = path.read_bytes(), path.with_name("flipped.pth")
    for position in range(first * 8, last * 8):
        damaged = bytearray(content)
        damaged[position // 8] ^= 1 << position % 8
        flipped.write_bytes(damaged)
        yield position, flipped


def tensor_record(path: Path) -> tuple[int, int, int, int]:
    """Where its header and its data are, and its entry in the directory of the zip file: first and last bytes."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        record = next(item for item in archive.infolist() if item.filename.endswith("data/0"))
        entry = content.index(b"PK\x01\x02", content.index(record.filename.encode(), archive.start_dir) - 46)
    last = content.index(b"PK\x07\x08", record.header_offset)
    return record.header_offset, last, entry, content.index(b"PK", entry + 4)


def test_what_is_written_is_read_back_exactly(tmp_path):
    values = {
        "tensors": [torch.tensor([0.1, float("nan")]), torch.tensor(3, dtype=torch.int8), torch.zeros(0, 2)],
        "numbers": (1, 2.5, True, None, 1j),
        "text": {"a": b"bytes", 3: {"x", "y"}},
        "kinds": [torch.float16, torch.device("cpu"), torch.Size([1, 2])],
    }
    back = checkpoint.read(written(tmp_path, values=values))["values"]
    assert torch.equal(back["tensors"][0].view(torch.int32), values["tensors"][0].view(torch.int32))
    assert all(a.dtype == b.dtype and a.shape == b.shape for a, b in zip(back["tensors"], values["tensors"]))
    assert {**back, "tensors": 0} == {**values, "tensors": 0}


def test_numpy_numbers_become_pythons_and_arrays_tensors():
    plain = checkpoint.to_plain({"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": np.str_("x")})
    assert plain == {"a": 0.5, "b": 3, "c": True, "d": "x"}
    assert [type(value) for value in plain.values()] == [float, int, bool, str]
    assert torch.equal(checkpoint.to_plain(np.arange(3)[::-1]), torch.tensor([2, 1, 0]))


def test_arrays_of_the_other_byte_order_become_tensors_too():
    assert torch.equal(checkpoint.to_plain(np.arange(3, dtype=">i4")), torch.tensor([0, 1, 2], dtype=torch.int32))


def test_a_tensor_of_plain_data_no_longer_belongs_to_a_graph():
    weight = torch.nn.Parameter(torch.ones(2))
    plain = checkpoint.to_plain([weight, weight * 2])
    assert [type(value) for value in plain] == [torch.Tensor] * 2
    assert not any(value.requires_grad for value in plain)


def test_containers_keep_their_kind():
    for value in ([1, [2]], (1, (2,)), {1, 2}, {"a": {"b": 1}}, OrderedDict(b=1, a=2), Counter("aab")):
        plain = checkpoint.to_plain(value)
        assert plain == value
        assert type(plain) is type(value)


def test_a_state_dict_keeps_the_versions_of_its_layers(tmp_path):
    weights = torch.nn.BatchNorm1d(2).state_dict()
    back = checkpoint.read(written(tmp_path, weights=weights))["weights"]
    assert back._metadata == weights._metadata


def test_text_of_a_kind_of_its_own_keeps_its_text():
    assert checkpoint.to_plain(Colour.RED) == "red"


def test_what_cannot_be_stored_is_named_by_its_key_path():
    with pytest.raises(UserError, match=r"^checkpoint\.extra\.list\[1\]\.deep: a pathlib\.\w*Path cannot go into"):
        checkpoint.to_plain({"extra": {"list": [0, {"deep": Path("x")}]}})


UNREADABLE = [
    np.datetime64("2020-01-01"),
    np.longdouble(1.5),
    np.ones(2, np.longdouble),
    torch.ones(2).as_subclass(Subclass),
]


@pytest.mark.parametrize("value", UNREADABLE, ids=lambda value: type(value).__name__)
def test_what_could_not_be_read_back_is_refused_when_it_is_written_or_made_readable(tmp_path, value):
    try:
        path = written(tmp_path, value=value)
    except UserError as error:
        message = str(error)
    else:
        message = f"checkpoint.value: is read back as {checkpoint.read(path)['value']}"
    assert message.startswith("checkpoint.value: ")


def test_a_write_that_fails_leaves_the_old_checkpoint_and_nothing_else(tmp_path):
    path = written(tmp_path)
    with pytest.raises(UserError):
        written(tmp_path, extra=object())
    assert [item.name for item in tmp_path.iterdir()] == ["a.pth"]
    assert checkpoint.read(path)["step"] == 7


def test_any_flipped_bit_of_a_tensor_is_refused(tmp_path):
    path = written(tmp_path)
    data = path.read_bytes().index(torch.arange(4.0).numpy().tobytes())
    for _, flipped in flips(path, data, data + 16):
        assert "checksum" in fault(flipped)


def test_no_flipped_bit_around_a_tensor_escapes_or_loads_as_another_tensor(tmp_path):
    path = written(tmp_path)
    header, data, entry, end = tensor_record(path)
    wrong = []
    for first, last in ((header, data), (entry, end)):
        for position, flipped in flips(path, first, last):
            try:
                if not torch.equal(checkpoint.read(flipped)["state_dict"]["w"], torch.arange(4.0)):
                    wrong.append((position, "loads as another tensor"))
            except ConfigError:
                continue
            except Exception as error:
                wrong.append((position, type(error).__name__))
    assert wrong == []


def test_a_truncated_checkpoint_is_refused_wherever_it_ends(tmp_path):
    path = written(tmp_path)
    content = path.read_bytes()
    for length in {0, 1, 4, len(content) // 2, len(content) - 22, len(content) - 1}:
        path.write_bytes(content[:length])
        assert "damaged" in fault(path)


def repacked(path: Path, compression: int = zipfile.ZIP_STORED, attributes: int = 0) -> Path:
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
            archive.getinfo(name).external_attr = attributes
    return path


def test_an_entry_as_torch_writes_none_is_refused_whatever_it_holds(tmp_path):
    assert checkpoint.read(repacked(written(tmp_path)))["step"] == 7
    assert "the entry of" in fault(repacked(written(tmp_path), zipfile.ZIP_DEFLATED))
    assert "the entry of" in fault(repacked(written(tmp_path), attributes=0o600 << 16))


def test_what_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    assert "no such file" in fault(path)
    path.write_text("<html><body>404 Not Found</body></html>")
    assert "not a checkpoint" in fault(path)
    torch.save({"w": torch.ones(2)}, path)
    assert "not a checkpoint of a training run" in fault(path)
    torch.save([1, 2], path)
    assert "not a checkpoint of a training run" in fault(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "sun")
    fault(path)


def test_another_format_is_refused(tmp_path):
    assert "format 99" in fault(written(tmp_path, format=99))


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle"])
def test_a_file_that_would_run_code_is_refused_and_nothing_runs(tmp_path, kind):
    path = with_code(kind, tmp_path)
    fault(path)
    assert checkpoint.step_of(path) == -1
    assert not (tmp_path / "ran").exists()
    if kind == "zip":  # it is the object that is refused: loaded trustingly, it runs
        torch.load(path, weights_only=False)
        assert (tmp_path / "ran").exists()


def test_nothing_runs_even_where_the_environment_turns_safe_loading_off(tmp_path):
    path = with_code("zip", tmp_path)
    script = "import sys, pathlib; from utils import checkpoint, errors; errors.report_user_errors()\n"
    script += "path = pathlib.Path(sys.argv[1]); print(checkpoint.step_of(path)); checkpoint.read(path)"
    environment = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", script, path], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "-1\n"), run.stderr
    assert run.stderr.splitlines()[-1].startswith(f"{path}: holds Python objects")
    assert not (tmp_path / "ran").exists()


def test_the_step_is_read_without_believing_the_tensors(tmp_path):
    path = written(tmp_path)
    assert checkpoint.step_of(path) == 7
    data = path.read_bytes().index(torch.arange(4.0).numpy().tobytes())
    _, flipped = next(flips(path, data, data + 1))
    assert checkpoint.step_of(flipped) == 7
    path.write_bytes(b"")
    assert checkpoint.step_of(path) == -1
    assert checkpoint.step_of(tmp_path / "none.pth") == -1


def test_the_weights_that_fit_are_taken_and_the_averaged_ones_first():
    def weights(value):
        return {"0.weight": torch.full((2, 2), value), "0.bias": torch.zeros(3), "old.weight": torch.zeros(1)}

    model = torch.nn.Sequential(torch.nn.Linear(2, 2))
    bias = model[0].bias.detach().clone()
    assert checkpoint.load_fitting_weights(model, {"state_dict": weights(1.0)}) == "1 of 2 tensors; new: 0.bias"
    assert model[0].weight.tolist() == [[1, 1], [1, 1]]
    assert torch.equal(model[0].bias, bias)
    checkpoint.load_fitting_weights(model, {"state_dict": weights(1.0), "ema": weights(2.0)})
    assert model[0].weight.tolist() == [[2, 2], [2, 2]]
    with pytest.raises(ConfigError, match="none of the checkpoint's weights fit"):
        checkpoint.load_fitting_weights(torch.nn.Linear(2, 2), {"state_dict": weights(1.0)})
