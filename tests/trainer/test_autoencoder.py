"""AutoencoderTrainer: a model learns to give back what it is given, and one can see it."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from base import BaseDataLoader
from parse_config import ConfigParser
from trainer.autoencoder import AutoencoderTrainer


def test_the_digits_come_back(train_config: Callable, tested: Callable) -> None:
    run = train_config("autoencoder", "trainer.epochs=6")
    # with the mean image alone the loss is 0.52, through the 8 best linear directions 0.17
    assert run.epochs[-1]["val_loss"] < 0.25 < run.epochs[0]["val_loss"]
    assert tested(run.models)["loss"] < 0.25


def test_each_epoch_shows_the_same_images_beside_what_becomes_of_them(train_config: Callable) -> None:
    run = train_config("autoencoder", "trainer.epochs=6")
    grids = [np.asarray(Image.open(io.BytesIO(event.encoded_image_string))) for event in run.images("reconstructed")]
    assert len(grids) == 6
    # 32 pairs of two images of 8x8 pixels each
    sides = [grid[:, :, 0].reshape(-1, 8, grid.shape[1] // 16, 2, 8).astype(float) for grid in (grids[0], grids[-1])]
    inputs, outputs = [side[:, :, :, 0].ravel() for side in sides], [side[:, :, :, 1].ravel() for side in sides]
    assert np.corrcoef(inputs[0], inputs[1])[0, 1] > 0.999
    assert np.corrcoef(inputs[1], outputs[1])[0, 1] > 0.85
    assert np.corrcoef(inputs[0], outputs[0])[0, 1] < np.corrcoef(inputs[1], outputs[1])[0, 1]


def test_without_validation_images_of_the_training_part_are_shown(train_config: Callable) -> None:
    values = ("trainer.epochs=1", "data_loader.args.validation_split=0", "trainer.monitor=off")
    assert len(train_config("autoencoder", *values).images("reconstructed")) == 1


def test_rows_are_trained_on_but_not_shown(tmp_path: Path) -> None:
    loader = BaseDataLoader(TensorDataset(torch.rand(6, 3), torch.zeros(6)), 3, shuffle=False)
    tree = {"name": "Rows", "trainer": {"epochs": 1, "save_dir": str(tmp_path), "threads": 1}}
    model = torch.nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    parts = {"config": ConfigParser(tree), "device": torch.device("cpu"), "data_loader": loader}
    assert AutoencoderTrainer(model, torch.nn.functional.mse_loss, [], optimizer, **parts).train()["loss"] > 0
