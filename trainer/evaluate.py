"""The only evaluation loop: validation while training, and test.py."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from utils import dist
from utils.device import to_device
from utils.epoch_metrics import EpochMetrics
from utils.plain_loader import as_portions
from utils.seed import kept_generators, seed_generators


@torch.no_grad()
def evaluate(
    model: torch.nn.Module,
    criterion: Any,
    metrics: Sequence[Any],
    data_loader: Any,
    device: torch.device,
    read_batch: Callable[[Any], tuple[Any, Any]],
    autocast: AbstractContextManager | None = None,
) -> dict[str, Any]:
    """The loss and the metrics of `model` over one pass of `data_loader`, exact over all samples.

    Under torchrun each process evaluates its share; every rank must call it. Randomness and training mode of the model
    are as before when it returns.

    :param read_batch: a batch -> (what the model takes, what loss and metrics compare its output with)
    """
    model = dist.unwrap(model)
    dist.share_buffers(model)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    values = EpochMetrics(metrics, device, criterion)
    with kept_generators():
        for number, (batch, n, _) in enumerate(as_portions(data_loader).one_pass()):
            seed_generators("evaluation", dist.rank(), number)  # of a model that draws; loading may have set them too
            data, target = read_batch(to_device(batch, device))
            with autocast or nullcontext():
                output = model(data)
                loss = criterion(output, target)
            values.update(loss, output, target, n)
    for module, mode in modes:
        module.training = mode
    return values.result()
