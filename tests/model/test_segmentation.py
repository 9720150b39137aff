"""The U-Net: a score for each class of each pixel, from near and far."""

import pytest
import torch
import torch.nn.functional as F

from model.segmentation import UNet


@pytest.mark.parametrize(("widths", "size"), [((4, 8, 8), (16, 20)), ((4, 4), (6, 10)), ((4,), (5, 7))])
def test_the_model_gives_a_score_a_class_for_each_pixel(widths: tuple[int, ...], size: tuple[int, int]) -> None:
    model = UNet(num_classes=5, in_channels=2, widths=widths)
    assert model(torch.rand(3, 2, *size)).shape == (3, 5, *size)


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    model = UNet(3, widths=(4, 8, 8))
    F.cross_entropy(model(torch.rand(4, 1, 16, 16)), torch.randint(0, 3, (4, 16, 16))).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_what_is_fine_goes_around_the_coarse_levels() -> None:
    torch.manual_seed(0)
    model = UNet(3, widths=(4, 8, 8)).eval()
    image, changed = torch.rand(2, 1, 1, 16, 16)
    for grow in model.grow:  # nothing comes up from below
        torch.nn.init.zeros_(grow.weight)
    assert not torch.allclose(model(image), model(changed))


def test_what_is_far_reaches_a_pixel_through_the_coarse_levels() -> None:
    torch.manual_seed(0)
    image = torch.rand(1, 1, 32, 32, requires_grad=True)
    reach = {}
    for widths in ((4,), (4, 8, 8)):
        (gradient,) = torch.autograd.grad(UNet(3, widths=widths).eval()(image)[0, :, 16, 16].sum(), image)
        reach[len(widths)] = int(gradient[0, 0].any(dim=0).sum())
    assert reach[1] == 5  # two convolutions of 3 pixels
    assert reach[3] > 15
