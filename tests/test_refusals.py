"""What a user sees of a mistake: exit code 2, a line a fault, no traceback, and no folder made."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SEE_TORCH = """
import runpy, sys
sys.argv = ["train.py", *sys.argv[1:]]
try:
    runpy.run_path("train.py", run_name="__main__")
except BaseException as error:
    print("ended by", type(error).__name__)
print("torch was imported:", "torch" in sys.modules)
"""


@pytest.fixture
def config(digits_config, tmp_path) -> dict[str, Any]:
    digits_config["trainer"]["save_dir"] = str(tmp_path / "runs")
    return digits_config


@pytest.fixture
def refused(run_command, tmp_path) -> Callable[..., list[str]]:
    """The lines on stderr of a train.py that must be refused; a config's path in them is short."""

    def lines(*arguments: object) -> list[str]:
        done = run_command("train.py", *arguments)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert not (tmp_path / "runs").exists()
        short = done.stderr.replace(f"{tmp_path}/", "")
        return re.sub(r"\.py:\d+\)", ".py:N)", short).splitlines()

    return lines


def write(tmp_path: Path, text: str | dict[str, Any], name: str = "config.json") -> tuple[str, Path]:
    text = text if isinstance(text, str) else json.dumps(text, indent=4)
    (tmp_path / name).write_text(text)
    return text, tmp_path / name


def place(text: str, part: str) -> str:
    """Where a part of the config stands, as a user reads it in an editor."""
    before = text[: text.index(part)]
    return f"config.json:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def test_no_config_a_missing_one_and_an_unknown_path_are_refused(refused, config, tmp_path):
    assert refused() == ["no config: add -c config.json, or -r RUN to go on with a run"]
    assert refused("-c", tmp_path / "nope.json") == ["nope.json: no such file"]
    _, file = write(tmp_path, config)
    assert refused("-c", file, "-s", "trainer.epohcs=3", "-s", "optimizer.args.lr=1", "-s", "mine.x=1") == [
        "-s trainer.epohcs=3: trainer has no 'epohcs'; did you mean 'epochs'? (+trainer.epohcs=... adds it)",
        f"-s mine.x=1: the config has no 'mine'; there is {', '.join(sorted(config))} (+mine.x=... adds it)",
    ]


def test_broken_json_is_refused_with_line_and_column(refused, config, tmp_path):
    text = json.dumps(config, indent=4).replace('"args": {}', '"args": {},')
    write(tmp_path, text)
    line = place(text, '"args": {},').split(":")[1]
    column = len('        "args": {},')
    assert refused("-c", tmp_path / "config.json") == [
        f"config.json:{line}:{column}: a comma before '}}'; JSON takes none after the last item"
    ]


def test_a_file_that_is_no_checkpoint_is_refused(refused, tmp_path):
    (tmp_path / "model.pth").write_text("not a checkpoint")
    assert refused("-r", tmp_path / "model.pth") == [
        "model.pth: not a checkpoint, or a damaged one (File is not a zip file)"
    ]


def unknown_type(config):
    config["arch"]["type"] = "DigitModel"


def unknown_argument(config):
    config["optimizer"]["args"]["lrr"] = 0.1


def missing_argument(config):
    config["data_loader"] = {"type": "MnistDataLoader", "args": {"batch_size": 8}}


def misspelt_trainer_key(config):
    config["trainer"]["epohcs"] = 3


def misspelt_monitor(config):
    config["trainer"]["monitor"] = "min val_lss"


def misspelt_section(config):
    config["optimzer"] = config.pop("optimizer")


@pytest.mark.parametrize(
    ("spoil", "part", "line"),
    [
        (
            unknown_type,
            '"type": "DigitModel"',
            "arch.type: no 'DigitModel' in model.model; did you mean 'DigitsModel' or 'MnistModel'?",
        ),
        (
            unknown_argument,
            '"lrr"',
            "optimizer.args.lrr: AdamW takes no 'lrr'; did you mean 'lr'? (torch.optim.AdamW)",
        ),
        (
            missing_argument,
            '"args": {\n            "batch_size"',
            "data_loader.args: MnistDataLoader needs the argument 'data_dir' (data_loader/data_loaders.py:N)",
        ),
        (misspelt_trainer_key, '"epohcs"', "trainer.epohcs: unknown; did you mean 'epochs'?"),
        (
            misspelt_monitor,
            '"monitor"',
            "trainer.monitor: the log will have no 'val_lss'; did you mean 'val_loss'?",
        ),
        (misspelt_section, '"optimzer"', "optimzer: unknown; did you mean 'optimizer'?"),
    ],
)
def test_a_slip_in_the_config_is_one_line_at_its_place(refused, config, tmp_path, spoil, part, line):
    spoil(config)
    text, file = write(tmp_path, config)
    assert refused("-c", file) == [f"{place(text, part)}: {line}"]


def test_all_slips_are_told_at_once_in_the_order_of_the_file(refused, config, tmp_path):
    for spoil in (misspelt_trainer_key, unknown_type, unknown_argument):
        spoil(config)
    text, file = write(tmp_path, config)
    found = refused("-c", file, "-s", "seed=x")
    assert [line.split(": ")[:2] for line in found] == [
        [place(text, '"type": "DigitModel"'), "arch.type"],
        [place(text, '"lrr"'), "optimizer.args.lrr"],
        [place(text, '"epohcs"'), "trainer.epohcs"],
        ["-s seed=x", "seed"],
    ]


def test_help_and_a_broken_config_never_wait_for_torch(run_command, tmp_path):
    shown = run_command("-c", SEE_TORCH, "--help").stdout
    assert "--config" in shown
    assert shown.endswith("ended by SystemExit\ntorch was imported: False\n")
    _, file = write(tmp_path, '{"name": }')
    assert run_command("-c", SEE_TORCH, "-c", file).stdout == "ended by ConfigError\ntorch was imported: False\n"


def test_help_shows_the_example_commands_a_line_each(run_command):
    shown = run_command("train.py", "--help").stdout
    assert re.search(r"^ *python train.py -c config.json +train$", shown, re.MULTILINE)
