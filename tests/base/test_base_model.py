"""BaseModel: a module that prints its layers and parameters."""

import pytest
import torch
from torch import nn

from base import BaseModel


class Small(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.body = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 2, bias=False))

    def forward(self, x):
        return self.body(x) * self.scale


class Empty(BaseModel):
    def forward(self, x):
        return x


def test_a_model_prints_its_layers_with_their_shapes_and_counts_and_what_trains():
    title, *layers, total = str(Small()).splitlines()
    assert title == "Small"
    assert [layer.split() for layer in layers] == [
        ["(model)", "Small", "scale", "1", "1"],
        ["body.0", "Linear", "weight", "40x30,", "bias", "40", "1,240"],
        ["body.2", "Linear", "weight", "2x40", "80"],
    ]
    assert len({len(layer) for layer in layers}) == 1  # columns
    assert total == "Trainable parameters: 1,321"


def test_frozen_parameters_are_shown_but_do_not_count_as_trainable():
    model = Small()
    model.body[0].requires_grad_(False)
    assert "1,240" in str(model)
    assert str(model).endswith("Trainable parameters: 81")


def test_a_model_without_parameters_prints_too():
    assert str(Empty()) == "Empty\nTrainable parameters: 0"


def test_a_model_without_forward_cannot_be_made():
    class Unfinished(BaseModel):
        pass

    with pytest.raises(TypeError, match="forward"):
        Unfinished()  # type: ignore[abstract]
