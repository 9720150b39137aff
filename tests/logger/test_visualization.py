import logging
import math

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from logger.visualization import TensorboardWriter

LOGGER = logging.getLogger("trainer")


@pytest.fixture
def writer(tmp_path):
    writer = TensorboardWriter(tmp_path, LOGGER, enabled=True)
    yield writer
    writer.close()


def points(folder) -> dict[str, dict[int, float]]:
    """The scalars in a folder: by tag, the value at each step."""
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if not tag.startswith("steps_per_sec")]
    return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in tags}


def steps(folder) -> dict[str, set[int]]:
    """Of everything in a folder that is no scalar, the steps by tag."""
    events = EventAccumulator(str(folder)).Reload()
    kinds = {"tensors": events.Tensors, "images": events.Images, "histograms": events.Histograms}
    return {tag: {event.step for event in read(tag)} for kind, read in kinds.items() for tag in events.Tags()[kind]}


def make_older(folder) -> None:
    """Event files are read in the order of their names, which begin with the second they were made in."""
    for number, path in enumerate(sorted(folder.glob("events.out.tfevents.*"))):
        path.rename(path.with_name(f"events.out.tfevents.{number:010d}"))


def test_off_it_takes_every_call_and_makes_nothing(tmp_path):
    def folder():
        raise AssertionError("nobody may ask for the folder")

    writer = TensorboardWriter(folder, LOGGER, enabled=False)
    writer.set_step(3, "valid")
    writer.add_scalar("loss", 1.0)
    writer.add_image("a", torch.zeros(3, 2, 2), global_step=3)
    writer.add_anything(1, 2, three=3)
    writer.add_row("step", {"loss": 1.0}, 3)
    writer.add_batch("input", torch.zeros(1, 1, 2, 2), 3)
    writer.close()
    assert writer.writer is None


def test_points_are_written_under_name_and_mode_at_the_step(writer, tmp_path):
    writer.set_step(5)
    writer.add_scalar("loss", 0.5)
    writer.set_step(6, "valid")
    writer.add_scalar("loss", 0.25)
    writer.add_scalar("loss", 0.125, 9)
    writer.add_scalar("lr", 2.0, global_step=11)
    writer.close()
    assert points(tmp_path) == {"loss/train": {5: 0.5}, "loss/valid": {6: 0.25, 9: 0.125}, "lr/valid": {11: 2.0}}


def test_several_values_in_one_chart_are_under_its_name_and_mode(writer, tmp_path):
    writer.set_step(5, "valid")
    writer.add_scalars("losses", {"a": 1.0, "b": 2.0})
    writer.close()
    assert points(tmp_path / "losses_valid_a") == {"losses/valid": {5: 1.0}}


def test_before_the_first_step_tags_have_no_mode(writer, tmp_path):
    writer.add_scalar("loss", 0.5)
    writer.close()
    assert points(tmp_path) == {"loss": {0: 0.5}}


def test_the_folder_is_asked_for_when_the_first_point_is_written(tmp_path):
    asked = []
    writer = TensorboardWriter(lambda: asked.append(1) or tmp_path / "log", LOGGER, enabled=True)
    writer.mode = "train"
    assert asked == []
    assert not (tmp_path / "log").exists()
    writer.add_scalar("loss", 1.0)
    writer.add_scalar("loss", 2.0)
    writer.close()
    assert asked == [1]
    assert points(tmp_path / "log").keys() == {"loss/train"}


def test_a_row_gives_a_point_for_each_number(writer, tmp_path):
    writer.set_step(2)
    writer.add_row("epoch", {"loss": 0.5, "best": None, "name": "x", "epochs": 3}, 7)
    writer.close()
    assert points(tmp_path) == {"epoch/loss": {7: 0.5}, "epoch/epochs": {7: 3}}


def test_images_of_a_batch_are_drawn_and_other_tensors_are_not(writer, tmp_path):
    writer.add_batch("input", torch.randn(40, 1, 8, 8), 3)
    writer.add_batch("flat", torch.zeros(2, 1, 8, 8), 3)
    writer.add_batch("features", torch.randn(2, 16, 8, 8), 3)
    writer.add_batch("rows", torch.randn(2, 8), 3)
    writer.add_batch("words", ["a", "b"], 3)
    writer.close()
    assert steps(tmp_path) == {"input": {3}, "flat": {3}}


def test_everything_that_has_a_step_gets_it(writer, tmp_path):
    writer.set_step(4)
    writer.add_histogram("weights", torch.randn(10))
    writer.add_image("image", torch.zeros(3, 2, 2))
    writer.add_text("note", "hello")
    writer.add_scalars("both", {"a": 1.0, "b": 2.0})
    writer.add_pr_curve("curve", torch.tensor([0, 1, 1]), torch.tensor([0.1, 0.6, 0.9]))
    boxes = torch.tensor([[0, 0, 4, 4]])
    writer.add_image_with_boxes("boxes", torch.zeros(3, 8, 8), boxes)
    writer.add_mesh("mesh", torch.rand(1, 4, 3))
    writer.close()
    found = steps(tmp_path)
    assert len(found) >= 6
    assert {tag: at for tag, at in found.items() if at != {4}} == {}


def test_calls_by_keyword_reach_the_summary_writer_as_they_are(writer, tmp_path):
    writer.set_step(4)
    writer.add_scalar(tag="loss", scalar_value=0.5)
    writer.add_embedding(torch.rand(3, 2), tag="features")
    writer.add_hparams(hparam_dict={"lr": 0.1}, metric_dict={"accuracy": 0.5}, run_name="hparams")
    writer.close()
    assert points(tmp_path)["loss/train"] == {4: 0.5}
    assert (tmp_path / "00004" / "features").is_dir()


def test_a_resumed_run_drops_the_points_of_the_broken_one(tmp_path):
    first = TensorboardWriter(tmp_path, LOGGER, enabled=True)
    for step in range(1, 6):
        first.add_scalar("loss", float(step), step)
    first.close()
    make_older(tmp_path)
    second = TensorboardWriter(tmp_path, LOGGER, enabled=True)
    second.purge_step = 4
    second.add_scalar("loss", 40.0, 4)
    second.close()
    assert points(tmp_path) == {"loss": {1: 1.0, 2: 2.0, 3: 3.0, 4: 40.0}}


def test_what_is_written_after_closing_drops_no_points_of_the_same_session(tmp_path):
    writer = TensorboardWriter(tmp_path, LOGGER, enabled=True)
    writer.purge_step = 4
    writer.add_scalar("loss", 4.0, 4)
    writer.close()
    make_older(tmp_path)
    writer.add_scalar("loss", 5.0, 5)
    writer.close()
    assert points(tmp_path) == {"loss": {4: 4.0, 5: 5.0}}


def test_what_the_summary_writer_does_not_have_is_an_attribute_error(writer):
    with pytest.raises(AttributeError, match="nothing"):
        writer.nothing()
    with pytest.raises(AttributeError, match="add_nothing"):
        writer.add_nothing()


def test_a_value_that_is_not_finite_is_written_as_it_is(writer, tmp_path):
    writer.add_row("step", {"loss": math.nan, "psnr": np.float64(math.inf)}, 1)
    writer.close()
    found = points(tmp_path)
    assert math.isnan(found["step/loss"][1])
    assert found["step/psnr"] == {1: math.inf}
