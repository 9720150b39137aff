"""A resume where something is different that decides how sums are rounded: it says precisely what, and goes on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.faults.harness import EVERYTHING, Trainings
from utils import checkpoint

WARNING = "Not bit for bit the run it was: "


@pytest.fixture(scope="module")
def killed(start_command: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trainings]:
    """Runs that were killed in their sixth step."""
    trainings = Trainings(tmp_path_factory.mktemp("killed"), EVERYTHING, start_command)

    def make(run: str) -> Trainings:
        trainings.die(trainings.begin(run, fault="update#6=kill"))
        return trainings

    return make


def warnings(output: str) -> list[str]:
    return [line.partition(WARNING)[2] for line in output.splitlines() if WARNING in line]


def test_nothing_is_said_where_nothing_is_different(killed: Callable) -> None:
    trainings = killed("same")
    assert warnings(trainings.finish(trainings.resume("same", "-s", "trainer.save_steps=2"))) == []


def test_another_number_of_threads(killed: Callable) -> None:
    trainings = killed("threads")
    assert warnings(trainings.finish(trainings.resume("threads", "-s", "trainer.threads=2"))) == ["threads was 1, is 2"]


def test_another_instruction_set(killed: Callable, run_command: Callable) -> None:
    trainings = killed("cpu")
    done = run_command("train.py", "-r", trainings.models("cpu"), ATEN_CPU_CAPABILITY="default")
    assert done.returncode == 0, done
    usual = torch.backends.cpu.get_cpu_capability()
    expected = [] if usual == "DEFAULT" else [f"cpu was {usual}, is DEFAULT"]
    assert warnings(done.stdout + done.stderr) == expected


def test_another_build_and_device_and_several_at_once(killed: Callable) -> None:
    trainings = killed("build")
    last = trainings.models("build") / "checkpoint-last.pth"
    state = checkpoint.read(last)
    state["fingerprint"] |= {"torch": "2.10.0", "device": "cuda NVIDIA H200", "processes": "4"}
    checkpoint.write(state, last)
    said = warnings(trainings.finish(trainings.resume("build")))
    current = checkpoint.read(last)["fingerprint"]
    assert said == [
        f"torch was 2.10.0, is {current['torch']}; device was cuda NVIDIA H200, is {current['device']}; "
        "processes was 4, is 1"
    ]


@pytest.mark.long
def test_compiled_from_here_on(killed: Callable) -> None:
    trainings = killed("compile")
    said = warnings(trainings.finish(trainings.resume("compile", "-s", "+trainer.compile=true")))
    assert said == ["compile was False, is True"]


def test_an_operation_without_a_deterministic_form_is_named(tmp_path: Path, start_command: Callable) -> None:
    config = EVERYTHING | {"arch": {"type": "UnorderedModel"}}
    trainings = Trainings(tmp_path, config, start_command)
    trainings.die(trainings.begin("run", fault="update#6=kill"))
    said = warnings(trainings.finish(trainings.resume("run")))
    assert said == ["max_unpooling2d_forward_out has no deterministic form"]
