"""The models that a config can name."""

import torch.nn.functional as F
from torch import Tensor, nn

from base import BaseModel


class DigitsModel(BaseModel):
    """Three convolutions for the 8x8 digits: [B, 1, 8, 8] -> scores [B, num_classes]."""

    def __init__(self, channels: int = 16, dropout: float = 0.2, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * channels)
        self.conv3 = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(2 * channels)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * channels * 4 * 4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.max_pool2d(x, 2)
        x = F.relu(self.norm3(self.conv3(x)))
        return self.linear(self.dropout(x.flatten(1)))


class MnistModel(BaseModel):
    """The LeNet of the old template: [B, 1, 28, 28] -> log-probabilities [B, num_classes], for `nll_loss`."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=5)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=5)
        self.conv2_drop = nn.Dropout2d()
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = F.relu(self.fc1(x.flatten(1)))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


class ResNet(BaseModel):
    """A residual network for images of 16 pixels and more: [B, in_channels, H, W] -> scores [B, num_classes].

    Stages of two blocks each, every one after the first at half the size (He et al. 2016, section 4.2).

    :param widths: the channels of each stage
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        super().__init__()
        self.stem = _convolution(in_channels, widths[0])
        blocks = []
        before = widths[0]
        for index, width in enumerate(widths):
            blocks += [ResidualBlock(before, width, stride=1 if index == 0 else 2), ResidualBlock(width, width)]
            before = width
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(before, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.stem(x)))
        return self.linear(x.mean(dim=(2, 3)))


class ResidualBlock(nn.Module):
    """Two convolutions around which the input passes: [B, c_in, H, W] -> [B, c_out, H/stride, W/stride]."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(c_in, c_out, stride)
        self.second = _convolution(c_out, c_out)
        self.shortcut = nn.Identity() if c_in == c_out and stride == 1 else _convolution(c_in, c_out, stride, size=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.shortcut(x))


def _convolution(c_in: int, c_out: int, stride: int = 1, size: int = 3) -> nn.Sequential:
    convolution = nn.Conv2d(c_in, c_out, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(c_out))
