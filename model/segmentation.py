"""Models that say what each pixel of an image shows."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from base import BaseModel


class UNet(BaseModel):
    """Scores each pixel by what is near and what is far: [B, in_channels, H, W] -> [B, num_classes, H, W].

    Figure 1 of Ronneberger, Fischer, Brox (2015), with padding, so that no border is lost, and batch normalisation.
    Every level has half the size of the one before, so with three levels H and W are multiples of 4.

    :param widths: the channels of each level, the finest first
    """

    def __init__(self, num_classes: int, in_channels: int = 1, widths: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        self.down = nn.ModuleList(_two_convolutions(a, b) for a, b in pairwise((in_channels, *widths)))
        coarse_to_fine = list(pairwise(reversed(widths)))
        self.grow = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in coarse_to_fine)
        self.up = nn.ModuleList(_two_convolutions(2 * b, b) for _, b in coarse_to_fine)
        self.scores = nn.Conv2d(widths[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.down[0](x)
        finer = []
        for convolutions in self.down[1:]:
            finer.append(x)
            x = convolutions(F.max_pool2d(x, 2))
        for grow, convolutions in zip(self.grow, self.up):
            x = convolutions(torch.cat([finer.pop(), grow(x)], dim=1))
        return self.scores(x)


def _two_convolutions(c_in: int, c_out: int) -> nn.Sequential:
    layers = []
    for channels in (c_in, c_out):
        layers += [nn.Conv2d(channels, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
    return nn.Sequential(*layers)
