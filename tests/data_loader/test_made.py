"""Made data: what is in it, the same each time, and no part of it in another."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from data_loader import data_loaders, made
from data_loader.made import WEEK, FriedmanDataLoader, SeriesDataLoader, ShapeLabelsDataLoader, ShapeMasksDataLoader
from parse_config import ConfigParser
from settings.inheritance import read_extended

ROOT = Path(__file__).parents[2]

BATCHES = {  # the shapes of a sample, the samples of the training and of the test part
    "FriedmanDataLoader": ((10,), (), 4000, 1000),
    "ShapeLabelsDataLoader": ((1, 32, 32), (3,), 2000, 500),
    "ShapeMasksDataLoader": ((1, 48, 48), (48, 48), 1000, 250),
    "SeriesDataLoader": ((336,), (24,), 36 * WEEK - 359, 8 * WEEK - 359),
}


def tensors(loader: Any) -> tuple[Tensor, Tensor]:
    inputs, targets = loader.tensors
    return inputs, targets


def rows(values: Tensor) -> set[tuple[float, ...]]:
    return set(map(tuple, values.flatten(1)[:, :20].tolist()))


@pytest.mark.parametrize(("name", "expected"), BATCHES.items(), ids=BATCHES)
def test_batches_and_parts_are_as_large_as_the_docstring_says(name: str, expected: tuple) -> None:
    loader, test = getattr(made, name)(batch_size=4), getattr(made, name)(training=False)
    inputs, targets = next(iter(loader))
    assert (inputs.shape, targets.shape) == ((4, *expected[0]), (4, *expected[1]))
    assert inputs.dtype == torch.float32
    assert (loader.n_samples, test.n_samples) == expected[2:]


@pytest.mark.parametrize("name", BATCHES)
def test_data_is_the_same_each_time_whatever_was_drawn_before(name: str) -> None:
    first = tensors(getattr(made, name)())
    torch.rand(1)
    assert all(map(torch.equal, first, tensors(getattr(made, name)())))


@pytest.mark.parametrize("name", [name for name in BATCHES if name != "SeriesDataLoader"])
def test_no_sample_stands_in_two_parts(name: str) -> None:
    kind = getattr(made, name)
    loader, test = kind(validation_split=0.1, shuffle=False), kind(training=False)
    training, validation = (torch.cat([inputs for inputs, _ in part]) for part in (loader, loader.split_validation()))
    parts = [rows(part) for part in (training, validation, tensors(test)[0])]
    assert len(set.union(*parts)) == sum(map(len, parts)) == len(training) + len(validation) + test.n_samples


def test_no_hour_stands_in_two_parts_and_time_goes_from_training_over_validation_to_test() -> None:
    parts = [SeriesDataLoader(), SeriesDataLoader(part="validation"), SeriesDataLoader(training=False)]
    hours = [torch.cat([past[:, 0], past[-1, 1:], ahead[-1]]) for past, ahead in map(tensors, parts)]
    assert [len(part) for part in hours] == [36 * WEEK, 8 * WEEK, 8 * WEEK]
    year = made.make_hours(52)
    torch.testing.assert_close(torch.cat(hours), year * (hours[0][0] / year[0]))


def test_the_forecast_config_validates_on_the_validation_part() -> None:
    config = ConfigParser(read_extended(ROOT / "configs" / "forecast.json").tree)
    training, validation = (config.init_obj(name, data_loaders) for name in ("data_loader", "valid_data_loader"))
    assert (training.n_samples, validation.n_samples) == (36 * WEEK - 359, 8 * WEEK - 359)
    assert torch.equal(tensors(validation)[0], tensors(SeriesDataLoader(part="validation"))[0])


def test_a_window_is_followed_by_what_is_to_be_forecast() -> None:
    past, ahead = tensors(SeriesDataLoader(past=48, ahead=12))
    assert (past.shape[1], ahead.shape[1]) == (48, 12)
    assert torch.equal(past[0], past[:48, 0])
    assert torch.equal(ahead[0], past[48:60, 0])


def test_a_series_is_in_units_of_what_the_naive_forecast_errs_by_in_training() -> None:
    past, ahead = tensors(SeriesDataLoader())
    training = torch.cat([past[:, 0], past[-1, 1:], ahead[-1]])
    assert float((training[WEEK:] - training[:-WEEK]).abs().mean()) == pytest.approx(1)


def test_friedman_1_is_the_function_of_the_paper_with_noise_of_deviation_1() -> None:
    x, y = tensors(FriedmanDataLoader())
    a, b, c, d, e = x.double().T[:5]
    noise = y - (10 * torch.sin(math.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e)
    assert float(noise.mean()) == pytest.approx(0, abs=0.05)
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    assert 0 <= float(x.min()) < 0.01 < 0.99 < float(x.max()) < 1


def test_pixels_of_shapes_are_bright_and_the_others_are_noise_around_0() -> None:
    images, pixels = tensors(ShapeMasksDataLoader())
    assert ShapeMasksDataLoader.classes == ("background", "circle", "square", "triangle")
    assert pixels.unique().tolist() == [0, 1, 2, 3]
    for shape in (1, 2, 3):
        assert float(images[:, 0][pixels == shape].mean()) == pytest.approx(0.75, abs=0.02)
    assert float(images[:, 0][pixels == 0].mean()) == pytest.approx(0, abs=0.01)


def filled(pixels: Tensor, number: int) -> float:
    """The part of the smallest box around a shape that it fills, in the mean over images that show it."""
    areas = [image == number for image in pixels if (image == number).any()]
    return float(torch.stack([area[area.any(1)][:, area.any(0)].float().mean() for area in areas]).mean())


def test_shapes_have_the_form_of_their_names() -> None:
    _, pixels = tensors(ShapeMasksDataLoader())
    alone = {number: [image for image in pixels if image.unique().tolist() == [0, number]] for number in (1, 2, 3)}
    circle, square, triangle = (filled(torch.stack(images), number) for number, images in alone.items())
    assert circle == pytest.approx(math.pi / 4, abs=0.04)
    assert square == 1
    assert triangle == pytest.approx(0.5, abs=0.06)


def test_a_shape_covers_those_before_it() -> None:
    _, pixels = tensors(ShapeMasksDataLoader())
    circles_and_squares = torch.stack([image for image in pixels if image.unique().tolist() == [0, 1, 2]])
    assert filled(circles_and_squares, 2) == 1
    assert filled(circles_and_squares, 1) < filled(circles_and_squares, 2)


def test_labels_are_the_shapes_that_can_be_seen() -> None:
    loader = ShapeLabelsDataLoader()
    _, pixels = made.draw_shapes(2000, 32, "training")
    _, labels = tensors(loader)
    for sample in (0, 1, 2, 1999):
        seen = [loader.classes[shape - 1] for shape in pixels[sample].unique().tolist() if shape]
        assert [name for name, label in zip(loader.classes, labels[sample].tolist()) if label] == seen
    assert labels.mean(dim=0).tolist() == pytest.approx([0.5, 0.5, 0.5], abs=0.05)
