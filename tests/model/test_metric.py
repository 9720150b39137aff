"""The shipped metrics."""

import pytest
import torch

from model.metric import accuracy, top_k_acc

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
