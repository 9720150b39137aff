"""Training a model to give back what it is given: `AutoencoderTrainer`."""

from typing import Any

import torch

from trainer.trainer import Trainer
from utils.device import to_device


class AutoencoderTrainer(Trainer):
    """Trains a model on images alone: the target is the input.

    Each epoch shows, in TensorBoard, the same images, and to the right of each what the model makes of it. Other data
    than images [B, C, H, W] is not shown.
    """

    @staticmethod
    def read_batch(batch: Any) -> tuple[Any, Any]:
        """The images, for the model, and again, for its output to be compared with."""
        images, _ = batch
        return images, images

    def _draw(self, batch: Any) -> None:
        loader: Any = self.valid_data_loader or self.data_loader
        images, _ = self.read_batch(to_device(next(loader.one_pass()).batch, self.device))
        if images.ndim == 4:
            with torch.no_grad():
                pairs = torch.cat([images, self.ema.model.eval()(images)], dim=3)
            self.writer.add_batch("reconstructed", pairs, self.step)
