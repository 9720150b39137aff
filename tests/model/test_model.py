"""The shipped models: what comes out, how large they are, and that all of it trains."""

import pytest
import torch
import torch.nn.functional as F

from model.model import DigitsModel, MnistModel, ResidualBlock, ResNet

MODELS = {
    "digits": (DigitsModel, {}, (1, 8, 8)),
    "mnist": (MnistModel, {}, (1, 28, 28)),
    "resnet": (ResNet, {"widths": [4, 8, 8]}, (3, 32, 32)),
    "resnet of 16 pixels": (ResNet, {"widths": (4, 8, 8), "in_channels": 1}, (1, 16, 20)),
}


@pytest.mark.parametrize(("kind", "arguments", "shape"), MODELS.values(), ids=MODELS)
def test_a_model_gives_one_score_a_class_for_any_number_of_images(kind, arguments, shape):
    model = kind(**arguments).eval()
    for n in (1, 5):
        assert model(torch.rand(n, *shape)).shape == (n, 10)
    assert kind(**arguments, num_classes=3).eval()(torch.rand(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize(("kind", "arguments", "shape"), MODELS.values(), ids=MODELS)
def test_every_parameter_of_a_model_gets_a_gradient(kind, arguments, shape):
    torch.manual_seed(0)
    model = kind(**arguments)
    F.cross_entropy(model(torch.rand(8, *shape)), torch.arange(8)).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


@pytest.mark.parametrize(("kind", "shape"), [(DigitsModel, (1, 8, 8)), (MnistModel, (1, 28, 28))])
def test_dropout_works_while_training_only(kind, shape):
    images, model = torch.rand(4, *shape), kind()
    assert not torch.equal(model(images), model(images))
    model.eval()
    assert torch.equal(model(images), model(images))


def test_the_digits_model_has_as_many_parameters_as_the_readme_says():
    text = str(DigitsModel())
    assert text.startswith("DigitsModel\n  conv1   Conv2d       weight 16x1x3x3                  144\n")
    assert text.endswith("Trainable parameters: 19,258")


def test_the_mnist_model_gives_log_probabilities():
    output = MnistModel()(torch.rand(4, 1, 28, 28))
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(4))


@pytest.mark.parametrize(("c_in", "c_out", "stride"), [(4, 4, 1), (4, 8, 2), (4, 8, 1), (4, 4, 2)])
def test_a_residual_block_passes_its_input_around_its_convolutions(c_in, c_out, stride):
    block = ResidualBlock(c_in, c_out, stride).eval()
    torch.nn.init.zeros_(block.second[0].weight)
    images = torch.rand(2, c_in, 8, 8)
    assert block(images).shape == (2, c_out, 8 // stride, 8 // stride)
    torch.testing.assert_close(block(images), F.relu(block.shortcut(images)))
    assert isinstance(block.shortcut, torch.nn.Identity) is (c_in == c_out and stride == 1)
