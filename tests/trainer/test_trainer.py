"""A trainer of one's own, as the README shows it."""

import json
from pathlib import Path

import pytest
import torch

from base import BaseDataLoader
from parse_config import ConfigParser
from trainer.trainer import Trainer
from utils.device import to_device
from utils.errors import ConfigError

CPU = torch.device("cpu")


class Pairs(torch.utils.data.Dataset):
    def __len__(self):
        return 20

    def __getitem__(self, index):
        return {"image": torch.full((4,), float(index)), "label": torch.tensor(index % 2)}


class DictTrainer(Trainer):
    @staticmethod
    def read_batch(batch):
        return batch["image"], batch["label"]

    def _stateful(self):
        return super()._stateful() | {"second": self.second}


class OwnStep(DictTrainer):
    def _train_step(self, batches):
        for batch, n, _ in batches:
            data, target = self.read_batch(to_device(batch, self.device))
            output = self.model(data)
            loss = self.criterion(output, target)
            loss.backward()
            self.train_metrics.update(loss, output, target, n)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.schedule.after_step()


class ForgetsToCount(DictTrainer):
    def _train_step(self, batches):
        self.optimizer.step()


def run(kind, folder: Path) -> dict:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    config = ConfigParser(
        {"name": "Own", "trainer": {"epochs": 2, "save_dir": str(folder), "threads": 1}}, run_id="own"
    )
    loader = BaseDataLoader(Pairs(), 4, validation_split=4)
    trainer = kind(
        model, torch.nn.functional.cross_entropy, [], optimizer, config, CPU, loader, loader.split_validation()
    )
    trainer.second = torch.optim.SGD(model.parameters(), lr=0.5)
    return trainer.train()


def test_dict_batches_and_a_step_of_ones_own_train_as_ours_does(tmp_path):
    ours, own = run(DictTrainer, tmp_path / "ours"), run(OwnStep, tmp_path / "own")
    assert ours == own
    state = torch.load(tmp_path / "own" / "models" / "Own" / "own" / "checkpoint-last.pth", weights_only=True)
    assert state["extra"]["second"]["param_groups"][0]["lr"] == 0.5


def test_a_step_that_counts_nothing_logs_no_training_values(tmp_path):
    log = run(ForgetsToCount, tmp_path)
    assert list(log) == ["epoch", "val_loss"]
    rows = (tmp_path / "log" / "Own" / "own" / "metrics.jsonl").read_text().splitlines()
    assert all("loss" not in json.loads(row) for row in rows)


def test_a_batch_that_is_no_pair_says_what_to_override():
    with pytest.raises(ConfigError, match=r"a dict with image, label.*override read_batch"):
        Trainer.read_batch({"image": 1, "label": 2})
    with pytest.raises(ConfigError, match="of 3"):
        Trainer.read_batch((1, 2, 3))
