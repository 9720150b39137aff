"""Augmentations of whole batches, one draw a sample."""

from typing import Any

import pytest
import torch

from data_loader.transforms import CenterCrop, Normalize, RandomAffine, RandomCrop, RandomCropFlip
from utils.seed import generator

BOTH = [RandomAffine(shift=2, degrees=30, scale=0.2), RandomCropFlip(padding=2)]


def images(n: int = 6, height: int = 8, width: int = 8) -> torch.Tensor:
    return torch.rand(n, 3, height, width, generator=generator(0))


def dot(height: int, width: int, row: int, column: int) -> torch.Tensor:
    image = torch.zeros(1, 1, height, width)
    image[0, 0, row, column] = 1
    return image


def lit(image: torch.Tensor) -> list[list[int]]:
    """The pixels that are not 0."""
    return (image[0, 0] > 0.5).nonzero().tolist()


# -- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augment", BOTH, ids=["affine", "crop"])
def test_draws_come_from_the_generator_alone_one_row_a_sample(augment):
    draws = augment.draw(5, generator(1))
    assert len(draws) == 5
    assert len({tuple(row) for row in draws.tolist()}) == 5
    torch.rand(3)
    assert torch.equal(augment.draw(5, generator(1)), draws)
    assert not torch.equal(augment.draw(5, generator(2)), draws)


@pytest.mark.parametrize("augment", BOTH, ids=["affine", "crop"])
def test_equal_images_of_a_batch_are_moved_differently(augment):
    same = images(1).expand(6, -1, -1, -1)
    moved = augment.apply(same, augment.draw(6, generator(0)))
    assert moved.shape == same.shape
    assert len({tuple(image.flatten().tolist()) for image in moved}) > 3


@pytest.mark.parametrize("augment", BOTH, ids=["affine", "crop"])
@pytest.mark.parametrize("part", [slice(0, 2), slice(2, 5), slice(5, 6)])
def test_a_part_of_the_batch_with_its_draws_is_the_part_of_the_whole(augment, part):
    draws = augment.draw(6, generator(0))
    whole = augment.apply(images(), draws)
    torch.testing.assert_close(augment.apply(images()[part], draws[part]), whole[part])


@pytest.mark.parametrize("augment", BOTH, ids=["affine", "crop"])
def test_images_of_bytes_are_moved_as_numbers_are(augment):
    as_bytes = (images() * 255).byte()
    draws = augment.draw(6, generator(0))
    torch.testing.assert_close(
        augment.apply(as_bytes, draws).float(), augment.apply(as_bytes.float(), draws), check_stride=False
    )


@pytest.mark.parametrize("augment", BOTH, ids=["affine", "crop"])
def test_the_images_that_come_in_stay_as_they_are(augment):
    before = images()
    augment.apply(before, augment.draw(6, generator(0)))
    assert torch.equal(before, images())


# -- RandomAffine -----------------------------------------------------------------------------------------------------


def affine(image: torch.Tensor, draws: list[float], **limits: Any) -> torch.Tensor:
    return RandomAffine(**limits).apply(image, torch.tensor([draws]))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 11)])
def test_draws_in_the_middle_leave_the_image_as_it_is(height, width):
    image = images(1, height, width)
    moved = affine(image, [0.5] * 4, shift=2, degrees=30, scale=0.2)
    torch.testing.assert_close(moved, image, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(9, 9), (9, 15)])
def test_the_largest_shift_is_so_many_pixels_in_each_direction(height, width):
    across = [abs(lit(affine(dot(height, width, 4, 4), [draw, 0.5, 0.5, 0.5], shift=2))[0][1] - 4) for draw in (0, 1)]
    down = [abs(lit(affine(dot(height, width, 4, 4), [0.5, draw, 0.5, 0.5], shift=2))[0][0] - 4) for draw in (0, 1)]
    assert across == down == [2, 2]
    assert lit(affine(dot(height, width, 4, 4), [0, 0.5, 0.5, 0.5], shift=2)) != lit(
        affine(dot(height, width, 4, 4), [1, 0.5, 0.5, 0.5], shift=2)
    )


def test_what_comes_in_at_the_border_is_0():
    moved = affine(torch.ones(1, 1, 8, 8), [1, 0.5, 0.5, 0.5], shift=2)
    assert moved[0, 0].sum(dim=0).tolist() == pytest.approx([8.0] * 6 + [0.0] * 2, abs=1e-4)


@pytest.mark.parametrize(("height", "width"), [(9, 9), (9, 15), (15, 9)])
def test_a_bar_that_is_turned_by_90_degrees_keeps_its_length(height, width):
    bar = torch.zeros(1, 1, height, width)
    row, column = height // 2, width // 2
    bar[0, 0, row, column - 2 : column + 3] = 1
    turned = affine(bar, [0.5, 0.5, 1.0, 0.5], degrees=90)
    assert lit(turned) == [[row + step, column] for step in range(-2, 3)]


def test_scale_makes_an_image_smaller_or_larger():
    square = torch.zeros(1, 1, 16, 16)
    square[0, 0, 4:12, 4:12] = 1
    sizes = [float(affine(square, [0.5, 0.5, 0.5, draw], scale=0.25).sum()) ** 0.5 for draw in (1.0, 0.5, 0.0)]
    assert sizes[0] == pytest.approx(8 / 1.25, abs=0.4)
    assert sizes[1] == pytest.approx(8, abs=0.1)
    assert sizes[2] == pytest.approx(8 / 0.75, abs=0.4)


