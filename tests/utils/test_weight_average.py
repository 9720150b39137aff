import pytest
import torch

from utils.weight_average import WeightAverage


def model(weight: float = 0.0) -> torch.nn.Module:
    built = torch.nn.Sequential(torch.nn.Linear(1, 1, bias=False), torch.nn.BatchNorm1d(1))
    torch.nn.init.constant_(built[0].weight, weight)
    return built


def train(model: torch.nn.Module, average: WeightAverage, weights: list[float]) -> None:
    for weight in weights:
        torch.nn.init.constant_(model[0].weight, weight)
        model[1].running_mean += weight
        model[1].num_batches_tracked += 1
        average.update()


def weight_of(average: WeightAverage) -> float:
    return average.model[0].weight.item()


def test_the_first_update_copies_and_every_other_takes_in_one_part_of_the_new_weights():
    raw = model(1.0)
    average, expected = WeightAverage(raw, decay=0.75), 5.0
    train(raw, average, [5.0])
    assert weight_of(average) == expected
    for weight in (-3.0, 2.0, 7.0):
        train(raw, average, [weight])
        expected = 0.75 * expected + 0.25 * weight
        assert weight_of(average) == pytest.approx(expected)
    assert raw[0].weight.item() == 7.0


def test_buffers_are_copied_not_averaged():
    raw = model()
    average = WeightAverage(raw, decay=0.75)
    train(raw, average, [1.0, 2.0])
    assert average.model[1].running_mean.item() == 3.0
    assert average.model[1].num_batches_tracked.item() == 2


def test_without_a_decay_the_model_itself_is_judged_and_nothing_is_stored():
    raw = model()
    average = WeightAverage(raw, decay=None)
    train(raw, average, [1.0])
    average.load_state_dict({})
    assert average.model is raw
    assert average.state_dict() == {}


def test_its_weights_have_the_names_of_the_model():
    raw = torch.nn.DataParallel(model())
    average = WeightAverage(raw, decay=0.5)
    assert average.state_dict() == {}  # nothing is averaged yet
    average.update()
    assert average.state_dict().keys() == raw.module.state_dict().keys()
    model().load_state_dict(average.state_dict())


@pytest.mark.parametrize("before", [0, 1, 2])
def test_it_goes_on_from_its_state_after_any_number_of_updates(before):
    weights = [5.0, -3.0, 2.0, 7.0]
    raw, after_raw = model(1.0), model(1.0)
    average, after = WeightAverage(raw, 0.75), WeightAverage(after_raw, 0.75)
    train(raw, average, weights[:before])
    after_raw.load_state_dict(raw.state_dict())
    if state := {name: value.clone() for name, value in average.state_dict().items()}:
        after.load_state_dict(state)  # as the trainer, which keeps no empty state
    for one, its_average in ((raw, average), (after_raw, after)):
        train(one, its_average, weights[before:])
    assert weight_of(after) == weight_of(average)
