from collections import OrderedDict
from itertools import islice

import pytest
import torch

import utils
from utils import MetricTracker, ensure_dir, inf_loop, prepare_device, read_json, write_json


def test_the_old_names_are_found_where_they_were():
    from utils.util import MetricTracker as from_util

    assert from_util is MetricTracker
    assert prepare_device(0) == (torch.device("cpu"), [])
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = utils.nothing


def test_a_folder_is_made_with_those_above_it_unless_it_is_there(tmp_path):
    for _ in range(2):
        ensure_dir(str(tmp_path / "a" / "b"))
    assert (tmp_path / "a" / "b").is_dir()


def test_json_comes_back_as_it_was_in_its_order(tmp_path):
    content = OrderedDict([("z", 1), ("a", {"ü": [1.5, None, True]})])
    write_json(content, tmp_path / "a.json")
    back = read_json(str(tmp_path / "a.json"))
    assert back == content
    assert list(back) == ["z", "a"]
    assert "\n    " in (tmp_path / "a.json").read_text()


def test_a_loop_without_end_asks_the_loader_for_each_pass_anew():
    class Loader:
        passes = 0

        def __iter__(self):
            self.passes += 1
            return iter([self.passes] * 2)

    assert list(islice(inf_loop(Loader()), 5)) == [1, 1, 2, 2, 3]
