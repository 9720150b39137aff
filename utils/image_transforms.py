"""Transforms of single images, of torchvision, of Albumentations or of your own, also as augmentations of batches."""

import random
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from utils.failures import SampleError
from utils.seed import kept_generators, seed_cpu_generators


def transformed(transform: Callable, image: Tensor) -> Tensor:
    """What a transform makes of an image [C, H, W].

    One of Albumentations takes and gives its own form, an array [H, W, C], and draws from generators of its own: they
    are set from torch's.
    """
    if not hasattr(transform, "set_random_state"):
        return transform(image)
    seed = int(torch.randint(2**63 - 1, ()))
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    made = transform(image=image.permute(1, 2, 0).numpy())["image"]
    return made if isinstance(made, Tensor) else torch.from_numpy(np.ascontiguousarray(made)).permute(2, 0, 1)


class EachImage:
    """A transform of single images as an augmentation of batches, each image with the generators set from its draw.

    One image after the other, and on the CPU: slower than an augmentation that moves a batch as a whole.
    What comes out has the type that went in: it is normalised afterwards. Raises SampleError if the transform fails.
    """

    def __init__(self, transform: Callable) -> None:
        self.transform = transform

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.randint(2**63 - 1, (n,), generator=generator)

    def apply(self, images: Tensor, draws: Tensor) -> Tensor:
        name = getattr(self.transform, "__name__", type(self.transform).__name__)
        try:
            with kept_generators():
                made = torch.stack([self._one(*pair) for pair in zip(images.cpu(), draws.tolist())])
        except Exception as error:
            if sys.flags.dev_mode:
                raise
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise SampleError(f"{name} fails on images {list(images.shape[1:])}: {said}") from error
        if made.dtype != images.dtype:
            raise SampleError(f"{name} must keep the type of images, {images.dtype}, not make them {made.dtype}")
        return made.to(images.device)

    def _one(self, image: Tensor, seed: int) -> Tensor:
        seed_cpu_generators(seed)
        return transformed(self.transform, image)


def augmentations(given: Any) -> list[Any]:
    """What a loader is given as `augment`, one, a list or none, as augmentations of batches in their order."""
    listed = given if isinstance(given, (list, tuple)) else [given] if given else []
    return [one if hasattr(one, "draw") else EachImage(one) for one in listed]
