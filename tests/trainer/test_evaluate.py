"""The evaluation loop: values of the whole set, whatever the batches; model and generators stay as they are."""

import random
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from base import BaseDataLoader, TensorDataLoader
from model.metric import accuracy, top_k_acc
from trainer.evaluate import evaluate
from trainer.trainer import Trainer

N, CPU = 23, torch.device("cpu")


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 4)
        self.norm = nn.BatchNorm1d(4)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.norm(self.linear(x)))


class Errors:
    """A metric that is no mean: how many samples of the set are wrong."""

    def __init__(self) -> None:
        self.count = 0

    def update(self, output, target):
        self.count += int((output.argmax(dim=1) != target).sum())

    def compute(self):
        return self.count

    def reset(self):
        self.count = 0


class Batches:
    """An iterable with a length, and nothing else."""

    def __init__(self, batches: list[Any]) -> None:
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        return iter(self.batches)


METRICS = (accuracy, top_k_acc, Errors())


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(N, 5, generator=generator), torch.randint(4, (N,), generator=generator)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    model = Model()
    model.norm.running_mean = torch.tensor([0.1, -0.2, 0.3, 0.0])
    return model


def seed_all(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


def draw_from_all() -> list[float]:
    return [torch.rand(()).item(), random.random(), np.random.rand()]


LOADERS = {
    "tensors": lambda data: TensorDataLoader(data, 8),
    "samples": lambda data: BaseDataLoader(TensorDataset(*data), 8),
    "two workers": lambda data: BaseDataLoader(TensorDataset(*data), 8, num_workers=2),
    "plain": lambda data: DataLoader(TensorDataset(*data), 8, shuffle=True),
    "iterable": lambda data: Batches([(data[0][:20], data[1][:20]), (data[0][20:], data[1][20:])]),
}


def judge(model: nn.Module, loader: Any, metrics: Any = METRICS, **options: Any) -> Any:
    return evaluate(model, F.cross_entropy, metrics, loader, CPU, Trainer.read_batch, **options)


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_the_values_are_those_of_the_whole_set_at_once(make, model, data):
    found = judge(model, make(data))
    with torch.no_grad():
        output = model.eval()(data[0])
    assert found == {
        "loss": pytest.approx(F.cross_entropy(output, data[1]).item(), rel=1e-6),
        "accuracy": pytest.approx(accuracy(output, data[1]).item()),
        "top_k_acc": pytest.approx(top_k_acc(output, data[1]).item()),
        "Errors": int((output.argmax(dim=1) != data[1]).sum()),
    }
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize("make", LOADERS.values(), ids=LOADERS)
def test_an_evaluation_gives_the_same_each_time_and_leaves_randomness_as_it_was(make, model, data):
    loader = make(data)
    seed_all(1)
    expected = draw_from_all()
    seed_all(1)
    first = judge(model, loader)
    assert draw_from_all() == expected
    assert judge(model, make(data)) == first


def test_a_metric_object_counts_each_evaluation_anew_and_is_itself_left_alone(model, data):
    errors = Errors()
    errors.count = 1000
    clean = judge(model, TensorDataLoader(data, 8), [Errors()])
    errors.reset()
    assert judge(model, TensorDataLoader(data, 8), [errors]) == clean
    assert judge(model, TensorDataLoader(data, 8), [errors]) == clean
    assert errors.count == 0


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_model_is_as_before(training, model, data):
    model.train(training)
    judge(model, TensorDataLoader(data, 8))
    assert [part.training for part in model.modules()] == [training] * 4


def test_a_part_that_was_frozen_in_evaluation_mode_stays_so(model, data):
    model.train()
    model.norm.eval()
    judge(model, TensorDataLoader(data, 8))
    assert {name: part.training for name, part in model.named_children()} == {
        "linear": True,
        "norm": False,
        "dropout": True,
    }


def test_an_evaluation_makes_no_gradient_and_changes_no_weight_or_statistic(model, data):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    seen = []

    def criterion(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append(output.requires_grad)
        return F.cross_entropy(output, target)

    evaluate(model.train(), criterion, [], TensorDataLoader(data, 8), CPU, Trainer.read_batch)
    assert seen == [False, False, False]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.is_grad_enabled()


def test_read_batch_says_what_the_model_takes_and_what_it_is_compared_with(model, data):
    batches = Batches([{"y": data[1], "x": data[0]}])
    found = evaluate(model, F.cross_entropy, [accuracy], batches, CPU, lambda batch: (batch["x"], batch["y"]))
    assert found == judge(model, TensorDataLoader(data, N, shuffle=False), [accuracy])


def test_autocast_covers_the_model_and_the_loss(model, data):
    kinds = []

    def criterion(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        kinds.append((output.dtype, torch.is_autocast_enabled("cpu")))
        return F.cross_entropy(output, target)

    autocast = torch.autocast("cpu", torch.bfloat16)
    linear = nn.Linear(5, 4)
    evaluate(linear, criterion, [], TensorDataLoader(data, 12), CPU, Trainer.read_batch, autocast)
    assert kinds == [(torch.bfloat16, True)] * 2
    assert not torch.is_autocast_enabled("cpu")
