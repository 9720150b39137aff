"""A signal at every kind of moment: the documented exit code, no traceback, a resume that ends as the unbroken run."""

import time
from collections.abc import Callable
from itertools import product

import pytest

from tests.faults.harness import COUNTS, DRAWN, EVERYTHING, Trainings

PHASES = {
    "before the first step": "fsync:config.json#1",
    "in the first save": "write:checkpoint-last.pth#100",
    "in a step": "update#3",
    "in the last step of an epoch": "step#4",
    "in validation": "validate#1",
    "at the end of an epoch": "row#5",
    "in a save": "write:checkpoint-last.pth#1500",
    "between the names of a checkpoint": "replace:model_best.pth#1",
}
CODES = {"SIGTERM": 75, "SIGUSR1": 75, "SIGINT": 130}
EVERY = list(product(PHASES, CODES, ("", " to all"), (0, 2)))
FEW = [EVERY[(13 * index) % len(EVERY)] for index in range(8)]


@pytest.fixture(scope="module")
def unbroken(start_command: Callable, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Trainings]:
    """The finished run `whole`, on data without and with worker processes."""
    made = {}
    for workers, config in ((0, EVERYTHING), (2, DRAWN)):
        made[workers] = Trainings(tmp_path_factory.mktemp("signals"), config, start_command)
        made[workers].finish(made[workers].begin("whole"))
    return made


def stopped(trainings: Trainings, run: str, fault: str, code: int) -> str:
    """Trains until a signal ends it, and fails if it does not end as documented."""
    began = time.monotonic()
    done = trainings.begin(run, fault=fault).wait()
    assert time.monotonic() - began < 5, "it took too long"
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr, done.stderr
    COUNTS["signals"] += 1
    return done.stderr.strip().splitlines()[-1]


def trial(trainings: Trainings, phase: str, name: str, to_all: str) -> None:
    COUNTS["trials"] += 1
    run = f"{phase} {name}{to_all}".replace(" ", "-")
    said = stopped(trainings, run, f"{PHASES[phase]}={name}{to_all}", CODES[name])
    status = trainings.status(run)
    assert (status["state"], status["why"]) == ("stopped", name)
    assert said.startswith(f"stopped by {name} at step {status['step']} and saved; go on with: python train.py -r ")
    trainings.finish(trainings.resume(run))
    trainings.compare(run)


@pytest.mark.parametrize(("phase", "name", "to_all", "workers"), FEW)
def test_a_signal(phase: str, name: str, to_all: str, workers: int, unbroken: dict[int, Trainings]) -> None:
    trial(unbroken[workers], phase, name, to_all)


@pytest.mark.long
@pytest.mark.parametrize(("phase", "name", "to_all", "workers"), [one for one in EVERY if one not in FEW])
def test_a_signal_at_any_moment(
    phase: str, name: str, to_all: str, workers: int, unbroken: dict[int, Trainings]
) -> None:
    trial(unbroken[workers], phase, name, to_all)


def test_a_second_interrupt_within_the_save_leaves_the_checkpoints_as_they_were(unbroken: dict[int, Trainings]) -> None:
    COUNTS["trials"] += 1
    faults = "update#3=SIGINT,write:checkpoint-last.pth#1200=SIGINT"
    assert stopped(unbroken[0], "twice", faults, 130) == "leaving at once"
    unbroken[0].finish(unbroken[0].resume("twice"))
    unbroken[0].compare("twice")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGINT"])
def test_a_signal_while_the_run_is_prepared_leaves_nothing(name: str, unbroken: dict[int, Trainings]) -> None:
    trainings = unbroken[0]
    done = trainings.begin(name, fault=f"data#1={name}").wait()
    assert done.returncode == CODES[name], done
    assert "Traceback" not in done.stderr
    assert not trainings.models(name).exists()
