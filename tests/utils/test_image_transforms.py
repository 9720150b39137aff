"""Transforms of single images: each in its own form, each image with a draw of its own."""

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from data_loader.transforms import RandomCropFlip
from utils.failures import SampleError
from utils.image_transforms import EachImage, augmentations, transformed
from utils.seed import generator, seed_cpu_generators

ROOT = Path(__file__).parents[2]


def images(n: int = 6) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 8, 10), dtype=torch.uint8, generator=generator(0))


class AddNoise:
    """Draws from all three generators."""

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        return image + torch.randint(50, ()).byte() + random.randrange(50) + int(np.random.randint(50))


def test_each_image_has_a_draw_of_its_own_whatever_part_of_the_batch_it_is_in():
    augment = EachImage(AddNoise())
    draws = augment.draw(6, generator(1))
    whole = augment.apply(images(), draws)
    assert len({int(change[0, 0, 0]) for change in whole - images()}) > 3
    torch.rand(3)
    assert torch.equal(augment.apply(images()[2:4], draws[2:4]), whole[2:4])
    assert torch.equal(augment.draw(6, generator(1)), draws)
    assert not torch.equal(augment.draw(6, generator(2)), draws)


def test_nobody_else_notices_that_generators_are_seeded():
    def drawn() -> tuple[float, float, float]:
        return float(torch.rand(())), random.random(), float(np.random.rand())

    augment = EachImage(AddNoise())
    seed_cpu_generators(0)
    expected = drawn()
    seed_cpu_generators(0)
    augment.apply(images(), augment.draw(6, generator(1)))
    assert drawn() == expected


def test_what_augments_batches_stays_and_what_transforms_images_is_called_on_each():
    crop, noise = RandomCropFlip(), AddNoise()
    first, second = augmentations([crop, noise])
    assert first is crop
    assert isinstance(second, EachImage)
    assert augmentations(crop) == [crop]
    assert augmentations(None) == augmentations([]) == []


@pytest.mark.parametrize(
    ("transform", "line"),
    [
        (v2.RandomCrop(20), r"RandomCrop fails on images \[3, 8, 10\]: ValueError: Required crop size"),
        (v2.RandomResize(4, 40), r"RandomResize fails on images .*equal size, but got \[3, "),
        (v2.MixUp(num_classes=3), r"MixUp fails on images .*: ValueError: labels should be"),
        (v2.ToDtype(torch.float32), r"ToDtype must keep the type of images, torch.uint8, not make them torch.float32"),
    ],
)
def test_a_transform_that_fails_is_one_line(transform, line):
    augment = EachImage(transform)
    with pytest.raises(SampleError, match=line) as caught:
        augment.apply(images(), augment.draw(6, generator(0)))
    assert "\n" not in str(caught.value)


# -- Albumentations ---------------------------------------------------------------------------------------------------


@pytest.fixture
def albumentations(monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    return pytest.importorskip("albumentations")


def test_albumentations_gets_and_gives_its_own_form(albumentations):
    [image] = images(1)
    assert torch.equal(transformed(albumentations.HorizontalFlip(p=1), image), image.flip(2))
    assert torch.equal(transformed(albumentations.Transpose(p=1), image[:1]), image[:1].mT)
    as_tensor = albumentations.Compose([albumentations.VerticalFlip(p=1), albumentations.ToTensorV2()])
    assert torch.equal(transformed(as_tensor, image), image.flip(1))


def test_albumentations_draws_from_the_generator_that_the_sample_was_seeded_with(albumentations):
    parts = [albumentations.HorizontalFlip(), albumentations.AdditiveNoise(p=1), albumentations.CoarseDropout(p=1)]
    augment = EachImage(albumentations.Compose(parts))
    draws = augment.draw(6, generator(0))
    whole = augment.apply(images(), draws)
    augment.apply(images(), augment.draw(6, generator(9)))
    assert torch.equal(EachImage(albumentations.Compose(parts)).apply(images()[3:], draws[3:]), whole[3:])


def test_the_parts_of_a_pipeline_of_albumentations_draw_differently(albumentations):
    image = images(1).expand(60, -1, -1, -1)
    augment = EachImage(albumentations.Compose([albumentations.HorizontalFlip(), albumentations.VerticalFlip()]))
    moved = augment.apply(image, augment.draw(60, generator(0)))
    assert len({tuple(one.flatten().tolist()) for one in moved}) == 4


def test_albumentations_is_imported_without_a_question_to_a_server():
    program = (
        "import os, sys; os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "from settings.packages import walk\n"
        "try:\n    walk('albumentations.HorizontalFlip')\n"
        "except LookupError as error:\n    sys.exit('pip install albumentations' not in str(error))\n"
        "sys.exit(sys.modules['albumentations.check_version'].opener is not None)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
