"""GanTrainer: the generated images come near to the real ones, and each optimizer moves its own network."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

import train
from base import BaseDataLoader
from model.gan import AdversarialLoss
from parse_config import ConfigParser
from trainer.gan import GanTrainer

ROOT = Path(__file__).parents[2]


def test_the_generated_images_come_near_to_the_digits(train_config: Callable, tested: Callable) -> None:
    run = train_config("gan", "trainer.epochs=12")
    first, last = run.epochs[0], run.epochs[-1]
    assert {"loss", "loss_d", "frechet", "val_loss", "val_frechet"} <= last.keys()
    assert first["val_frechet"] > 40
    assert last["val_frechet"] < 12  # 12.8: independent pixels with the mean and the spread of the digits
    assert tested(run.models)["frechet"] < 12
    images = [event.encoded_image_string for event in run.images("generated")]
    assert len(set(images)) == 12, "other images each epoch"


def test_the_images_shown_are_always_made_of_the_same_numbers(train_config: Callable) -> None:
    still = ("optimizer.args.lr=0", "optimizer_d.args.lr=0", "trainer.ema_decay=null", "trainer.epochs=3")
    encoded = [event.encoded_image_string for event in train_config("gan", *still).images("generated")]
    _, second, third = (np.asarray(Image.open(io.BytesIO(image)))[:, :, 0].ravel() for image in encoded)
    assert np.corrcoef(second, third)[0, 1] > 0.99  # the statistics of the batches still move a little


def test_a_schedule_is_the_generators(train_config: Callable) -> None:
    schedule = '{"type": "StepLR", "interval": "step", "args": {"step_size": 1, "gamma": 0.5}}'
    run = train_config("gan", f"lr_scheduler={schedule}", "trainer.max_steps=2", "trainer.log_step=1")
    state = torch.load(run.models / "checkpoint-last.pth", weights_only=True)
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.002 / 4
    assert state["extra"]["optimizer_d"]["param_groups"][0]["lr"] == 0.002


@pytest.mark.parametrize(("still", "moving"), [("generator", "discriminator"), ("discriminator", "generator")])
def test_each_optimizer_moves_its_own_network(tmp_path: Path, still: str, moving: str) -> None:
    tree = json.loads((ROOT / "configs" / "gan.json").read_text())
    tree["trainer"] |= {"epochs": 1, "len_epoch": 2, "save_dir": str(tmp_path), "threads": 1, "tensorboard": False}
    tree["optimizer" if still == "generator" else "optimizer_d"]["args"]["lr"] = 0.0
    trainer = train.build(ConfigParser(tree))
    before = copy.deepcopy(trainer.model)
    trainer.train()
    for name, moves in ((still, False), (moving, True)):
        pairs = zip(getattr(before, name).parameters(), getattr(trainer.model, name).parameters())
        assert all(torch.equal(*pair) != moves for pair in pairs), name


class Shifts(torch.nn.Module):
    """A generator and a discriminator without randomness."""

    latent = 1

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator, self.discriminator = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)

    def forward(self, numbers: torch.Tensor) -> dict[str, torch.Tensor]:
        images = self.generator(numbers)
        return {"scores": self.discriminator(images), "real_scores": self.discriminator(numbers + 3)}


def step(folder: Path, batch_size: int, accumulation: int) -> tuple[dict[str, float], Shifts]:
    """The log and the model after one step over five samples."""
    section = {"epochs": 1, "accumulation": accumulation, "save_dir": str(folder), "threads": 1}
    tree = {"name": "Shifts", "trainer": section, "optimizer_d": {"type": "SGD", "args": {"lr": 0.5}}}
    loader = BaseDataLoader(TensorDataset(torch.arange(5.0)[:, None], torch.arange(5)), batch_size, shuffle=False)
    model = Shifts()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    parts = {"config": ConfigParser(tree), "device": torch.device("cpu"), "data_loader": loader}
    return GanTrainer(model, AdversarialLoss(), [], optimizer, **parts).train(), model


def test_one_step_goes_down_both_gradients_at_the_same_weights(tmp_path: Path) -> None:
    log, model = step(tmp_path, batch_size=5, accumulation=1)
    numbers, loss = torch.arange(5.0)[:, None], AdversarialLoss()
    for name, rate, value_of in (("generator", 0.25, loss), ("discriminator", 0.5, loss.discriminator)):
        fresh = Shifts()
        value = value_of(fresh(numbers), numbers)
        value.backward()
        assert log["loss" if name == "generator" else "loss_d"] == pytest.approx(value.item())
        for parameter, before in zip(getattr(model, name).parameters(), getattr(fresh, name).parameters()):
            torch.testing.assert_close(parameter, before - rate * before.grad)


def test_batches_of_a_step_count_by_their_samples(tmp_path: Path) -> None:
    whole_log, whole = step(tmp_path / "whole", batch_size=5, accumulation=1)
    parts_log, parts = step(tmp_path / "parts", batch_size=3, accumulation=2)
    torch.testing.assert_close(whole.state_dict(), parts.state_dict())
    assert whole_log == pytest.approx(parts_log)
