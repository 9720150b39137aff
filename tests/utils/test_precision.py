import pytest
import torch

from utils.precision import autocast, gradient_scaler

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("amp", "dtype"),
    [("off", torch.float32), (False, torch.float32), (True, torch.bfloat16), ("bfloat16", torch.bfloat16)],
)
def test_a_model_computes_in_the_precision_that_is_asked_for(amp, dtype):
    model = torch.nn.Linear(2, 1)
    context = autocast(amp, CPU)
    for _ in range(2):  # the trainer enters the same one at every step
        with context:
            assert model(torch.ones(1, 2)).dtype == dtype
    assert model(torch.ones(1, 2)).dtype == torch.float32


def test_float16_has_its_own_precision_and_alone_scales_gradients():
    with autocast("float16", CPU):
        assert torch.nn.Linear(2, 1)(torch.ones(1, 2)).dtype == torch.float16
    assert gradient_scaler("float16", CPU).is_enabled()
    assert not any(gradient_scaler(amp, CPU).is_enabled() for amp in ("off", False, True, "bfloat16"))


def stepped(amp: str, factor: float) -> tuple[float, float]:
    """A weight of 1 after a step with rate 1 from the gradient `factor`, and the gradient seen before the step."""
    weight = torch.nn.Parameter(torch.ones(()))
    optimizer, scaler = torch.optim.SGD([weight], lr=1.0), gradient_scaler(amp, CPU)
    scaler.scale(weight * factor).backward()
    scaler.unscale_(optimizer)
    assert weight.grad is not None
    gradient = weight.grad.item()
    scaler.step(optimizer)
    scaler.update()
    return weight.item(), gradient


def test_scaled_or_not_a_step_is_the_same():
    assert stepped("off", 0.25) == stepped("float16", 0.25) == (0.75, 0.25)


def test_a_step_from_a_gradient_that_is_not_finite_is_left_out_in_float16_only():
    assert stepped("float16", float("inf"))[0] == 1.0
    assert stepped("off", float("inf"))[0] == -float("inf")
