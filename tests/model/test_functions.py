"""Swish: its backward is the derivative of its forward, and keeps less than autograd does."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.graph import saved_tensors_hooks

from model.functions import Swish, SwishModel

ROOT = Path(__file__).parents[2]


def inputs(shape: tuple[int, ...], beta: float) -> tuple[torch.Tensor, torch.Tensor]:
    x = 3 * torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return x.requires_grad_(), torch.tensor(beta, dtype=torch.float64, requires_grad=True)


def plain(x: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    return x * torch.sigmoid(beta * x)


def kept(function: Callable) -> int:
    """How many numbers autograd keeps between forward and backward."""
    found: list[int] = []
    with saved_tensors_hooks(lambda tensor: found.append(tensor.numel()) or tensor, lambda tensor: tensor):
        function(*inputs((100,), 1.0))
    return sum(found)


@pytest.mark.parametrize("shape", [(), (7,), (3, 4, 2)])
@pytest.mark.parametrize("beta", [1.0, -0.5, 0.0, 4.0])
def test_the_backward_is_the_derivative_of_the_forward_and_has_one_itself(shape: tuple[int, ...], beta: float) -> None:
    assert gradcheck(Swish.apply, inputs(shape, beta))
    assert gradgradcheck(Swish.apply, inputs(shape, beta))


def test_with_beta_one_it_is_the_silu_of_torch() -> None:
    x, beta = inputs((50,), 1.0)
    torch.testing.assert_close(Swish.apply(x, beta), torch.nn.functional.silu(x))


def test_it_keeps_its_inputs_only() -> None:
    assert kept(Swish.apply) == 101
    assert kept(plain) > 200


def test_numbers_far_from_zero_give_finite_gradients() -> None:
    x = torch.tensor([-1e4, 1e4], requires_grad=True)
    beta = torch.ones((), requires_grad=True)
    Swish.apply(x, beta).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0]
    assert beta.grad is not None
    assert beta.grad.item() == 0.0


@pytest.mark.parametrize("amp", ["off", "bfloat16"])
def test_a_config_that_names_the_model_trains_its_beta(run_command: Callable, tmp_path: Path, amp: str) -> None:
    sets = ['arch={"type": "functions.SwishModel"}', "trainer.epochs=2", f"trainer.save_dir={tmp_path}"]
    options = [part for value in [*sets, f"trainer.amp={amp}", "trainer.threads=1"] for part in ("-s", value)]
    done = run_command("train.py", "-c", ROOT / "config.json", "--run-id", "swish", *options)
    assert done.returncode == 0, done.stderr
    path = tmp_path / "models" / "Digits" / "swish" / "checkpoint-last.pth"
    beta = torch.load(path, weights_only=True)["state_dict"]["beta"]
    assert beta.shape == ()
    assert beta.item() != SwishModel().beta.item()
