"""A generative adversarial network (Goodfellow et al. 2014): its networks, its losses, and a measure of its images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from base import BaseModel
from utils import dist


class DigitsGan(BaseModel):
    """A generator and a discriminator for the 8x8 digits: images [B, 1, 8, 8] -> as many generated ones, and scores.

    A score is high where the discriminator takes an image for a real one: `scores` [B] of the generated images,
    `real_scores` [B] of the given ones.

    :param latent: how many random numbers an image is made from
    """

    def __init__(self, latent: int = 32, channels: int = 32) -> None:
        super().__init__()
        self.latent = latent
        self.generator = nn.Sequential(
            nn.Linear(latent, channels * 4 * 4),
            nn.Unflatten(1, (channels, 4, 4)),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ConvTranspose2d(channels, channels // 2, 4, stride=2, padding=1),
            nn.BatchNorm2d(channels // 2),
            nn.ReLU(),
            nn.Conv2d(channels // 2, 1, 3, padding=1),
        )
        self.discriminator = nn.Sequential(
            nn.Conv2d(1, channels, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels, 2 * channels, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
            nn.Linear(2 * channels * 4 * 4, 1),
            nn.Flatten(0),
        )

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        generated = self.generator(torch.randn(len(images), self.latent, device=images.device))
        return {
            "images": generated,
            "scores": self.discriminator(generated),
            "real_scores": self.discriminator(images),
        }


class AdversarialLoss:
    """The generator's loss, -log D(G(z)), and the discriminator's (Goodfellow et al. 2014, section 3).

    D is the sigmoid of a score, and -log sigmoid(s) = softplus(-s).
    """

    def __call__(self, output: dict[str, Tensor], target: Tensor) -> Tensor:
        return F.softplus(-output["scores"]).mean()

    def discriminator(self, output: dict[str, Tensor], target: Tensor) -> Tensor:
        """-log D(x) - log(1 - D(G(z)))."""
        return F.softplus(-output["real_scores"]).mean() + F.softplus(output["scores"]).mean()


class FrechetDistance(nn.Module):
    """How far generated images are from real ones: the Fréchet distance of two normal distributions fitted to them.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of their means and covariances (Heusel et al. 2017, equation 6), here of
    the pixels themselves. 0 is best.

    :param pixels: numbers in an image
    """

    def __init__(self, pixels: int = 64) -> None:
        super().__init__()
        self.sums: Tensor
        self.register_buffer("sums", torch.zeros(2, pixels + 1, pixels + 1))

    @torch.no_grad()
    def update(self, output: dict[str, Tensor], target: Tensor) -> None:
        for sums, images in zip(self.sums, (output["images"], target)):
            rows = F.pad(images.flatten(1).float(), (1, 0), value=1.0)  # so that one product sums 1, x and x x^T
            sums += rows.T @ rows

    def compute(self) -> float:
        sums = dist.sum_over_ranks(self.sums).double().cpu()
        moments = sums[:, 1:] / sums[:, :1, :1]
        means = moments[:, :, 0]
        covariances = moments[:, :, 1:] - means[:, :, None] * means[:, None, :]
        root = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp(min=0).sqrt().sum()
        traces = covariances.diagonal(dim1=1, dim2=2).sum()
        return float((means[0] - means[1]).square().sum() + traces - 2 * root)

    def reset(self) -> None:
        self.sums.zero_()
