"""The model of tables: features in any units, their statistics from training batches only."""

import pytest
import torch
import torch.nn.functional as F

from model.tables import Standardize, TableModel

ROWS = torch.randn(400, 3, generator=torch.Generator().manual_seed(0))


def test_the_model_gives_a_number_a_row_and_all_of_it_trains() -> None:
    model = TableModel(3, widths=(8, 4))
    output = model(ROWS)
    assert output.shape == (400,)
    F.mse_loss(output, ROWS[:, 0]).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_features_are_standardized_by_the_statistics_of_all_training_batches() -> None:
    rows = ROWS * torch.tensor([1e-3, 1.0, 1e4]) + torch.tensor([5.0, 0.0, 1e5])
    layer = Standardize(3)
    for batch in rows.split(20):
        layer(batch)
    torch.testing.assert_close(layer.mean, rows.mean(dim=0))
    torch.testing.assert_close(layer.variance.sqrt(), rows.std(dim=0), rtol=0.02, atol=0)
    standardized = layer.eval()(rows)
    torch.testing.assert_close(standardized.mean(dim=0), torch.zeros(3), rtol=0, atol=2e-3)
    torch.testing.assert_close(standardized.std(dim=0), torch.ones(3), rtol=0.02, atol=0)


def test_evaluation_uses_these_statistics_and_leaves_them_alone() -> None:
    layer = Standardize(3)
    layer(ROWS)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    other = layer.eval()(ROWS[:5] + 100)
    assert all(torch.equal(before[name], value) for name, value in layer.state_dict().items())
    torch.testing.assert_close(other, (ROWS[:5] + 100 - before["mean"]) / before["variance"].sqrt())


def test_a_checkpoint_keeps_them() -> None:
    model, again = TableModel(3), TableModel(3)
    model(ROWS * 7 + 3)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.eval()(ROWS), model.eval()(ROWS))


@pytest.mark.parametrize("rows", [torch.full((8, 3), 0.1), ROWS[:1]], ids=["features that never change", "one row"])
def test_without_any_spread_nothing_is_divided_by_0(rows: torch.Tensor) -> None:
    layer = Standardize(3)
    torch.testing.assert_close(layer(rows), torch.zeros_like(rows), rtol=0, atol=0.1)
