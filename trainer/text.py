"""A trainer for models that keep a vocabulary."""

from typing import Any

import torch

from trainer.trainer import Trainer
from utils import dist


class TextTrainer(Trainer):
    """Gives the model the vocabulary of its training data, unless it came with the weights that it begins with."""

    def __init__(self, model: torch.nn.Module, *args: Any, **kwargs: Any) -> None:
        with kwargs["config"].at("trainer", "type"):
            vocabulary: Any = dist.unwrap(model).get_submodule("vocabulary")
            if vocabulary.is_empty:
                vocabulary.learn(kwargs["data_loader"].vocabulary)
        super().__init__(model, *args, **kwargs)
