"""The shipped losses."""

import pytest
import torch

from model.loss import nll_loss


def test_nll_loss_is_the_mean_of_minus_the_log_probability_of_the_class():
    output = torch.tensor([[-0.1, -2.5], [-3.0, -0.5], [-1.0, -4.0]])
    assert nll_loss(output, torch.tensor([0, 0, 1])).item() == pytest.approx((0.1 + 3.0 + 4.0) / 3)


def test_nll_loss_can_be_differentiated():
    output = torch.zeros(2, 3, requires_grad=True)
    nll_loss(output, torch.tensor([2, 0])).backward()
    assert output.grad is not None
    assert output.grad.tolist() == [[0, 0, -0.5], [-0.5, 0, 0]]
