import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from logger import progress
from logger.progress import Progress, peak_memory

ROOT = Path(__file__).parents[2]
LOGGER = logging.getLogger("trainer")
SCRIPT = """
import logging
from logger.progress import Progress

with Progress(logging.getLogger(), "epoch 3/20", total=5, start=2) as bar:
    bar.advance(64)
    bar.show({"loss": 0.123456})
    bar._bar.refresh()
"""


def test_where_no_terminal_is_nothing_is_drawn_and_lines_are_far_between(caplog, capsys):
    with caplog.at_level(logging.INFO), Progress(LOGGER, "epoch 1/2", total=1000) as bar:
        for _ in range(1000):
            bar.advance(64)
            bar.show({"loss": 0.5})
    assert caplog.messages == []
    assert capsys.readouterr() == ("", "")


def test_when_some_time_has_passed_a_line_says_how_far_the_epoch_is(caplog, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0)
    with caplog.at_level(logging.DEBUG, LOGGER.name), Progress(LOGGER, "epoch 3/20", total=23, start=7) as bar:
        bar.advance(64)
        bar.show({"loss": 0.312345, "accuracy": 1.0})
    assert caplog.messages == ["epoch 3/20  step 8/23  loss 0.3123  accuracy 1"]


def test_timing_counts_the_samples_since_it_was_last_asked():
    bar = Progress(LOGGER, "epoch 1/2", total=10, start=4)
    assert bar.timing()["samples_per_second"] == 0
    bar.advance(64)
    timing = bar.timing()
    assert timing.keys() == {"seconds", "samples_per_second", "memory_mib"}
    assert timing["samples_per_second"] > 0
    assert bar.timing()["samples_per_second"] == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows does not say")
def test_the_most_memory_taken_so_far_never_shrinks_and_is_in_mib():
    before = peak_memory()
    block = bytearray(b"x" * 2**25) * 4  # 128 MiB, written to
    during = peak_memory()
    del block
    assert 10 < before < 100_000
    assert peak_memory() >= during >= before


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_on_a_terminal_a_bar_shows_step_and_values_and_is_gone_afterwards():
    import termios

    terminal, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    try:
        run = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, stderr=slave, stdout=subprocess.PIPE)
        os.write(slave, b"\n")  # so that there is something to read in any case
        drawn = os.read(terminal, 100_000).decode()
    finally:
        os.close(slave)
        os.close(terminal)
    assert (run.returncode, run.stdout) == (0, b"")
    assert re.search(r"epoch 3/20: +60%.* 3/5 .*loss=0\.1235", drawn)
    assert drawn.split("\r")[-2].strip() == ""
