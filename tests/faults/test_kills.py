"""SIGKILL before anything that a crash could fall before: the resumed run ends as the unbroken one, bit for bit."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import COUNTS, DAMAGES, DRAWN, EVERYTHING, SLOW, Trainings, assert_order, spoil

SAVE = (
    *("fsync:metrics.jsonl", "write:checkpoint-last.pth", "fsync:checkpoint-last.pth", "link:checkpoint-previous.pth"),
    *("replace:checkpoint-previous.pth", "replace:checkpoint-last.pth", "fsync:folder", "replace:status.json"),
)
# the first save, one between two steps, that of the first epoch with its further names
POINTS = [
    *(f"step#{number}" for number in range(1, 9)),
    *(f"update#{number}" for number in (1, 4, 5, 8)),
    *(f"row#{number}" for number in (1, 5, 10)),
    *("validate#1", "validate#2", "fsync:config.json#1", "replace:config.json#1", "replace:run.json#1"),
    *(f"{name}#{number}" for name in SAVE for number in (1, 4)),
    *("write:checkpoint-last.pth#300", "write:checkpoint-last.pth#1500"),
    *("link:checkpoint-epoch1.pth#1", "replace:checkpoint-epoch1.pth#1", "link:model_best.pth#1"),
    *("replace:model_best.pth#1", "replace:model_best.pth#2", "unlink:checkpoint-epoch1.pth#1"),
]
CHAINS = [("step#2", "step#2", "update#3"), ("update#5", "cut#1", "replace:checkpoint-last.pth#1", "validate#1")]


@pytest.fixture(scope="module")
def unbroken(start_command: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Trainings]:
    """The finished run `whole` of a config, made once; beside it, the trace of what it passed."""
    made: dict[str, Trainings] = {}

    def make(name: str) -> Trainings:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            made[name] = Trainings(folder, {"everything": EVERYTHING, "drawn": DRAWN}[name], start_command)
            made[name].finish(made[name].begin("whole", trace=folder / "trace"))
        return made[name]

    return make


@pytest.mark.parametrize("point", POINTS)
def test_killed_before(point: str, unbroken: Callable) -> None:
    unbroken("everything").trial(point.replace(":", "-"), point)


@pytest.mark.parametrize("points", CHAINS)
def test_killed_again_and_again(points: tuple[str, ...], unbroken: Callable) -> None:
    unbroken("everything").trial(f"chain-{CHAINS.index(points)}", *points)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_killed_with_two_workers_and_resumed_with_another_number(workers: int, unbroken: Callable) -> None:
    options = ("-s", f"data_loader.args.num_workers={workers}")
    unbroken("drawn").trial(f"workers-{workers}", "update#3", "step#4", options=options)


@pytest.mark.parametrize(
    "options",
    [{"persistent_workers": True}, {"multiprocessing_context": "spawn"}, {"prefetch_factor": 7}],
    ids=["persistent", "spawn", "prefetch"],
)
def test_killed_with_workers_of_another_kind(options: dict, unbroken: Callable) -> None:
    changes = [f"+data_loader.args.{key}={value}" for key, value in options.items()]
    arguments = tuple(word for change in changes for word in ("-s", change))
    unbroken("drawn").trial("-".join(options), "update#6", options=arguments)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_newest_checkpoint_is_damaged(damage: str, unbroken: Callable) -> None:
    unbroken("everything").trial_of_damage(damage)


def test_every_checkpoint_is_damaged(unbroken: Callable) -> None:
    trainings = unbroken("everything")
    trainings.die(trainings.begin("spoilt", fault="update#6=kill"))
    for path in trainings.models("spoilt").glob("*.pth"):
        spoil(path, "cut")
    before = {path: path.read_bytes() for path in trainings.models("spoilt").iterdir()}
    done = trainings.resume("spoilt").wait()
    assert done.returncode == 2, done
    assert "none of the checkpoints is good" in done.stderr
    assert {path: path.read_bytes() for path in trainings.models("spoilt").iterdir()} == before


def test_the_lock_is_free_as_soon_as_a_killed_run_is_gone_however_slow_its_workers(
    tmp_path: Path, start_command: Callable
) -> None:
    Trainings(tmp_path, SLOW, start_command).trial_of_the_lock()


def test_nothing_counts_on_bytes_that_may_not_be_on_the_disk_yet(unbroken: Callable) -> None:
    assert_order(unbroken("everything").folder / "trace")


def test_two_unbroken_runs_are_equal_wherever_they_are_started(unbroken: Callable, tmp_path: Path) -> None:
    trainings = unbroken("everything")
    elsewhere = {"TZ": "Asia/Tokyo", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "7", "cwd": tmp_path}
    script = Path(__file__).parents[2] / "train.py"
    options = ("-c", trainings.folder / "config.json", "--run-id", "elsewhere")
    assert trainings.start_command(script, *options, **elsewhere).wait().returncode == 0
    trainings.compare("elsewhere")


@pytest.mark.long
def test_killed_before_every_single_operation(unbroken: Callable) -> None:
    """A write of a checkpoint is some 400 writes to its file; every 37th of them stands for all."""
    trainings = unbroken("everything")
    passed: Counter[str] = Counter()
    for name in (trainings.folder / "trace").read_text().split():
        passed[name] += 1
        if not name.startswith("write:") or passed[name] % 37 == 0:
            run = f"all-{name.replace(':', '-')}-{passed[name]}"
            trainings.trial(run, f"{name}#{passed[name]}")
            shutil.rmtree(trainings.models(run), ignore_errors=True)


@pytest.mark.long
@pytest.mark.parametrize("trial", range(60))
def test_the_whole_group_is_killed_at_random_moments(trial: int, unbroken: Callable) -> None:
    """About six kills a run; each resume with another number of workers."""
    trainings, run, random_ = unbroken("drawn"), f"random-{trial}", random.Random(trial)
    COUNTS["trials"] += 1
    for part in range(7):
        begun = (trainings.models(run) / "checkpoint-last.pth").exists()
        if not begun:
            shutil.rmtree(trainings.models(run), ignore_errors=True)
            shutil.rmtree(trainings.log(run), ignore_errors=True)
        options = ("-s", f"data_loader.args.num_workers={random_.randrange(3)}")
        process = (trainings.resume if begun else trainings.begin)(run, *options)
        if part == 6:
            break
        end = time.monotonic() + random_.uniform(0.1, 0.5)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.001)
        if process.poll() is None:
            process.signal(signal.SIGKILL)
            COUNTS["kills"] += 1
        process.wait()
    trainings.finish(process)
    trainings.compare(run)
