"""Each way of breaking the project is caught by the harness: a harness that cannot fail proves nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.harness import COUNTS, DRAWN, EVERYTHING, SLOW, SPOILT, WORSE, Trainings, assert_order
from tests.faults.mutants import MUTANTS

CAUGHT_BY = {  # and all others by a kill in the middle
    "saves_in_place": "kill in a write",
    "log_is_not_cut": "kill in a write",
    "monitor_is_not_saved": "kill while it gets worse",
    "validation_of_a_killed_epoch_is_skipped": "kill behind validation",
    "position_counted_in_the_sampler": "kill with workers",
    "randomness_of_a_sample_has_no_address": "kill with workers",
    "checksums_are_not_verified": "damage",
    "lock_is_inherited": "lock",
    "nan_is_saved": "weight",
}


def harm(kind: str, folder: Path, start_command: Callable, mutant: str = "") -> None:
    """One part of the harness, on the project or on a mutant of it."""
    config = {"lock": SLOW, "weight": SPOILT, "kill with workers": DRAWN, "kill while it gets worse": WORSE}.get(
        kind, EVERYTHING
    )
    trainings = Trainings(folder, config, start_command, mutant=mutant)
    if kind == "lock":
        return trainings.trial_of_the_lock()
    if kind == "weight":
        return trainings.trial_of_a_weight()
    trainings.finish(trainings.begin("whole", trace=folder / "trace"))
    assert_order(folder / "trace")
    if kind == "damage":
        return trainings.trial_of_damage("flipped")
    point = {"kill in a write": "write:checkpoint-last.pth#1500", "kill behind validation": "row#5"}.get(
        kind, "update#6"
    )
    return trainings.trial("broken", point)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_is_caught(mutant: str, tmp_path: Path, start_command: Callable) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        harm(CAUGHT_BY.get(mutant, "kill"), tmp_path, start_command, mutant)
    COUNTS["mutants caught"] += 1


@pytest.mark.parametrize("kind", sorted({"kill", *CAUGHT_BY.values()}))
def test_the_project_itself_is_not(kind: str, tmp_path: Path, start_command: Callable) -> None:
    harm(kind, tmp_path, start_command)
