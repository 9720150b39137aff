"""Optimizers of the project's own, before those of torch.optim."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import AdamW, Muon, Optimizer


class MuonAndAdamW(Optimizer):
    """Muon (Jordan et al. 2024) for matrices, AdamW for all else: biases, norms, convolutions.

    Embeddings and the last layer are better left to AdamW too: give them a group with "muon": false.

    :param lr: of AdamW
    :param muon_lr: of Muon
    :param weight_decay: of both
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 0.001,
        muon_lr: float = 0.02,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        groups = [group if isinstance(group, dict) else {"params": [group]} for group in params]
        matrices: list[Any] = []
        others: list[Any] = []
        for group in groups:
            for parameter in group["params"]:
                (matrices if group.get("muon", True) and parameter.dim() == 2 else others).append(parameter)
        self.parts: dict[str, Optimizer] = {}
        if matrices:
            self.parts["muon"] = Muon(matrices, lr=muon_lr, weight_decay=weight_decay, momentum=momentum)
        if others:
            self.parts["adamw"] = AdamW(others, lr=lr, weight_decay=weight_decay, betas=betas)
        super().__init__([group for part in self.parts.values() for group in part.param_groups], {})

    @torch.no_grad()
    def step(self, closure: Callable | None = None) -> Any:
        """One step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts.values():
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from them."""
        for name, part in self.parts.items():
            part.load_state_dict(state_dict[name])
        self.param_groups = [group for part in self.parts.values() for group in part.param_groups]
