"""A trainer for models that keep a vocabulary."""

from typing import Any

import torch

from trainer.trainer import Trainer
from utils import checkpoint, dist
from utils.errors import ConfigError


class TextTrainer(Trainer):
    """Gives the model the vocabulary of its training data; a run goes on with no other one than its own."""

    vocabulary: Any

    def __init__(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        self.vocabulary = dist.unwrap(model).get_submodule("vocabulary")
        self.vocabulary.learn(kwargs["data_loader"].vocabulary)
        super().__init__(model, *args, **kwargs)

    def _resume_checkpoint(self, resume_path: Any) -> None:
        of_data = self.vocabulary.known.cpu()
        of_run = checkpoint.read(resume_path)["state_dict"].get("vocabulary.known", of_data)
        goes_on = not self.config.weights_only and not self.config.args.get("allow")
        if goes_on and not torch.equal(of_run, of_data):
            raise ConfigError(
                f"{resume_path}: the words of the training data are others than the run began with; --allow goes on "
                "with those of the run, -r RUN -c CONFIG starts a new run from its weights"
            )
        super()._resume_checkpoint(resume_path)
