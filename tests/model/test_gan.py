"""The parts of the GAN: its networks, its losses, and the distance by which its images are judged."""

import pytest
import torch
import torch.nn.functional as F

from model.gan import AdversarialLoss, DigitsGan, FrechetDistance


def distance(generated: torch.Tensor, real: torch.Tensor, batch_size: int = 10_000) -> float:
    metric = FrechetDistance(pixels=generated[0].numel())
    for images, target in zip(generated.split(batch_size), real.split(batch_size)):
        metric.update({"images": images}, target)
    return metric.compute()


def test_the_gan_gives_as_many_images_as_it_takes_and_a_score_for_each():
    torch.manual_seed(0)
    output = DigitsGan(latent=5, channels=4)(torch.rand(6, 1, 8, 8))
    assert {name: value.shape for name, value in output.items()} == {
        "images": (6, 1, 8, 8),
        "scores": (6,),
        "real_scores": (6,),
    }
    assert output["images"].std(dim=0).min() > 0, "each from numbers of its own"


def test_every_parameter_of_both_networks_gets_a_gradient_from_its_loss():
    torch.manual_seed(0)
    model, images, loss = DigitsGan(latent=5, channels=4), torch.rand(8, 1, 8, 8), AdversarialLoss()
    for network, value in ((model.generator, loss), (model.discriminator, loss.discriminator)):
        value(model(images), images).backward(inputs=list(network.parameters()))
        assert [name for name, part in network.named_parameters() if part.grad is None or not part.grad.any()] == []


def test_the_losses_are_binary_cross_entropies():
    output = {"scores": torch.tensor([0.5, -2.0]), "real_scores": torch.tensor([3.0, 0.1])}
    binary = F.binary_cross_entropy_with_logits
    ones, zeros, loss = torch.ones(2), torch.zeros(2), AdversarialLoss()
    torch.testing.assert_close(loss(output, ones), binary(output["scores"], ones))
    expected = binary(output["real_scores"], ones) + binary(output["scores"], zeros)
    torch.testing.assert_close(loss.discriminator(output, ones), expected)


def test_the_distance_of_normal_distributions_is_the_formulas():
    torch.manual_seed(0)
    real = torch.randn(20_000, 1, 2, 2)
    assert distance(real, real) == pytest.approx(0, abs=1e-3)
    assert distance(real + 3, real) == pytest.approx(4 * 3**2, rel=1e-3)
    assert distance(real * 5, real) == pytest.approx(4 * (5 - 1) ** 2, rel=0.05)  # (s1 - s2)^2 a pixel
    mixed = real.flatten(1) @ torch.tensor([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]])
    first, second = torch.cov(mixed.T), torch.cov(real.flatten(1).T)
    values, vectors = torch.linalg.eigh(second)
    half = vectors @ values.sqrt().diag() @ vectors.T
    root = torch.linalg.eigvalsh(half @ first @ half).sqrt().sum()  # of similar matrices the trace is the same
    means = (mixed.mean(dim=0) - real.flatten(1).mean(dim=0)).square().sum()
    expected = means + first.trace() + second.trace() - 2 * root
    assert distance(mixed, real) == pytest.approx(expected.item(), rel=1e-3)


def test_the_distance_is_that_of_all_batches_together_and_begins_anew_after_a_reset():
    torch.manual_seed(0)
    generated, real = torch.rand(50, 1, 3, 3), torch.rand(50, 1, 3, 3)
    assert distance(generated, real, batch_size=7) == pytest.approx(distance(generated, real), rel=1e-3)
    metric = FrechetDistance(pixels=9)
    metric.update({"images": real + 5}, real)
    metric.reset()
    metric.update({"images": generated}, real)
    assert metric.compute() == pytest.approx(distance(generated, real))
