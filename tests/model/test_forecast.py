"""The forecasting model: as many values as asked for, at the level of the past."""

import pytest
import torch
import torch.nn.functional as F

from model.forecast import GRUForecast

PAST = torch.randn(5, 24, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("ahead", [1, 6, 24])
def test_the_model_forecasts_as_many_values_as_it_is_told(ahead: int) -> None:
    assert GRUForecast(ahead, hidden=4)(PAST).shape == (5, ahead)


def test_every_parameter_gets_a_gradient() -> None:
    model = GRUForecast(6, hidden=4)
    F.mse_loss(model(PAST), torch.ones(5, 6)).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_a_series_that_lies_higher_is_forecast_as_much_higher() -> None:
    model = GRUForecast(6, hidden=4)
    torch.testing.assert_close(model(PAST + 50), model(PAST) + 50, rtol=0, atol=1e-4)


def test_the_order_of_the_past_matters() -> None:
    model = GRUForecast(6, hidden=4)
    assert not torch.allclose(model(PAST.flip(1)), model(PAST))
