"""Augmentations of whole batches with one draw a sample.

Each has `draw(n, generator)`, the random numbers of n samples, one row each, and `apply(images, draws)`.
They work on images [B, C, H, W] whose background is 0, so before normalisation.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


class RandomAffine:
    """Shifts, turns and scales each image; what comes in at the border is 0.

    :param shift: at most this many pixels, in each direction
    :param degrees: at most this angle
    :param scale: at most this part larger or smaller
    """

    def __init__(self, shift: float = 0.0, degrees: float = 0.0, scale: float = 0.0) -> None:
        self.shift, self.degrees, self.scale = shift, degrees, scale

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 4, generator=generator)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        images = images if images.is_floating_point() else images.float()
        height, width = images.shape[-2:]
        right, down, turn, zoom = (2 * draws - 1).to(images.dtype).unbind(dim=1)
        angle, size = turn * math.radians(self.degrees), 1 + zoom * self.scale
        cos, sin = angle.cos() * size, angle.sin() * size
        # affine_grid counts from -1 to 1 in either direction, also where they are not equally long
        right, down = right * self.shift * 2 / width, down * self.shift * 2 / height
        rows = [cos, -sin * height / width, right, sin * width / height, cos, down]
        grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


class RandomCropFlip:
    """Shifts each image by whole pixels and mirrors every second one; what comes in at the border is 0.

    A row is copied as a whole, which takes a quarter of the time of an index for each pixel.

    :param padding: at most this many pixels, in each direction
    """

    def __init__(self, padding: int = 4, flip: bool = True) -> None:
        self.padding, self.flip = padding, flip

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 3, generator=generator)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        n, channels, height, width = images.shape
        padded = F.pad(images, [self.padding] * 4).contiguous()
        top, left = (draws[:, :2] * (2 * self.padding + 1)).long().unbind(dim=1)
        plane = torch.arange(n * channels, device=images.device).view(n, channels) * padded.shape[2]
        rows = (plane + top[:, None])[:, :, None] + torch.arange(height, device=images.device)
        starts = rows * padded.shape[3] + left[:, None, None]  # of each row of each image, in the padded ones
        moved = padded.view(-1).unfold(0, width, 1).index_select(0, starts.view(-1)).view_as(images)
        return torch.where(draws[:, 2, None, None, None] < 0.5, moved.flip(3), moved) if self.flip else moved


class RandomCrop:
    """Cuts a square of `size` pixels out of each image, anywhere in it, and mirrors every second one."""

    def __init__(self, size: int, flip: bool = True) -> None:
        self.size, self.flip = size, flip

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 3, generator=generator)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        room = torch.tensor(images.shape[-2:], device=draws.device) - self.size + 1
        corners, mirrored = (draws[:, :2] * room).long(), draws[:, 2] < 0.5 if self.flip else draws[:, 2] < 0
        if images.device.type == "cpu":
            return self._copied(images, corners.tolist(), mirrored.tolist())
        return self._indexed(images, corners.to(images.device), mirrored.to(images.device))

    def _copied(self, images: Tensor, corners: list[list[int]], mirrored: list[bool]) -> Tensor:
        """One by one: on a CPU ten times as fast as an index."""
        cuts = images.new_empty(*images.shape[:2], self.size, self.size)
        for cut, image, (top, left), flip in zip(cuts, images, corners, mirrored):
            part = image[:, top : top + self.size, left : left + self.size]
            cut.copy_(part.flip(2) if flip else part)
        return cuts

    def _indexed(self, images: Tensor, corners: Tensor, mirrored: Tensor) -> Tensor:
        """All at once, without waiting for the device."""
        top, left = corners.unbind(dim=1)
        every_cut = images.unfold(2, self.size, 1).unfold(3, self.size, 1)
        cuts = every_cut[torch.arange(len(images), device=images.device), :, top, left]
        return torch.where(mirrored[:, None, None, None], cuts.flip(3), cuts)


class CenterCrop:
    """The square of `size` pixels in the middle of each image."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, images: Tensor) -> Tensor:
        top, left = ((length - self.size) // 2 for length in images.shape[-2:])
        return images[..., top : top + self.size, left : left + self.size]


class Normalize:
    """Images [B, C, H, W] of bytes as numbers: each channel's mean taken off, in units of its standard deviation.

    :param mean: of each channel, with `largest` counted as 1
    :param largest: the value that stands for white
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], largest: float = 255) -> None:
        self.mean = torch.tensor(mean).view(-1, 1, 1) * largest
        self.scale = 1 / (torch.tensor(std).view(-1, 1, 1) * largest)

    def __call__(self, images: Tensor) -> Tensor:
        # bytes made numbers first, then in place: a quarter of the time
        numbers = images.to(torch.promote_types(images.dtype, self.mean.dtype), copy=True)
        return numbers.sub_(self.mean.to(images.device)).mul_(self.scale.to(images.device))
