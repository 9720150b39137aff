"""The fastest form of an optimizer."""

import inspect
from typing import Any

import torch

CHOICES = ("fused", "foreach", "capturable", "differentiable")


def choose_form(config: Any, kind: Any, model: torch.nn.Module) -> None:
    """Says `"fused": true` in the config of a new run for an optimizer of torch's that can update all weights at once.

    Only where the user is silent. It rounds in a way of its own, so a run that has begun keeps the form it has.

    :param kind: the optimizer's class
    """
    if config.resume is not None and not config.weights_only:
        return
    args = config["optimizer"].setdefault("args", {})
    able = getattr(kind, "__module__", "").startswith("torch.optim.") and "fused" in inspect.signature(kind).parameters
    if able and not any(choice in args for choice in CHOICES) and _fits(model):
        args["fused"] = True


def _fits(model: torch.nn.Module) -> bool:
    if any(getattr(module, "sparse", False) for module in model.modules()):
        return False  # of an embedding, whose gradient is no dense tensor
    kinds = {(parameter.is_floating_point(), parameter.device.type) for parameter in model.parameters()}
    return kinds <= {(True, "cpu"), (True, "cuda")}
