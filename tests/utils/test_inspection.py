"""Inspection: what TensorBoard gets to see of a model, and that training does not notice."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from base.trainer_options import TrainerOptions
from logger.visualization import TensorboardWriter
from utils.errors import ConfigError
from utils.inspection import Inspection

Points = dict[str, dict[int, float]]


class Silent(nn.Module):
    """Gives nothing."""

    def forward(self, x: torch.Tensor) -> None:
        return None


class Net(nn.Module):
    """Its activation works in place, its last layer is used twice, and it has a parameter without dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5)
        self.relu = nn.ReLU(inplace=True)
        self.recurrent = nn.LSTM(5, 3, batch_first=True)
        self.twice = nn.Linear(3, 3)
        self.unused, self.silent = nn.Linear(2, 2), Silent()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.silent(x)
        x = self.relu(self.first(x))
        x, _ = self.recurrent(x[:, None])
        return self.scale * self.twice(self.twice(x[:, 0]))


class Bench:
    """One step of a small model under inspection; the points are read from the files of TensorBoard."""

    def __init__(self, folder: Path, **options: Any) -> None:
        torch.manual_seed(0)
        self.folder, self.model = folder, Net()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.scaler = torch.amp.GradScaler("cpu", enabled=options.pop("scaled", False))
        self.writer = TensorboardWriter(folder, None, enabled=True)  # type: ignore[arg-type]
        chosen = TrainerOptions(**{"epochs": 1, "tensorboard": True, **options})
        self.inspection = Inspection(self.model, self.optimizer, self.scaler, self.writer, chosen)

    def step(self, step: int, log_step: int = 1, epoch_end: int = 100, factor: float = 1.0) -> None:
        inputs = torch.linspace(-1, 1, 24).reshape(6, 4)
        with self.inspection.of_step(step, log_step, epoch_end):
            self.scaler.scale(factor * self.model(inputs).square().mean()).backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

    def points(self) -> Points:
        self.writer.close()
        events = EventAccumulator(str(self.folder)).Reload()
        return {tag: {event.step: event.value for event in events.Scalars(tag)} for tag in events.Tags()["scalars"]}

    def histograms(self) -> dict[str, dict[int, Any]]:
        self.writer.close()
        events = EventAccumulator(str(self.folder), size_guidance={"histograms": 0}).Reload()
        names = events.Tags()["histograms"]
        return {tag: {event.step: event.histogram_value for event in events.Histograms(tag)} for tag in names}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(tmp_path / str(len(made)), **options))
        return made[-1]

    yield make
    for one in made:
        one.writer.close()


def test_the_points_are_those_of_the_outputs_and_of_their_gradients(bench: Callable) -> None:
    watching, by_hand = bench(watch=["first", "relu", "recurrent", "twice", "unused"]), bench()
    watching.step(1)
    model, inputs = by_hand.model, torch.linspace(-1, 1, 24).reshape(6, 4)
    first = model.first(inputs)
    relu = first.relu()
    recurrent = model.recurrent(relu[:, None])[0]
    once = model.twice(recurrent[:, 0])
    twice = model.twice(once)
    outputs = [first, relu, recurrent, once, twice]
    gradients = torch.autograd.grad((model.scale * twice).square().mean(), outputs)
    values = [
        (x.mean().item(), x.std(correction=0).item(), (x == 0).float().mean().item(), gradient.norm().item())
        for x, gradient in zip(outputs, gradients)
    ]
    values[3:] = [tuple((a + b) / 2 for a, b in zip(*values[3:]))]  # of the module that is called twice
    expected = {
        f"watch/{module}/{name}": {1: pytest.approx(value, abs=1e-7)}
        for module, numbers in zip(("first", "relu", "recurrent", "twice"), values)
        for name, value in zip(("mean", "std", "zeros", "gradient"), numbers)
    }
    assert watching.points() == expected
    assert values[1][2] > 0.1  # a share of the activations is zero


def test_only_log_points_are_looked_at_and_no_hook_stays(bench: Callable) -> None:
    watching = bench(watch=["first"])
    for step in range(1, 8):
        watching.step(step, log_step=3)
        assert not any(module._forward_hooks for module in watching.model.modules())
    assert {tuple(points) for points in watching.points().values()} == {(3, 6)}


def test_a_log_point_shows_its_own_step_only(bench: Callable) -> None:
    every, second = bench(watch=["*"]), bench(watch=["*"])
    for step in (1, 2):
        every.step(step)
        second.step(step, log_step=2)
    points = every.points()
    assert {tag: {2: values[2]} for tag, values in points.items()} == second.points()
    assert points["watch/first/mean"][1] != points["watch/first/mean"][2]


def test_a_step_that_is_not_looked_at_runs_no_code_of_it(bench: Callable) -> None:
    inspection = bench(watch=["first"], histograms=True).inspection
    inspection._looking = None  # whoever calls it fails
    with inspection.of_step(5, 3, 100):
        pass


def test_the_scale_of_float16_is_taken_out_of_gradients(bench: Callable) -> None:
    plain, scaled = bench(watch=["first"]), bench(watch=["first"], scaled=True)
    plain.step(1)
    scaled.step(1)
    assert scaled.scaler.get_scale() > 1000
    gradients = [one.points()["watch/first/gradient"][1] for one in (plain, scaled)]
    assert gradients[1] == pytest.approx(gradients[0], rel=1e-5)


