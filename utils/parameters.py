"""Which weights a model begins with, which of them train, and with what options: by patterns of their names."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint as checkpoint_activations

from utils import checkpoint
from utils.device import to_device
from utils.patterns import matching
from utils.plain_loader import as_portions
from utils.seed import kept_generators


def prepare(model: nn.Module, section: dict[str, Any], is_new: bool, data_loader: Any, read_batch: Any) -> None:
    """Does what stands beside type and args of an `arch` section: `weights`, `freeze`, `recompute`; and lazy modules.

    :param is_new: else the weights come from the run's checkpoint
    """
    _make_lazy_parameters(model, data_loader, read_batch)
    if is_new and section.get("weights"):
        logging.getLogger("train").info(load_weights(model, section["weights"]))
    for parameter in matching(model.named_parameters(), section.get("freeze", ()), "parameter").values():
        parameter.requires_grad_(False)
    for part in matching(model.named_modules(), section.get("recompute", ()), "module").values():
        part.forward = partial(checkpoint_activations, part.forward, use_reentrant=False)


def load_weights(model: nn.Module, name: str) -> str:
    """Gives a model those tensors of a file that have a place in it, so that a head of another size stays new.

    :param name: a file of tensors by name or a checkpoint, else weights of torchvision, which are downloaded:
        "ResNet18_Weights.IMAGENET1K_V1"
    """
    if not Path(name).is_file() and "_Weights." in name:
        from torchvision.models import get_weight

        state = {"state_dict": get_weight(name).get_state_dict(progress=True, check_hash=True)}
    else:
        state = checkpoint.read_tensors(name)
    return f"Weights of {name}: {checkpoint.load_fitting_weights(model, state)}"


def parameter_groups(model: nn.Module, groups: list[dict[str, Any]]) -> list[Any]:
    """What an optimizer takes: the parameters that train; with groups, those that none names first.

    A parameter joins the first group whose pattern its name matches.

    :param groups: {"params": pattern or list of them, "lr": ..., ...}
    """
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    if not groups:
        return list(trained.values())
    made = []
    for group in groups:
        patterns = [group["params"]] if isinstance(group["params"], str) else group["params"]
        named = matching(model.named_parameters(), patterns, "parameter")
        made.append(group | {"params": [trained.pop(name) for name in named if name in trained]})
    rest = [{"params": list(trained.values())}] if trained else []
    return [group for group in rest + made if group["params"]]


@torch.no_grad()
def _make_lazy_parameters(model: nn.Module, data_loader: Any, read_batch: Any) -> None:
    """Runs a model with lazy modules once; does nothing with any other."""
    if any(isinstance(parameter, nn.UninitializedParameter) for parameter in model.parameters()):
        with kept_generators():
            batch = next(as_portions(data_loader).portions(0)).batch
        batch = to_device(batch, next(model.parameters()).device)
        model.eval()(batch if read_batch is None else read_batch(batch)[0])
        model.train()
