"""Training with optimizers that need no schedule: `ScheduleFreeTrainer`."""

import copy
from typing import Any

import torch

from trainer.trainer import Trainer
from utils import dist
from utils.errors import ConfigError


class ScheduleFreeTrainer(Trainer):
    """For the optimizers of the package schedulefree (Defazio et al. 2024, *The Road Less Scheduled*).

    They train at one point and keep the average of their path at another: that is what is judged, tested and stored as
    the model's average. What batch normalisation has counted is that of the first.
    """

    switches_optimizer = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.options.ema_decay is not None:
            with self.config.at("trainer", "ema_decay"):
                raise ConfigError("the optimizer has an average of its own; leave it out")
        self.ema = PathAverage(self.model, self.optimizer)  # type: ignore[assignment]


class PathAverage:
    """The average that an optimizer keeps of a model's weights, as a model."""

    def __init__(self, model: torch.nn.Module, optimizer: Any) -> None:
        self._raw, self._optimizer = dist.unwrap(model), optimizer
        self._average = copy.deepcopy(self._raw)
        optimizer.train()

    @property
    def model(self) -> torch.nn.Module:
        """The model to judge, as of now; the one that trains is bit for bit what it was."""
        parameters = list(self._raw.parameters())
        before = [parameter.detach().clone() for parameter in parameters]
        self._optimizer.eval()
        self._average.load_state_dict(self._raw.state_dict())
        self._optimizer.train()
        with torch.no_grad():
            for parameter, value in zip(parameters, before):
                parameter.copy_(value)
        return self._average

    def update(self) -> None:
        """The optimizer has done so."""

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights under the model's own names."""
        return dict(self.model.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What the optimizer goes on from holds it."""
