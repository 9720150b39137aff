"""The shipped losses."""

import pytest
import torch
import torch.nn.functional as F

from model.loss import nll_loss, pixel_cross_entropy


def test_nll_loss_is_the_mean_of_minus_the_log_probability_of_the_class():
    output = torch.tensor([[-0.1, -2.5], [-3.0, -0.5], [-1.0, -4.0]])
    assert nll_loss(output, torch.tensor([0, 0, 1])).item() == pytest.approx((0.1 + 3.0 + 4.0) / 3)


def test_nll_loss_can_be_differentiated():
    output = torch.zeros(2, 3, requires_grad=True)
    nll_loss(output, torch.tensor([2, 0])).backward()
    assert output.grad is not None
    assert output.grad.tolist() == [[0, 0, -0.5], [-0.5, 0, 0]]


def test_pixel_cross_entropy_is_the_mean_over_all_pixels():
    torch.manual_seed(0)
    output, target = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    by_pixel = F.cross_entropy(output.movedim(1, -1).flatten(0, 2), target.flatten())
    assert pixel_cross_entropy(output, target).item() == pytest.approx(by_pixel.item())
