"""The shipped metrics."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model.metric import ConfusionMatrix, MacroF1, MeanIoU, MultilabelF1, R2Score, accuracy, subset_accuracy, top_k_acc
from utils.epoch_metrics import EpochMetrics

ROOT = Path(__file__).parents[2]

SCORES = torch.tensor([[0.1, 0.4, 0.3, 0.2], [0.9, 0.8, 0.7, 0.6], [-4.0, -3.0, -2.0, -1.0]])


def test_accuracy_is_the_part_of_samples_whose_class_has_the_highest_score():
    assert accuracy(SCORES, torch.tensor([1, 0, 2])).item() == pytest.approx(2 / 3)
    assert accuracy(SCORES, torch.tensor([0, 1, 2])).item() == 0


@pytest.mark.parametrize(("k", "expected"), [(1, 0), (2, 1 / 3), (3, 2 / 3), (4, 1)])
def test_top_k_acc_is_the_part_of_samples_whose_class_is_among_the_k_highest_scores(k, expected):
    assert top_k_acc(SCORES, torch.tensor([2, 2, 0]), k=k).item() == pytest.approx(expected)


def test_top_k_acc_takes_three_unless_told():
    targets = torch.tensor([2, 2, 0])
    assert top_k_acc(SCORES, targets).item() == top_k_acc(SCORES, targets, k=3).item()


@pytest.mark.parametrize("metric", [accuracy, top_k_acc])
def test_of_shares_of_classes_the_largest_counts(metric):
    shares = torch.tensor([[0.1, 0.6, 0.3, 0], [0.2, 0.2, 0.2, 0.4], [0, 0.1, 0.8, 0.1]])
    assert metric(SCORES, shares) == metric(SCORES, torch.tensor([1, 3, 2]))


@pytest.mark.parametrize("metric", [accuracy, top_k_acc])
def test_a_metric_stays_on_the_device_as_a_tensor(metric):
    value = metric(SCORES, torch.tensor([1, 0, 2]))
    assert torch.is_tensor(value)
    assert value.shape == ()


def test_macro_f1_is_the_mean_over_the_classes_that_occur_or_are_predicted():
    metric = MacroF1()
    for _ in range(2):  # anew after a reset
        scores = torch.eye(4)
        metric.update(scores[[0, 0, 1]], torch.tensor([0, 0, 0]))
        metric.update(scores[[1, 2]], torch.tensor([1, 1]))
        # class 0: 2 right, 2 predicted, 3 occurring; 1: 1, 2, 2; 2: 0, 1, 0; 3 is nowhere
        assert metric.compute() == pytest.approx((2 * 2 / 5 + 2 * 1 / 4 + 0) / 3)
        metric.reset()


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


YES_OR_NO = (drawn(50, 4) > 0.7).float()
OF_SUMS = {  # a metric, outputs and targets of 50 samples
    "r2": (R2Score(), drawn(50), drawn(50) + 2000),
    "f1 micro": (MultilabelF1("micro"), drawn(50, 4), YES_OR_NO),
    "f1 macro": (MultilabelF1("macro"), drawn(50, 4), YES_OR_NO),
    "mean iou": (MeanIoU(), drawn(50, 3, 4, 5), drawn(50, 4, 5).abs().clamp(max=2).long()),
}


def value(metric: Any, output: Tensor, target: Tensor, *sizes: int) -> float:
    metric.reset()
    for part in zip(output.split(list(sizes or [len(output)])), target.split(list(sizes or [len(target)]))):
        metric.update(*part)
    return float(metric.compute())


def test_accuracy_of_pixels_is_the_part_of_them_that_is_right():
    scores = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])  # [1, 2, 1, 2]
    assert accuracy(scores, torch.tensor([[[0, 0]]])).item() == 0.5


def test_subset_accuracy_counts_samples_of_which_every_label_is_right():
    scores = torch.tensor([[3.0, -1.0], [0.1, 0.2], [-1.0, -2.0]])
    assert subset_accuracy(scores, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])).item() == pytest.approx(2 / 3)


def test_r2_is_1_less_the_part_of_the_variance_that_is_left():
    target = torch.tensor([1.0, 2.0, 3.0, 6.0])  # mean 3, squares around it 4 + 1 + 0 + 9
    assert value(R2Score(), target, target) == 1
    assert value(R2Score(), torch.full((4,), 3.0), target) == 0
    assert value(R2Score(), torch.tensor([1.0, 2.0, 5.0, 3.0]), target) == pytest.approx(1 - 13 / 14)


def test_r2_is_exact_far_from_0():
    target = drawn(1000) + 1e5
    left = float((drawn(1000).double() / 2).square().sum() / (target.double() - target.double().mean()).square().sum())
    assert value(R2Score(), target.double() + drawn(1000) / 2, target, *[100] * 10) == pytest.approx(1 - left)


def test_f1_by_hand():
    # label 0: 1 right, 1 too many; label 1: 2 right, 1 missed; label 2: nowhere, nowhere found
    scores = torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, 2.0, -1.0]])
    labels = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    assert value(MultilabelF1("micro"), scores, labels) == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert value(MultilabelF1("macro"), scores, labels) == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert value(MultilabelF1(), scores, labels) == value(MultilabelF1("micro"), scores, labels)


def test_mean_iou_by_hand_is_of_the_classes_that_there_are():
    found = torch.tensor([[[0, 0, 1], [1, 1, 3]]])
    there = torch.tensor([[[0, 1, 1], [1, 1, 1]]])
    scores = torch.nn.functional.one_hot(found, 5).movedim(-1, 1).float()
    # 0: 1 of 2; 1: 3 of 5; 2 and 4: nowhere; 3: 0 of 1
    assert value(MeanIoU(), scores, there) == pytest.approx((1 / 2 + 3 / 5 + 0) / 3)


@pytest.mark.parametrize(("metric", "output", "target"), OF_SUMS.values(), ids=OF_SUMS)
def test_a_metric_of_sums_is_that_of_the_whole_however_it_is_cut(metric: Any, output: Tensor, target: Tensor) -> None:
    whole = value(metric, output, target)
    assert math.isfinite(whole)
    for sizes in ((25, 25), (1, 48, 1), (17, 16, 17)):
        assert value(metric, output, target, *sizes) == pytest.approx(whole, rel=1e-12)
    each = [value(metric, *pair) for pair in zip(output.split(10), target.split(10))]
    assert sum(each) / 5 != pytest.approx(whole)  # which is no mean over batches


@pytest.mark.parametrize(("metric", "output", "target"), OF_SUMS.values(), ids=OF_SUMS)
def test_a_metric_of_sums_goes_on_from_a_checkpoint(
    metric: Any, output: Tensor, target: Tensor, tmp_path: Path
) -> None:
    metric.reset()
    before, after = EpochMetrics([metric], torch.device("cpu")), EpochMetrics([metric], torch.device("cpu"))
    before.update(0.0, output[:30], target[:30], 30)
    torch.save(before.state_dict(), tmp_path / "state.pth")
    after.load_state_dict(torch.load(tmp_path / "state.pth", weights_only=True))
    for half in (before, after):
        half.update(0.0, output[30:], target[30:], 20)
    assert after.result() == before.result()
    assert after.result()[type(metric).__name__] == pytest.approx(value(metric, output, target))


@pytest.mark.parametrize(("metric", "output", "target"), OF_SUMS.values(), ids=OF_SUMS)
def test_a_metric_of_sums_without_samples_is_no_number(metric: Any, output: Tensor, target: Tensor) -> None:
    metric.update(output, target)
    metric.reset()
    assert math.isnan(float(metric.compute()))


def test_a_metric_of_sums_adds_up_over_processes(tmp_path: Path) -> None:
    values = []
    sets = ["metrics+=R2Score", "trainer.max_steps=1", "trainer.threads=1", f"trainer.save_dir={tmp_path}"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    for processes in ("1", "2"):
        options = [option for each in sets for option in ("-s", each)]
        command = ["train.py", "-c", "configs/forecast.json", "--run-id", processes, *options]
        done = subprocess.run([*launcher, processes, *command], cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        rows = (tmp_path / "log" / "Forecast" / processes / "metrics.jsonl").read_text().splitlines()
        values.append(json.loads(rows[-1]))
    assert values[1]["R2Score"] == pytest.approx(values[0]["R2Score"], rel=1e-4)
    assert values[1]["val_R2Score"] == pytest.approx(values[0]["val_R2Score"], rel=1e-4)


@pytest.mark.parametrize("metric", [MacroF1, ConfusionMatrix])
def test_shares_of_classes_count_as_the_class_with_the_largest(metric: Any) -> None:
    output, target = torch.eye(3)[[0, 1, 2, 2]], torch.tensor([0, 1, 1, 2])
    found = []
    for given in (target, torch.eye(3)[target] * 0.6 + 0.1):
        one = metric()
        one.update(output, given)
        found.append(one.compute())
    assert torch.equal(*found)
