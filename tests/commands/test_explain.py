"""--explain: where each effective value comes from, and whether anything reads it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def explained(command: Callable, digits_config: dict[str, Any], tmp_path: Path) -> Callable[..., dict[str, list[str]]]:
    """The lines of --explain by key path, each as [value, source]."""
    base = {"mine": {"used": 1}, "trainer": digits_config["trainer"]} | {"arch": digits_config.pop("arch")}
    digits_config["trainer"] = {"verbosity": 1, "alpha": 3}
    digits_config |= {"extends": "base.json", "seed": "${trainer.verbosity}"}
    base["trainer"]["save_dir"] = str(tmp_path / "runs")
    base["arch"]["args"] = {"num_classes": "${data.num_classes}"}
    (tmp_path / "base.json").write_text(json.dumps(base, indent=4))

    def run(*options: object) -> Any:
        done = command(digits_config, *options)
        assert done.returncode == 0, done.stderr
        assert done.left == []
        lines = [re.split(r" {2,}", line, maxsplit=2) for line in done.stdout.replace(f"{tmp_path}/", "").splitlines()]
        return {path: rest for path, *rest in lines}

    return run


def test_every_value_says_where_it_is_from(explained: Callable) -> None:
    rows = explained("--bs", "32", "-s", "lr_scheduler.args.max_lr=0.5", "--explain")
    assert rows["data_loader.args.batch_size"] == ["32", "--bs 32"]
    assert rows["lr_scheduler.args.max_lr"] == ["0.5", "-s lr_scheduler.args.max_lr=0.5"]
    assert re.fullmatch(r"config.json:\d+:9", rows["data_loader.type"][1])
    assert re.fullmatch(r"base.json:\d+:9", rows["trainer.epochs"][1])
    assert rows["seed"] == ["1", rows["seed"][1]]
    assert re.fullmatch(r"config.json:\d+:5  \$\{trainer.verbosity\}", rows["seed"][1])
    assert rows["arch.args.num_classes"][0] == "10"
    assert re.fullmatch(r"base.json:\d+:13  \$\{data.num_classes\}", rows["arch.args.num_classes"][1])
    assert rows["arch.args.dropout"][0] == "0.2"
    assert re.fullmatch(r"default, model/model.py:\d+", rows["arch.args.dropout"][1])
    assert rows["optimizer.args.eps"] == ["1e-08", "default, torch.optim.AdamW"]
    assert rows["metrics.1.args.k"][0] == "3"
    assert re.fullmatch(r"default, base/trainer_options.py:\d+", rows["trainer.accumulation"][1])
    assert rows["trainer.threads"] == ["1", "computed"]
    unread = [path for path, (_, source) in rows.items() if source.endswith("(nothing has read it)")]
    assert set(unread) == {"trainer.alpha", "mine.used"}


def test_a_path_asks_for_a_part(explained: Callable, run_command: Callable, tmp_path: Path) -> None:
    assert set(explained("--explain", "optimizer.args.lr")) == {"optimizer.args.lr"}
    assert {path.split(".")[0] for path in explained("--explain", "optimizer")} == {"optimizer"}
    done = run_command("train.py", "-c", tmp_path / "config.json", "--explain", "optimzer")
    assert done.returncode == 2
    assert done.stderr == "--explain optimzer: no such value; did you mean 'optimizer'?\n"