def test_without_gradients_there_are_the_activations(bench: Callable) -> None:
    watching = bench(watch=["f*"])
    with torch.no_grad(), watching.inspection.of_step(1, 1, 9):
        watching.model(torch.rand(2, 4))
    assert sorted(watching.points()) == ["watch/first/mean", "watch/first/std", "watch/first/zeros"]


def test_histograms_come_at_the_end_of_an_epoch_with_the_gradients_of_its_last_step(bench: Callable) -> None:
    drawing, by_hand = bench(histograms=True), bench()
    for step in range(1, 5):
        drawing.step(step, epoch_end=4)
    for step in range(1, 4):
        by_hand.step(step)
    weight = by_hand.model.first.weight.detach().clone()
    by_hand.model(torch.linspace(-1, 1, 24).reshape(6, 4)).square().mean().backward()
    found = drawing.histograms()
    names = {name for name, _ in by_hand.model.named_parameters()}
    used = {name for name in names if not name.startswith("unused")}
    assert found.keys() == {f"parameters/{name}" for name in names} | {f"gradients/{name}" for name in used}
    assert {tuple(steps) for steps in found.values()} == {(4,)}
    for tag, values in (("parameters", weight), ("gradients", by_hand.model.first.weight.grad)):
        drawn = found[f"{tag}/first.weight"][4]
        assert (drawn.num, drawn.min, drawn.max) == (20, values.min().item(), values.max().item())


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1e30])
def test_gradients_that_are_not_finite_or_huge_break_nothing(bench: Callable, factor: float) -> None:
    drawing = bench(histograms=True, watch=["*"])
    drawing.step(1, epoch_end=1, factor=factor)
    assert "parameters/first.weight" in drawing.histograms()
    assert ("gradients/scale" in drawing.histograms()) == (factor == 1e30)


def test_sparse_gradients_and_empty_parameters_are_drawn_or_left_out(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Embedding(9, 2, sparse=True))
    model.register_parameter("empty", nn.Parameter(torch.ones(0, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    writer = TensorboardWriter(tmp_path, None, enabled=True)  # type: ignore[arg-type]
    options = TrainerOptions(epochs=1, tensorboard=True, histograms=True)
    inspection = Inspection(model, optimizer, torch.amp.GradScaler("cpu", enabled=False), writer, options)
    with inspection.of_step(1, 1, 1):
        model[0](torch.tensor([1, 2])).sum().backward()
        optimizer.step()
    writer.close()
    tags = EventAccumulator(str(tmp_path)).Reload().Tags()["histograms"]
    assert sorted(tags) == ["gradients/0.weight", "parameters/0.weight"]


def test_without_tensorboard_nothing_is_looked_at(bench: Callable) -> None:
    blind = bench(watch=["first"], histograms=True, tensorboard=False)
    blind.step(1, epoch_end=1)
    assert not blind.folder.exists()


def test_a_pattern_without_a_module_and_a_compiled_model_are_refused(bench: Callable) -> None:
    with pytest.raises(ConfigError, match=r"no module matches 'frist' \(nearest: first, "):
        bench(watch=["relu", "frist"], tensorboard=False)
    with pytest.raises(ConfigError, match="a compiled model calls no hooks"):
        bench(watch=["first"], compile=True)
    bench(histograms=True, compile=True)


def test_a_run_that_is_watched_is_bit_for_bit_the_one_that_is_not(
    digits_config: dict[str, Any], run_command: Callable, tmp_path: Path
) -> None:
    digits_config["trainer"] |= {"log_step": 1, "tensorboard": True, "accumulation": 2, "clip_grad_norm": 1.0}
    (tmp_path / "config.json").write_text(json.dumps(digits_config))
    watch = ("-s", 'trainer.watch=["conv*", "norm?", "linear"]', "-s", "trainer.histograms=true")
    for run_id, options in (("off", ()), ("on", watch)):
        done = run_command("train.py", "-c", tmp_path / "config.json", "--run-id", run_id, *options)
        assert done.returncode == 0, done.stderr
    log, models = tmp_path / "log" / "Digits", tmp_path / "models" / "Digits"
    assert (log / "on" / "metrics.jsonl").read_bytes() == (log / "off" / "metrics.jsonl").read_bytes()
    on, off = [torch.load(models / run / "checkpoint-last.pth", weights_only=True) for run in ("on", "off")]
    assert on["state_dict"].keys() == off["state_dict"].keys()
    assert all(torch.equal(value, off["state_dict"][name]) for name, value in on["state_dict"].items())
    tags = EventAccumulator(str(log / "on")).Reload().Tags()
    watched = {tag.split("/")[1] for tag in tags["scalars"] if tag.startswith("watch/")}
    assert watched == {"conv1", "conv2", "conv3", "norm1", "norm2", "norm3", "linear"}
    assert "gradients/conv1.weight" in tags["histograms"]
    assert not any("watch" in tag for tag in EventAccumulator(str(log / "off")).Reload().Tags()["scalars"])


def test_a_slip_in_a_config_is_one_line_at_its_place(
    digits_config: dict[str, Any], run_command: Callable, tmp_path: Path
) -> None:
    digits_config["trainer"] |= {"watch": ["convolution9"], "save_dir": str(tmp_path / "runs")}
    (tmp_path / "config.json").write_text(json.dumps(digits_config, indent=4))
    done = run_command("train.py", "-c", tmp_path / "config.json", "-s", "trainer.verbosity=0")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "config.json:" in line
    assert "trainer.watch: no module matches 'convolution9' (nearest: conv" in line
    assert not (tmp_path / "runs").exists()
