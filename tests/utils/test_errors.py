import os
import subprocess
import sys
from pathlib import Path

import pytest

from utils.errors import ConfigError, UserError

ROOT = Path(__file__).parents[2]


def end(statement: str) -> tuple[int, str]:
    """The exit code of a process that ends with a statement, and what it said."""
    script = f"from utils.errors import *\nreport_user_errors()\n{statement}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert run.stdout == ""
    return run.returncode, run.stderr


def test_a_users_error_ends_the_process_with_its_lines_and_its_exit_code():
    assert end("raise UserError('the loss is nan')") == (1, "the loss is nan\n")
    assert end("raise UserError('full', exit_code=7)") == (7, "full\n")
    assert end("raise ConfigError(['a.json:1:2: one', 'a.json:3:4: two'])") == (2, "a.json:1:2: one\na.json:3:4: two\n")


def test_any_other_error_shows_its_traceback():
    code, said = end("1 / 0")
    assert code == 1
    assert said.startswith("Traceback")
    assert "ZeroDivisionError" in said


def test_an_interrupt_is_no_crash():
    assert end("raise KeyboardInterrupt") == (130, "")


def test_a_config_error_has_one_line_a_fault():
    assert (ConfigError("one").faults, str(ConfigError("one"))) == (["one"], "one")
    with pytest.raises(UserError) as caught:
        raise ConfigError(["one", "two"])
    assert str(caught.value) == "one\ntwo"
    assert caught.value.exit_code == 2
