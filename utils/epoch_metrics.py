"""The loss and the metrics of one epoch or one evaluation, each weighted by the samples it was computed from."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from utils import dist
from utils.checkpoint import to_plain
from utils.device import map_tensors
from utils.errors import ConfigError
from utils.losses import part_names
from utils.metric_tracker import MetricTracker


class EpochMetrics:
    """Exact values over all samples seen, on all processes.

    A metric is a function (output, target) -> number or 0-d tensor, the mean over the batch; or, for what is no mean
    over samples (F1, AUROC), an object with `update(output, target)`, `compute()` and `reset()`, as in torchmetrics.
    With several processes an object's `compute` adds up what they saw itself, as those of torchmetrics do.
    """

    def __init__(self, metrics: Sequence[Any], device: torch.device, criterion: Any = None) -> None:
        self.criterion, parts = criterion, part_names(criterion)
        names = ["loss", *parts, *map(metric_name, metrics)]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ConfigError(f'metrics: two are called {min(doubled)!r}; give one a "name" of its own beside its type')
        self.functions = {metric_name(metric): metric for metric in metrics if not hasattr(metric, "compute")}
        # copies: training and validation each count for themselves
        self.objects = {metric_name(metric): copy.deepcopy(metric) for metric in metrics if hasattr(metric, "compute")}
        for metric in self.objects.values():
            if isinstance(metric, torch.nn.Module):
                metric.to(device)
            if hasattr(metric, "persistent"):
                metric.persistent(True)  # torchmetrics leaves its state out of state_dict otherwise
        self.means = MetricTracker("loss", *parts, *self.functions)
        self.parts = parts
        self.device = device

    def update(self, loss: Any, output: Any, target: Any, n: int) -> None:
        """Adds a batch of `n` samples; waits for nothing."""
        if n == 0:
            return  # a borrowed batch
        self.means.add("loss", loss.detach() if isinstance(loss, torch.Tensor) else loss, n)
        for name in self.parts:
            self.means.add(name, self.criterion.parts[name], n)
        if not self.functions and not self.objects:
            return
        output = map_tensors(torch.Tensor.detach, output)
        for name, function in self.functions.items():
            self.means.update(name, function(output, target), n)
        for metric in self.objects.values():
            metric.update(output, target)

    def reset(self) -> None:
        """Begins anew."""
        self.means.reset()
        for metric in self.objects.values():
            metric.reset()

    def result(self) -> dict[str, Any]:
        """The values over all samples so far, without those of which there were none; every rank must call it.

        An object's may be several, in lists or dicts: of each class, or a confusion matrix.
        """
        computed = {name: _numbers(metric.compute()) for name, metric in self.objects.items()}
        means = self.means.over_ranks(self.device)
        return {name: value for name, value in means.result().items() if means.count(name)} | dist.from_main(computed)

    def recent(self) -> dict[str, float]:
        """The means over the samples since this was last asked; every rank must call it."""
        return self.means.recent(self.device)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of it; every rank must call it."""
        sums = [share.tolist() for share in dist.gather(self.means.sums(self.device))]
        states = {name: to_plain(_state(metric), name) for name, metric in self.objects.items()}
        return {"names": self.means.names, "sums": sums, "objects": dist.gather_objects(states) if states else []}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint.

        At another number of processes the first takes all sums; metric objects, whose states nobody but they can add
        up, begin the epoch anew.
        """
        shares, names = torch.tensor(state["sums"], dtype=torch.float64), state.get("names", self.means.names)
        if len(shares) == dist.world_size():
            self.means.load_sums(shares[dist.rank()], names)
        else:
            self.means.load_sums(shares.sum(0) if dist.is_main() else torch.zeros_like(shares[0]), names)
        if len(state["objects"]) == dist.world_size():
            for name, stored in state["objects"][dist.rank()].items():
                if name in self.objects:
                    _load(self.objects[name], stored)


def metric_name(metric: Any) -> str:
    """Under which name a metric stands in the log."""
    return getattr(metric, "__name__", type(metric).__name__)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_numbers(part) for part in value]
    numbers = value.tolist() if hasattr(value, "tolist") else value
    return numbers if isinstance(numbers, list) else float(numbers)


def _state(metric: Any) -> Any:
    if hasattr(metric, "state_dict"):
        return metric.state_dict()
    return {name: copy.deepcopy(value) for name, value in vars(metric).items() if not callable(value)}


def _load(metric: Any, state: Any) -> None:
    if hasattr(metric, "load_state_dict"):
        metric.load_state_dict(state)
    else:
        arrays = [name for name, value in vars(metric).items() if isinstance(value, np.ndarray)]
        vars(metric).update(state | {name: state[name].numpy() for name in arrays})
