import math

import pytest
import torch

from utils.metric_tracker import MetricTracker

CPU = torch.device("cpu")
VALUES = torch.tensor([0.1, 0.7, 0.2, 0.9, 0.4, 0.3, 0.8])


def filled(*sizes: int) -> MetricTracker:
    """A tracker that saw the first values in batches of these sizes."""
    tracker = MetricTracker("loss", "other")
    for part in VALUES[: sum(sizes)].split(sizes):
        tracker.update("loss", part.mean(), len(part))
    return tracker


def test_weighted_by_samples_the_mean_is_that_of_the_whole_set():
    for sizes in ((7,), (3, 3, 1), (1, 6), (2, 2, 2, 1)):
        assert filled(*sizes).avg("loss") == pytest.approx(VALUES.mean().item(), abs=1e-7)


def test_a_name_without_values_has_the_mean_0():
    assert filled(3).result() == {"loss": pytest.approx(1 / 3), "other": 0.0}


def test_sums_are_in_double_precision_and_out_of_the_graph():
    tracker = MetricTracker("loss")
    tracker.update("loss", torch.tensor(1e8, requires_grad=True))
    for _ in range(1000):
        tracker.update("loss", torch.tensor(1.0, dtype=torch.float16), n=1)
    assert tracker.avg("loss") == (1e8 + 1000) / 1001
    assert not tracker.sums(CPU).requires_grad


def test_recent_is_the_mean_since_it_was_last_asked():
    tracker = filled(3, 1)
    assert tracker.recent(CPU)["loss"] == pytest.approx(VALUES[:4].mean().item())
    assert tracker.recent(CPU) == {}
    tracker.update("loss", VALUES[4:6].mean(), 2)
    tracker.update("loss", VALUES[6], 1)
    assert tracker.recent(CPU)["loss"] == pytest.approx(VALUES[4:].mean().item())
    assert tracker.avg("loss") == pytest.approx(VALUES.mean().item())


def test_recent_forgets_an_infinite_value_that_was_before():
    tracker = MetricTracker("psnr")
    tracker.update("psnr", math.inf)
    assert tracker.recent(CPU) == {"psnr": math.inf}
    tracker.update("psnr", 30.0)
    assert tracker.recent(CPU) == {"psnr": 30.0}
    assert tracker.result() == {"psnr": math.inf}


def test_it_goes_on_from_its_sums_in_the_middle_of_a_window():
    whole, after = filled(3), MetricTracker("loss", "other")
    whole.recent(CPU)
    whole.update("loss", VALUES[3], 1)
    after.load_sums(whole.sums(CPU), whole.names)
    for tracker in (whole, after):
        tracker.update("loss", VALUES[4:].mean(), 3)
    assert after.recent(CPU) == whole.recent(CPU)
    assert after.recent(CPU) == {}
    assert after.result() == whole.result()


def test_reset_forgets_the_values_and_the_window_but_not_the_names():
    tracker = filled(4)
    tracker.recent(CPU)
    tracker.reset()
    assert tracker.result() == {"loss": 0.0, "other": 0.0}
    tracker.update("loss", 0.5, 2)
    assert tracker.recent(CPU)["loss"] == 0.5


def test_every_update_is_written_where_there_is_a_writer():
    class Writer:
        def __init__(self):
            self.points = []

        def add_scalar(self, key, value):
            self.points.append((key, value))

    writer = Writer()
    tracker = MetricTracker("loss", writer=writer)
    tracker.update("loss", 0.5, 8)
    tracker.update("loss", 0.25)
    assert writer.points == [("loss", 0.5), ("loss", 0.25)]


def test_older_projects_find_its_columns_by_name():
    data = filled(2)._data
    assert list(data.index) == data.index.values == ["loss", "other"]
    assert "loss" in data.index
    assert data.total["loss"] == pytest.approx(0.8)
    assert data.counts == {"loss": 2, "other": 0}
    assert data.average["loss"] == pytest.approx(0.4)
