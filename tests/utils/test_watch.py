import logging
import time
from types import SimpleNamespace

import pytest

from utils import watch as module
from utils.watch import Watch, advice_for

LOGGER = logging.getLogger("trainer")


@pytest.fixture
def said(caplog, monkeypatch):
    monkeypatch.setattr(LOGGER, "level", logging.INFO)
    caplog.set_level(logging.INFO, logger="trainer")
    return caplog


def spend(watch: Watch, **seconds: float) -> None:
    for name, duration in seconds.items():
        with watch[name]:
            time.sleep(duration)


def test_at_the_end_it_says_where_the_time_went_the_most_first(said):
    watch = Watch(LOGGER, SimpleNamespace())
    with watch:
        spend(watch, validation=0.02, checkpoints=0.04)
        time.sleep(0.06)
    assert len(said.messages) == 1
    parts = [part.rsplit(" ", 1)[0] for part in said.messages[0].partition(": ")[2].split(", ")]
    assert parts == ["computing", "checkpoints", "validation"]


def test_after_the_first_minute_it_says_so_once(said, monkeypatch):
    monkeypatch.setattr(module, "FIRST_VERDICT", 0.01)
    watch = Watch(LOGGER, SimpleNamespace())
    watch.__enter__()
    watch.step()
    assert said.messages == []
    time.sleep(0.02)
    watch.step()
    watch.step()
    assert len(said.messages) == 1


def test_a_run_that_failed_is_not_judged(said):
    with pytest.raises(KeyError), Watch(LOGGER, SimpleNamespace()):
        raise KeyError
    assert said.messages == []


def test_a_run_that_waits_for_its_data_is_told_what_to_change(said):
    watch = Watch(LOGGER, SimpleNamespace(num_workers=0))
    with watch:
        spend(watch, **{"waiting for data": 0.05})
    assert "waiting for data" in said.messages[0]
    assert said.messages[0].endswith("}}") or "All cores" in said.messages[0]


def test_the_advice_fits_the_loader():
    assert '{"num_workers": 2}' in advice_for(SimpleNamespace(num_workers=0), cores=8)
    assert '{"num_workers": 6}' in advice_for(SimpleNamespace(num_workers=3), cores=8)
    assert '{"num_workers": 8}' in advice_for(SimpleNamespace(num_workers=5), cores=8)
    assert '{"cache": "disk"}' in advice_for(SimpleNamespace(num_workers=8, cache=None), cores=8)
    assert "cheaper" in advice_for(SimpleNamespace(num_workers=8), cores=8)
    assert "in memory already" in advice_for(SimpleNamespace(num_workers=0, tensors=[]), cores=8)
