import os
from collections import OrderedDict, defaultdict, namedtuple

import pytest
import torch

from utils import device
from utils.device import count_samples, map_tensors, prepare_device, select_devices, to_device
from utils.errors import ConfigError

Pair = namedtuple("Pair", "image label")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
CPU = torch.device("cpu")


@pytest.fixture
def visible(monkeypatch):
    """What `select_devices` leaves visible of what the launcher allows."""

    def select(name: str | None, allowed: str | None) -> str | None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", allowed or "")
        if allowed is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
        select_devices(name)
        return os.environ.get("CUDA_VISIBLE_DEVICES")

    return select


def test_a_choice_of_devices_hides_the_others(visible):
    assert visible("cpu", None) == ""
    assert visible("cuda:1", None) == "1"
    assert visible("0,2", None) == "0,2"
    assert visible("cuda", None) is visible(None, None) is None


def test_indices_count_among_the_devices_that_the_launcher_allows(visible):
    assert visible("1", "4,6") == "6"
    assert visible("cuda:0", "GPU-a1b2,GPU-c3d4") == "GPU-a1b2"
    assert visible("cpu", "4,6") == ""


def test_no_device_is_chosen_that_the_launcher_does_not_allow(visible):
    try:
        chosen = visible("5", "2,3")
    except ConfigError:
        return
    assert chosen in ("", "2", "3")


@pytest.mark.parametrize("name", ["gpu", "cuda:one", "-1", "0;1"])
def test_a_device_that_cannot_be_is_refused(visible, name):
    with pytest.raises(ConfigError, match="no such device"):
        visible(name, None)


def test_the_cpu_is_used_where_it_is_asked_for():
    assert prepare_device(name="cpu") == prepare_device(n_gpu_use=0) == (CPU, [])


@without_cuda
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "0"])
def test_cuda_by_name_or_number_is_refused_where_there_is_none(name):
    with pytest.raises(ConfigError, match="write -d cpu"):
        prepare_device(name=name)


@without_cuda
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="is about machines without MPS")
def test_a_config_that_wants_gpus_trains_on_the_cpu_with_a_warning(capsys):
    device._say.cache_clear()  # what was said before is not said again
    assert prepare_device(n_gpu_use=2) == (CPU, [])
    assert "There's no GPU available" in capsys.readouterr().out
    assert prepare_device() == (CPU, [])
    assert capsys.readouterr().out == ""
    with pytest.raises(ConfigError, match="mps"):
        prepare_device(name="mps")


def test_every_tensor_of_a_batch_is_reached_and_the_batch_keeps_its_kinds():
    one, two = torch.tensor(1.0), torch.tensor(2.0)
    for batch in ([one, (one, 3)], {"a": {"b": one}}, OrderedDict(a=one), Pair(one, "x"), one):
        mapped = map_tensors(lambda tensor: two, batch)
        assert repr(mapped) == repr(batch).replace("1.", "2.")
        assert type(mapped) is type(batch)


def test_a_dict_with_defaults_is_reached_into_as_well():
    mapped = map_tensors(lambda tensor: tensor + 1, defaultdict(list, a=torch.ones(1)))
    assert mapped["a"].item() == 2


def test_only_images_change_their_memory_format():
    batch = {"image": torch.rand(2, 3, 4, 4), "label": torch.arange(2), "id": ["a", "b"]}
    moved = to_device(batch, CPU, torch.channels_last)
    assert moved["image"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(moved["image"], batch["image"])
    assert moved["label"].dtype == torch.int64
    assert moved["id"] == ["a", "b"]


def test_the_first_tensor_says_how_many_samples_a_batch_has():
    assert count_samples({"name": ["a"], "x": [torch.zeros(5, 2), torch.zeros(7)]}) == 5
    assert count_samples((torch.tensor(1.0), torch.zeros(3))) == 1
    assert count_samples("no tensor") == 1
