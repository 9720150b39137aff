"""The autoencoder: what comes out has the shape of what goes in, and passes through a few numbers."""

import torch

from model.autoencoder import DigitsAutoencoder


def test_images_come_back_through_as_many_numbers_as_the_code_has():
    model = DigitsAutoencoder(code=3, channels=4)
    for n in (1, 5):
        images = torch.rand(n, 1, 8, 8)
        assert model.encoder(images).shape == (n, 3)
        assert model(images).shape == images.shape


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model, images = DigitsAutoencoder(code=3, channels=4), torch.rand(8, 1, 8, 8)
    (model(images) - images).square().mean().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []
