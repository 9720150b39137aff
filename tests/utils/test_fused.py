from typing import Any

import pytest
import torch

from parse_config import ConfigParser
from utils.fused import choose_form


def chosen(kind: str, args: dict[str, Any] | None = None, model: Any = None, **more: Any) -> Any:
    """What the config says of `fused` afterwards."""
    config = ConfigParser({"optimizer": {"type": kind, **({} if args is None else {"args": args})}})
    for name, value in more.items():
        setattr(config, name, value)
    choose_form(config, getattr(torch.optim, kind), model or torch.nn.Linear(2, 2))
    return config["optimizer"].get("args", {}).get("fused")


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_the_fused_form_is_chosen_where_there_is_one_and_nobody_says_otherwise(kind):
    assert chosen(kind) is True
    assert chosen(kind, {"lr": 0.1}) is True
    assert chosen(kind, {"fused": False}) is False
    assert chosen(kind, {"foreach": True}) is None


def test_it_is_not_where_there_is_none():
    assert [chosen(kind) for kind in ("RMSprop", "NAdam", "LBFGS")] == [None] * 3


def test_a_run_that_has_begun_keeps_its_form():
    assert chosen("Adam", resume="some/checkpoint.pth") is None
    assert chosen("Adam", resume="some/checkpoint.pth", weights_only=True) is True


def test_weights_that_it_does_not_take_are_updated_as_before():
    assert chosen("SGD", model=torch.nn.Embedding(3, 2, sparse=True)) is None
    assert chosen("Adam", model=torch.nn.Linear(2, 2, dtype=torch.complex64)) is None
    assert chosen("Adam", model=torch.nn.Linear(2, 2, device="meta")) is None


def test_an_optimizer_of_ones_own_is_left_alone():
    class Adam(torch.optim.Adam):
        pass

    config = ConfigParser({"optimizer": {"type": "Adam"}})
    choose_form(config, Adam, torch.nn.Linear(2, 2))
    assert "fused" not in config["optimizer"].get("args", {})