# -- RandomCropFlip ---------------------------------------------------------------------------------------------------


def crop(image: torch.Tensor, draws: list[float], **options: Any) -> torch.Tensor:
    return RandomCropFlip(**options).apply(image, torch.tensor([draws]))


@pytest.mark.parametrize(
    ("down", "across", "row", "column"),
    [(0.5, 0.5, 3, 4), (0.0, 0.5, 5, 4), (0.999, 0.5, 1, 4), (0.5, 0.0, 3, 6), (0.5, 0.999, 3, 2), (0.3, 0.7, 4, 3)],
)
def test_an_image_is_shifted_by_whole_pixels(down, across, row, column):
    moved = crop(dot(8, 10, 3, 4), [down, across, 0.9], padding=2)
    assert lit(moved) == [[row, column]]
    assert float(moved.sum()) == 1


def test_draws_below_one_half_mirror_the_image():
    image = images(1, 4, 7)
    assert torch.equal(crop(image, [0.5, 0.5, 0.49], padding=2), image.flip(3))
    assert torch.equal(crop(image, [0.5, 0.5, 0.5], padding=2), image)
    assert torch.equal(crop(image, [0.5, 0.5, 0.49], padding=2, flip=False), image)


def test_each_shift_comes_equally_often_and_what_comes_in_is_0():
    augment = RandomCropFlip(padding=1, flip=False)
    moved = augment.apply(torch.ones(9000, 1, 4, 4), augment.draw(9000, generator(0)))
    sums, counts = moved.sum(dim=(1, 2, 3)).unique(return_counts=True)
    assert sums.tolist() == [9, 12, 16]
    assert (counts / 1000).tolist() == pytest.approx([4, 4, 1], rel=0.1)


def test_bytes_stay_bytes():
    augment = RandomCropFlip()
    assert augment.apply(images().byte(), augment.draw(6, generator(0))).dtype == torch.uint8


# -- RandomCrop and CenterCrop ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("down", "across", "top", "left"), [(0, 0, 0, 0), (0.99, 0.99, 3, 5), (0.5, 0.4, 2, 2)])
def test_a_square_is_cut_out_anywhere_and_mirrored_below_one_half(down, across, top, left):
    image = images(1, 8, 10)
    cut = image[:, :, top : top + 5, left : left + 5]
    assert torch.equal(RandomCrop(5).apply(image, torch.tensor([[down, across, 0.5]])), cut)
    assert torch.equal(RandomCrop(5).apply(image, torch.tensor([[down, across, 0.49]])), cut.flip(3))
    assert torch.equal(RandomCrop(5, flip=False).apply(image, torch.tensor([[down, across, 0.49]])), cut)


def test_each_place_of_a_square_comes_equally_often():
    crop = RandomCrop(2, flip=False)
    image = torch.arange(9).view(1, 1, 3, 3).expand(8000, -1, -1, -1)
    corners, counts = crop.apply(image, crop.draw(8000, generator(0)))[:, 0, 0, 0].unique(return_counts=True)
    assert corners.tolist() == [0, 1, 3, 4]
    assert (counts / 2000).tolist() == pytest.approx([1] * 4, rel=0.1)


def test_squares_are_the_same_cut_one_by_one_or_all_at_once_and_in_parts():
    crop, bytes_of_images = RandomCrop(5), (images(6, 8, 10) * 255).byte()
    draws = crop.draw(6, generator(0))
    corners, mirrored = (draws[:, :2] * torch.tensor([4, 6])).long(), draws[:, 2] < 0.5
    cuts = crop.apply(bytes_of_images, draws)
    assert cuts.dtype == torch.uint8
    assert torch.equal(crop._indexed(bytes_of_images, corners, mirrored), cuts)
    assert torch.equal(crop.apply(bytes_of_images[2:4], draws[2:4]), cuts[2:4])


def test_the_middle_of_what_has_the_size_is_all_of_it():
    image = images(2, 8, 9)
    assert torch.equal(CenterCrop(5)(image), image[:, :, 1:6, 2:7])
    assert torch.equal(CenterCrop(8)(image[..., :8]), image[..., :8])


# -- Normalize --------------------------------------------------------------------------------------------------------


def test_each_channel_of_bytes_is_normalised_with_white_as_1():
    white = torch.full((2, 3, 4, 4), 255, dtype=torch.uint8)
    normalised = Normalize([0.5, 0.25, 0.0], [0.5, 0.25, 2.0])(white)
    assert normalised[0, :, 0, 0].tolist() == pytest.approx([1, 3, 0.5])
    assert normalised.dtype == torch.float32
    assert Normalize([0.25], [0.25], largest=16)(torch.full((1, 1, 1, 1), 8)).item() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.float64])
def test_numbers_are_normalised_to_the_same_bits_and_stay_as_they_are(dtype):
    batch = (images() * 255).to(dtype)
    before, normalize = batch.clone(), Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    expected = (batch - normalize.mean) * normalize.scale
    assert torch.equal(normalize(batch), expected)
    assert normalize(batch).dtype == expected.dtype
    assert torch.equal(batch, before)
