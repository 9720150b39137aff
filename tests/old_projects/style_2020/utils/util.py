import json
from collections import OrderedDict
from itertools import repeat
from pathlib import Path

# the template's names, now from Hotplate's files; everything below is the project's own
from utils.device import prepare_device  # noqa: F401
from utils.metric_tracker import MetricTracker


def ensure_dir(dirname):
    Path(dirname).mkdir(parents=True, exist_ok=True)


def read_json(fname):
    with Path(fname).open("rt") as handle:
        return json.load(handle, object_hook=OrderedDict)


def write_json(content, fname):
    with Path(fname).open("wt") as handle:
        json.dump(content, handle, indent=4, sort_keys=False)


def inf_loop(data_loader):
    for loader in repeat(data_loader):
        yield from loader


def count_parameters(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


class NamedTracker(MetricTracker):
    def line(self):
        return "  ".join(f"{key}={self._data.average[key]:.4f}" for key in self._data.index.values)
