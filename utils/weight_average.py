"""The exponential moving average of the weights, which is judged and tested in their place."""

from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from utils import dist


class WeightAverage:
    """A moving average of a model's weights: w <- decay * w + (1 - decay) * new, from the weights after the first step.

    Buffers are copied. Without a decay, `model` is the model itself and nothing is averaged.
    """

    def __init__(self, model: torch.nn.Module, decay: float | None) -> None:
        raw = dist.unwrap(model)
        self._average = None if decay is None else AveragedModel(raw, multi_avg_fn=get_ema_multi_avg_fn(decay))
        self._raw = raw

    @property
    def model(self) -> torch.nn.Module:
        """The model to judge."""
        return self._raw if self._average is None else self._average.module

    def update(self) -> None:
        """Takes in the weights after a step."""
        if self._average is not None:
            self._average.update_parameters(self._raw)

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights under the model's own names; with nothing averaged yet, nothing."""
        return {} if self._average is None or not self._average.n_averaged else dict(self.model.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        if self._average is not None:
            self._average.module.load_state_dict(state)
            self._average.n_averaged.fill_(1)  # the first update copies, all others average
