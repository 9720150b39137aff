"""train.py from the outside: what runs write, how they go on, how they end."""

import copy
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parent.parent
Config = dict[str, Any]


@pytest.fixture
def train(tmp_path: Path, run_command: Callable) -> Callable[..., Any]:
    """Trains a config with the real command; fails if it does not end as expected."""

    def run(config: Config | None, *options: object, code: int = 0, run: str = "run") -> Any:
        (tmp_path / "config.json").write_text(json.dumps(config))
        source = () if config is None else ("-c", tmp_path / "config.json", "--run-id", run)
        finished = run_command("train.py", *source, *options)
        assert finished.returncode == code, finished.stdout + finished.stderr
        return finished

    return run


def rows_of(saved: Path, run: str = "run", name: str = "Digits") -> list[dict[str, Any]]:
    return [json.loads(row) for row in (saved / "log" / name / run / "metrics.jsonl").read_text().splitlines()]


def checkpoint(saved: Path, file: str = "checkpoint-last.pth", run: str = "run") -> dict[str, Any]:
    return torch.load(saved / "models" / "Digits" / run / file, weights_only=True)


def test_a_run_writes_what_the_readme_says(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    digits_config["trainer"] |= {"tensorboard": True, "save_period": 1}
    train(digits_config)
    models = {path.name for path in (tmp_path / "models" / "Digits" / "run").iterdir()}
    assert models == {
        *(".lock", "config.json", "split.json", "checkpoint-last.pth", "checkpoint-previous.pth", "model_best.pth"),
        *("checkpoint-epoch1.pth", "checkpoint-epoch2.pth"),
    }
    logs = {path.name.split(".out.")[0] for path in (tmp_path / "log" / "Digits" / "run").iterdir()}
    assert logs == {"info.log", "metrics.jsonl", "timing.jsonl", "status.json", "run.json", "events"}
    assert json.loads((tmp_path / "log" / "Digits" / "run" / "status.json").read_text())["state"] == "done"
    assert "epoch 2/2" in (tmp_path / "log" / "Digits" / "run" / "info.log").read_text()
    starts = json.loads((tmp_path / "log" / "Digits" / "run" / "run.json").read_text())
    assert len(starts) == 1
    assert {"command", "device", "seed", "python", "packages", "git"} <= set(starts[0])


def test_rows_have_their_keys_in_order_and_no_clock(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    train(digits_config)
    rows = rows_of(tmp_path)
    assert [(row["kind"], row["step"], row["epoch"]) for row in rows] == [
        *(("step", 2, 1), ("step", 4, 1), ("epoch", 5, 1)),
        *(("step", 6, 2), ("step", 8, 2), ("step", 10, 2), ("epoch", 10, 2)),
    ]
    values = ["loss", "accuracy", "top_k_acc"]
    assert list(rows[0]) == ["kind", "step", "epoch", "lr", *values]
    assert list(rows[2]) == ["kind", "step", "epoch", "lr", *values, *(f"val_{name}" for name in values)]


def test_a_checkpoint_is_plain_data_with_the_documented_keys(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    train(digits_config)
    state = checkpoint(tmp_path)
    assert list(state) == [
        *("format", "name", "arch", "epoch", "step", "state_dict", "optimizer", "lr_scheduler", "monitor", "running"),
        *("monitor_best", "config", "fingerprint", "log", "extra"),
    ]
    assert (state["format"], state["arch"], state["epoch"], state["step"]) == (1, "DigitsModel", 2, 10)
    assert state["config"]["arch"]["type"] == "DigitsModel"
    assert all(isinstance(value, str) for value in state["fingerprint"].values())


def test_an_epoch_checkpoint_branches_into_a_new_run_with_its_whole_state(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["trainer"] |= {"save_period": 1}
    train(digits_config)
    before = {path: path.read_bytes() for path in (tmp_path / "models" / "Digits" / "run").iterdir()}
    first = tmp_path / "models" / "Digits" / "run" / "checkpoint-epoch1.pth"
    output = train(None, "-r", first, "--run-id", "branch").stdout
    assert "Branched from" in output
    assert {path: path.read_bytes() for path in before} == before
    branch, whole = checkpoint(tmp_path, run="branch"), checkpoint(tmp_path)
    assert branch["step"] == 10
    for key, weights in whole["state_dict"].items():
        assert torch.equal(weights, branch["state_dict"][key]), key
    assert [row["step"] for row in rows_of(tmp_path, "branch")] == [6, 8, 10, 10]


def test_resume_with_a_config_takes_only_the_weights(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    train(digits_config)
    digits_config["trainer"] |= {"epochs": 1, "len_epoch": 1}
    digits_config["optimizer"]["args"]["lr"] = 0.0
    digits_config["lr_scheduler"]["args"] = {"max_lr": 1e-12, "total_steps": "auto"}
    train(digits_config, "-r", tmp_path / "models" / "Digits" / "run", run="tuned")
    tuned, source = checkpoint(tmp_path, run="tuned"), checkpoint(tmp_path)
    assert tuned["step"] == 1
    torch.testing.assert_close(tuned["state_dict"]["linear.weight"], source["state_dict"]["linear.weight"])


def test_a_finished_run_says_so_and_changes_nothing(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    train(digits_config)
    run = tmp_path / "models" / "Digits" / "run"
    before = (run / "checkpoint-last.pth").read_bytes(), rows_of(tmp_path)
    assert "The run is finished" in train(None, "-r", run).stdout
    assert ((run / "checkpoint-last.pth").read_bytes(), rows_of(tmp_path)) == before


def test_a_run_without_a_schedule_can_be_made_longer(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    del digits_config["lr_scheduler"]
    digits_config["trainer"]["epochs"] = 3
    train(digits_config, run="whole")
    digits_config["trainer"]["epochs"] = 1
    train(digits_config)
    train(None, "-r", tmp_path / "models" / "Digits" / "run", "-s", "trainer.epochs=3")
    assert rows_of(tmp_path) == rows_of(tmp_path, "whole")


def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_best(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["optimizer"] = {"type": "SGD", "args": {"lr": 1e30}}
    digits_config["trainer"]["epochs"] = 3
    del digits_config["lr_scheduler"]
    error = train(digits_config, code=1).stderr
    assert len(error.strip().splitlines()) == 1
    assert "at step" in error
    assert "checkpoint-last.pth" in error
    assert all(weights.isfinite().all() for weights in checkpoint(tmp_path)["state_dict"].values())


def test_early_stop_counts_epochs_without_improvement(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    digits_config["optimizer"] = {"type": "SGD", "args": {"lr": 0.0}}
    del digits_config["lr_scheduler"]
    digits_config["trainer"] |= {"monitor": "max loss", "early_stop": 2, "epochs": 9, "len_epoch": 20}
    digits_config["data_loader"]["args"]["augment"] = False
    output = train(digits_config).stdout
    losses = [row["loss"] for row in rows_of(tmp_path) if row["kind"] == "epoch"]
    best = max(range(len(losses)), key=losses.__getitem__)
    assert len(losses) == min(best + 3, 9)
    assert ("training stops" in output) == (best + 3 <= 9)


def test_only_the_newest_epoch_checkpoints_are_kept(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    digits_config["trainer"] |= {"epochs": 5, "save_period": 1, "keep_last": 2}
    train(digits_config)
    kept = sorted(path.name for path in (tmp_path / "models" / "Digits" / "run").glob("checkpoint-epoch*.pth"))
    assert kept == ["checkpoint-epoch4.pth", "checkpoint-epoch5.pth"]


def test_the_moving_average_is_what_is_judged_and_tested(
    train: Callable, digits_config: Config, tmp_path: Path, run_command: Callable
) -> None:
    digits_config["trainer"] |= {"ema_decay": 0.9, "epochs": 3}
    train(digits_config)
    run = tmp_path / "models" / "Digits" / "run"
    state = checkpoint(tmp_path, "model_best.pth")
    assert state["ema"].keys() == state["state_dict"].keys()
    digits_config["test_data_loader"] = json.loads(json.dumps(digits_config["data_loader"]))
    tested = run_command("test.py", "-r", run)
    assert tested.returncode == 0, tested.stderr
    with_average = json.loads((run / "test.json").read_text())["metrics"]
    del state["ema"]
    torch.save(state, run / "without.pth")
    assert run_command("test.py", "-r", run / "without.pth").returncode == 0
    assert json.loads((run / "test.json").read_text())["metrics"] != with_average


def test_a_validation_loader_of_its_own(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    digits_config["data_loader"]["args"]["validation_split"] = 0.0
    digits_config["valid_data_loader"] = {
        "type": "DigitsDataLoader",
        "args": {"batch_size": 100, "training": False, "shuffle": False},
    }
    train(digits_config)
    accuracy = rows_of(tmp_path)[-1]["val_accuracy"]
    assert accuracy * 360 == pytest.approx(round(accuracy * 360), abs=1e-3)


def test_a_monitor_of_validation_without_validation_data_is_refused(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["data_loader"]["args"]["validation_split"] = 0.0
    error = train(digits_config, code=2).stderr
    assert "there is no validation data" in error
    assert not (tmp_path / "models").exists()


def test_yaml_trains_what_json_trains(
    train: Callable, digits_config: Config, tmp_path: Path, run_command: Callable
) -> None:
    import yaml

    train(digits_config, run="json")
    (tmp_path / "config.yaml").write_text("# a comment\n" + yaml.safe_dump(digits_config, sort_keys=False))
    finished = run_command("train.py", "-c", tmp_path / "config.yaml", "--run-id", "yaml")
    assert finished.returncode == 0, finished.stderr
    assert rows_of(tmp_path, "json") == rows_of(tmp_path, "yaml")


def test_tensorboard_has_each_point_of_the_log_once_after_a_resume(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    del digits_config["lr_scheduler"]
    digits_config["trainer"] |= {"tensorboard": True, "epochs": 1}
    train(digits_config)
    train(None, "-r", tmp_path / "models" / "Digits" / "run", "-s", "trainer.epochs=3")
    events = EventAccumulator(str(tmp_path / "log" / "Digits" / "run"))
    events.Reload()
    for kind in ("step", "epoch"):
        points = [(event.step, event.value) for event in events.Scalars(f"{kind}/loss")]
        rows = [(row["step"], pytest.approx(row["loss"])) for row in rows_of(tmp_path) if row["kind"] == kind]
        assert points == rows
    assert [event.step for event in events.Images("input")] == [5, 10, 15]


def test_more_gpus_than_there_are_is_said(train: Callable, digits_config: Config) -> None:
    digits_config["n_gpu"] = 4
    output = train(digits_config, "-d", "cpu").stdout
    assert "epoch 2/2" in output
    digits_config["n_gpu"] = 0
    assert "Training on cpu" in train(digits_config, run="cpu").stdout


def test_no_checkpoint_between_two_rows_holds_what_is_not_finite(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["optimizer"] = {"type": "SGD", "args": {"lr": 1e30}}
    digits_config["trainer"] |= {"log_step": 100, "save_steps": 1}
    del digits_config["lr_scheduler"]
    train(digits_config, code=1)
    for file in ("checkpoint-last.pth", "checkpoint-previous.pth"):
        assert checkpoint(tmp_path, file)["step"] <= 2
    assert all(weights.isfinite().all() for weights in checkpoint(tmp_path, file)["state_dict"].values())


def test_a_rate_changed_on_resume_is_the_rate(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    del digits_config["lr_scheduler"]
    digits_config["trainer"]["epochs"] = 1
    train(digits_config)
    run = tmp_path / "models" / "Digits" / "run"
    train(None, "-r", run, "-s", "trainer.epochs=2", "--lr", "0.00001")
    assert [row["lr"] for row in rows_of(tmp_path) if row["kind"] == "epoch"] == [0.005, 0.00001]


def test_a_longer_run_plans_its_schedule_anew_and_says_so(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["trainer"] |= {"log_step": 1}
    longer = copy.deepcopy(digits_config)
    longer["trainer"]["epochs"] = 4
    train(longer, run="longer")
    train(digits_config)
    output = train(None, "-r", tmp_path / "models" / "Digits" / "run", "-s", "trainer.epochs=4").stdout
    assert "Changed: trainer.epochs: 2 -> 4 (planned anew)" in output
    planned = [row["lr"] for row in rows_of(tmp_path, "longer")]
    rates = [row["lr"] for row in rows_of(tmp_path)]
    assert len(rates) == len(planned) == 24
    assert rates[12:] == pytest.approx(planned[12:], rel=1e-12)
    assert rates[:12] != planned[:12]


def test_what_makes_it_another_run_is_refused_without_allow(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    train(digits_config)
    run, before = tmp_path / "models" / "Digits" / "run", rows_of(tmp_path)
    sets = ("-s", "trainer.epochs=3", "-s", "seed=7", "--bs", "32", "-s", "trainer.verbosity=1")
    error = train(None, "-r", run, *sets, code=2).stderr.splitlines()
    assert [line.split(": the run would be another one")[0] for line in error] == [
        "-s seed=7: seed: 0 -> 7 (breaking)",
        "--bs 32: data_loader.args.batch_size: 64 -> 32 (breaking)",
    ]
    assert "--allow" in error[0]
    assert rows_of(tmp_path) == before
    output = train(None, "-r", run, *sets, "--allow").stdout
    for line in (
        "seed: 0 -> 7 (breaking)",
        "data_loader.args.batch_size: 64 -> 32 (breaking)",
        "trainer.epochs: 2 -> 3 (planned anew)",
        "trainer.verbosity: 2 -> 1 (safe)",
    ):
        assert f"Changed: {line}" in output
        assert line in (tmp_path / "log" / "Digits" / "run" / "info.log").read_text()
    assert rows_of(tmp_path)[-1]["epoch"] == 3


def test_a_config_that_does_not_fit_the_checkpoint_is_refused_in_one_line(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    train(digits_config)
    change = ("-s", "arch.args.channels=32", "--allow")
    error = train(None, "-r", tmp_path / "models" / "Digits" / "run", *change, code=2).stderr
    assert "does not fit" in error
    assert len(error.strip().splitlines()) == 1


def test_auto_goes_on_with_the_newest_run_of_the_name_or_begins_one(
    train: Callable, digits_config: Config, tmp_path: Path, run_command: Callable
) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(digits_config))
    first = run_command("train.py", "-c", file, "-r", "auto", "--run-id", "run")
    assert "no run of this name yet" in first.stdout, first.stderr
    options = ("-s", f"trainer.save_dir={tmp_path / 'elsewhere'}", "-s", "trainer.epochs=1")
    assert "no run of this name yet" in run_command("train.py", "-c", file, "-r", "auto", *options).stdout
    again = run_command("train.py", "-c", file, "-r", "auto", "-s", "trainer.epochs=3")
    assert f"goes on with {tmp_path / 'models' / 'Digits' / 'run'}" in again.stdout, again.stderr
    assert rows_of(tmp_path)[-1]["epoch"] == 3
    assert "-s changes it" not in again.stdout.replace("trainer.epochs", "")
    file.write_text(json.dumps(digits_config | {"seed": 7}))
    told = run_command("train.py", "-c", file, "-r", "auto")
    assert "seed: the run has 0, which counts, not the 7 of the file; -s changes it" in told.stdout, told
    for path in (tmp_path / "models" / "Digits" / "run").glob("*.pth"):
        path.write_bytes(b"damaged")
    refused = run_command("train.py", "-c", file, "-r", "auto")
    assert refused.returncode == 2
    assert "none of the checkpoints is good" in refused.stderr


def test_a_damaged_checkpoint_is_refused_with_the_good_one_to_use(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    train(digits_config)
    run = tmp_path / "models" / "Digits" / "run"
    content = bytearray((run / "checkpoint-last.pth").read_bytes())
    content[len(content) // 2] ^= 1
    (run / "checkpoint-last.pth").unlink()
    (run / "checkpoint-last.pth").write_bytes(content)
    error = train(None, "-r", run / "checkpoint-last.pth", code=2).stderr
    assert re.search(r"checkpoint-last.pth: damaged: .*; the newest good one is .*/run/.*\.pth\n", error), error
    assert len(error.splitlines()) == 1
    output = train(None, "-r", run).stdout
    assert "passed over: " in output
    assert "The run is finished" in output


def test_few_batches_are_learnt_by_heart(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    digits_config["trainer"] |= {"epochs": 25, "len_epoch": 10, "log_step": 100}
    train(digits_config, "--overfit", "2")
    epochs = [row for row in rows_of(tmp_path) if row["kind"] == "epoch"]
    assert epochs[-1]["loss"] < 0.02
    assert epochs[-1]["val_loss"] < 0.02
    assert json.loads((tmp_path / "models" / "Digits" / "run" / "config.json").read_text())["trainer"]["overfit"] == 2


def test_a_limited_epoch_has_so_many_batches(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    del digits_config["trainer"]["len_epoch"]
    digits_config["data_loader"]["args"]["batch_size"] = 32
    train(digits_config, "--limit", "3", "-s", "trainer.accumulation=2")
    rows = rows_of(tmp_path)
    assert [row["step"] for row in rows if row["kind"] == "epoch"] == [2, 4]
    right = rows[-1]["val_accuracy"] * 96
    assert right == pytest.approx(round(right), abs=1e-4)


def test_a_second_process_on_a_live_run_is_refused_and_harms_nothing(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["trainer"]["epochs"] = 400
    (tmp_path / "long.json").write_text(json.dumps(digits_config))
    command = [sys.executable, "train.py", "-c", str(tmp_path / "long.json"), "--run-id", "live"]
    live = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    log = tmp_path / "log" / "Digits" / "live" / "metrics.jsonl"
    while live.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") > 3):
        time.sleep(0.01)
    error = train(None, "-r", tmp_path / "models" / "Digits" / "live", code=1).stderr
    live.terminate()
    live.communicate()
    assert "another process is training this run" in error
    steps = [row["step"] for row in rows_of(tmp_path, "live")]
    assert steps == sorted(steps)


def test_a_branch_takes_the_best_checkpoint_along(train: Callable, digits_config: Config, tmp_path: Path) -> None:
    digits_config["optimizer"] = {"type": "SGD", "args": {"lr": 0.05}}
    digits_config["trainer"] |= {"save_period": 1, "monitor": "max val_loss", "epochs": 3, "len_epoch": 20}
    del digits_config["lr_scheduler"]
    train(digits_config)
    first = tmp_path / "models" / "Digits" / "run" / "checkpoint-epoch1.pth"
    train(None, "-r", first, "--run-id", "branch")
    assert checkpoint(tmp_path, "model_best.pth", "branch")["step"] == checkpoint(tmp_path, "model_best.pth")["step"]


def test_a_run_says_where_its_time_went_and_traces_some_steps_where_it_is_asked_to(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    digits_config["trainer"]["len_epoch"] = 20
    output = train(digits_config, "-s", "+trainer.profile=true").stdout
    assert re.search(r"^In \d+ s: computing \d+%", output, re.MULTILINE)
    (trace,) = (tmp_path / "log" / "Digits" / "run").glob("*.pt.trace.json")
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert "aten::conv2d" in names


def test_the_fused_form_of_an_optimizer_is_stored_with_the_run_and_kept(
    train: Callable, digits_config: Config, tmp_path: Path
) -> None:
    del digits_config["lr_scheduler"]
    train(digits_config)
    assert checkpoint(tmp_path)["config"]["optimizer"]["args"]["fused"] is True
    train(digits_config, "-s", "+optimizer.args.fused=false", run="plain")
    train(None, "-r", tmp_path / "models" / "Digits" / "plain", "-s", "trainer.epochs=3")
    assert checkpoint(tmp_path, run="plain")["config"]["optimizer"]["args"]["fused"] is False
