import torch

from utils.fingerprint import differences, fingerprint

CPU = torch.device("cpu")
CONFIG = {"data_loader": {"type": "D", "args": {"batch_size": 64}}, "trainer": {"epochs": 3}}


def test_a_run_is_equal_to_itself():
    current = fingerprint(CPU, CONFIG)
    assert all(isinstance(value, str) for value in current.values())
    assert differences(current, fingerprint(CPU, CONFIG | {"seed": 3})) == []


def test_every_setting_that_changed_is_told_with_both_values(monkeypatch):
    before = fingerprint(CPU, CONFIG)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert differences(before, fingerprint(CPU, {"trainer": {"compile": True}})) == [
        "processes was 1, is 2",
        "compile was False, is True",
        "batch_size was 64, is None",
    ]


def test_another_build_machine_or_number_of_threads_is_told():
    before = fingerprint(CPU, CONFIG)
    for key in ("torch", "device", "cpu", "threads"):
        assert differences(before | {key: "old"}, before) == [f"{key} was old, is {before[key]}"]


def test_operations_without_a_deterministic_form_in_the_stored_run_are_told_by_name():
    current = fingerprint(CPU, CONFIG)
    stored = current | {"nondeterministic": "put_, scatter"}
    assert differences(stored, current) == ["put_ has no deterministic form", "scatter has no deterministic form"]


def test_what_an_older_checkpoint_did_not_record_is_no_difference():
    current = fingerprint(CPU, CONFIG)
    assert differences({"torch": current["torch"]}, current) == []
