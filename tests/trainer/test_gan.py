"""GanTrainer: the generated images come near to the real ones, and each optimizer moves its own network."""

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from utils.errors import ConfigError

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


def built(folder: Path, **sections: Any) -> GanTrainer:
    """The trainer of the shipped config for two steps, with sections changed."""
    tree = json.loads((ROOT / "configs" / "gan.json").read_text())
    section = {"epochs": 1, "len_epoch": 2, "save_dir": str(folder), "threads": 1, "tensorboard": False}
    tree["trainer"] |= section
    return train.build(
        ConfigParser(
            {name: tree.get(name, {}) | part for name, part in sections.items()}
            | {name: part for name, part in tree.items() if name not in sections}
        )
    )


@pytest.mark.parametrize("kind", ["Adam", "SGD", "MuonAndAdamW"])
def test_groups_leave_each_parameter_in_one_optimizer(kind: str, tmp_path: Path) -> None:
    own = [{"muon": False}] * 2 if kind == "MuonAndAdamW" else [{"lr": 0.5}, {"lr": 0.25}]
    patterns = (["discriminator.0.*", "discriminator.2.*"], "generator.0.*")
    groups = [{"params": pattern} | more for pattern, more in zip(patterns, own)]
    schedule = {"type": "StepLR", "interval": "step", "args": {"step_size": 1}}
    optimizer = {"type": kind, "args": {"lr": 0.01}, "groups": groups}
    trainer = built(tmp_path, optimizer=optimizer, lr_scheduler=schedule)
    gan: Any = trainer.model
    held = [id(value) for group in trainer.optimizer.param_groups for value in group["params"]]
    assert sorted(held) == sorted(map(id, gan.generator.parameters()))
    trainer.train()
    if kind != "MuonAndAdamW":
        group = next(
            group for group in trainer.optimizer.param_groups if gan.generator[0].weight in set(group["params"])
        )
        assert group["lr"] == pytest.approx(0.25 / 100), "the rate of its own group, two steps of the schedule on"


def test_what_is_frozen_in_either_network_stays(tmp_path: Path) -> None:
    trainer = built(tmp_path, arch={"freeze": ["generator.0.*", "discriminator.5.*"]})
    before = copy.deepcopy(trainer.model.state_dict())
    trainer.train()
    after = trainer.model.state_dict()
    same = {name for name, _ in trainer.model.named_parameters() if torch.equal(before[name], after[name])}
    assert same == {"generator.0.weight", "generator.0.bias", "discriminator.5.weight", "discriminator.5.bias"}


def test_the_whole_generator_cannot_be_frozen(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leaves nothing of the generator to train"):
        built(tmp_path, arch={"freeze": ["generator.*"]})


def test_the_discriminators_optimizer_may_be_the_projects_own(tmp_path: Path) -> None:
    trainer = built(tmp_path, optimizer_d={"type": "MuonAndAdamW", "args": {"lr": 0.001}})
    before = copy.deepcopy(trainer.model)
    trainer.train()
    assert not torch.equal(before.discriminator[5].weight, trainer.model.discriminator[5].weight)


def test_a_resume_changes_the_rate_of_the_discriminators_optimizer(
    train_config: Callable, run_command: Callable
) -> None:
    run = train_config("gan", "trainer.epochs=1", "trainer.limit=2")
    longer = ("-r", run.models, "-s", "trainer.epochs=2")
    done = run_command("train.py", *longer, "-s", "optimizer_d.args.lr=0.0005")
    assert done.returncode == 0, done.stderr
    state = torch.load(run.models / "checkpoint-last.pth", weights_only=True)
    assert state["extra"]["optimizer_d"]["param_groups"][0]["lr"] == 0.0005
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.002
    sgd = ("-s", 'optimizer_d={"type": "SGD", "args": {"lr": 0.1}}', "-s", "trainer.epochs=3", "--allow")
    refused = run_command("train.py", "-r", run.models, *sgd)
    assert refused.returncode == 2
    assert "optimizer_d.type: the run goes on with the type it has" in refused.stderr


@pytest.mark.parametrize("kind", ["LBFGS", "schedulefree.AdamWScheduleFree"])
def test_an_optimizer_that_asks_for_more_than_gradients_is_refused(kind: str, tmp_path: Path) -> None:
    if "." in kind:
        pytest.importorskip("schedulefree")
    with pytest.raises(ConfigError, match=r"optimizer_d.type: .* GanTrainer cannot train with it"):
        built(tmp_path, optimizer_d={"type": kind, "args": {"lr": 0.1}})


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


def step(folder: Path, batch_size: int, accumulation: int, **options: Any) -> tuple[dict[str, float], Shifts]:
    """The log and the model after one step over five samples."""
    section = {"epochs": 1, "accumulation": accumulation, "save_dir": str(folder), "threads": 1} | options
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


def test_the_gradient_of_each_network_is_clipped(tmp_path: Path) -> None:
    _, model = step(tmp_path, batch_size=5, accumulation=1, clip_grad_norm=0.01)
    for name, rate in (("generator", 0.25), ("discriminator", 0.5)):
        pairs = zip(getattr(model, name).parameters(), getattr(Shifts(), name).parameters())
        moved = torch.cat([(after - before).flatten() for after, before in pairs])
        assert moved.norm().item() == pytest.approx(0.01 * rate, rel=1e-3), name


def test_batches_of_a_step_count_by_their_samples(tmp_path: Path) -> None:
    whole_log, whole = step(tmp_path / "whole", batch_size=5, accumulation=1)
    parts_log, parts = step(tmp_path / "parts", batch_size=3, accumulation=2)
    torch.testing.assert_close(whole.state_dict(), parts.state_dict())
    assert whole_log == pytest.approx(parts_log)
