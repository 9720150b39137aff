"""A config that is mutated at random is run, or refused in lines with places: no traceback, no hang, no folder.

FUZZ_EXAMPLES=50000 python -m pytest tests/test_fuzz.py     a long run
"""

import copy
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import commands
import train
from parse_config import ConfigParser
from settings.inheritance import read_extended
from tests.test_configs import SHIPPED, write_cifar10, write_images, write_mnist
from utils.errors import ConfigError

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "150"))
SECONDS = 60  # in which a config must be answered
PLACE = re.compile(r"(config\.json:\d+:\d+: |-s |--)")
HUGE = (10**12, -(10**12), 2**63, -(2**63) - 1, 10**300, 1e308, -1e308, 5e-324)
TEXTS = ("", " ", "auto", "x" * 5000, "größe", "\U0001f600", "a/b", "..", "\x00", "${", "${name}", "${trainer}", "null")
TEXTS += ("${data.num_classes}", "${run.total_steps}", "${env:HOME}", "$${", "torch.nn.ReLU", "os.system", "min loss")
NAMES = (
    "typ",
    "args",
    "type",
    "lrr",
    "batch_size",
    "epohcs",
    "",
    "größe",
    "_",
    "a.b",
    "extends",
    "0",
    "name",
    "warmup",
)
SPECS = ({"type": "torch.nn.ReLU"}, {"type": "os.system", "args": {"command": "x"}}, {"type": "torch.nn.Linear"})
SIGNS = [*'{}[]",:0e-.\n/#', "NaN", "\ud800", "\ufeff"]

scalars = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 2, 3, 0.5, -0.0, 1.5, 1e-3, [], {}, [[]], [1, 2], [0.9, 0.999]]),
    st.sampled_from(HUGE),
    st.sampled_from(TEXTS),
    st.sampled_from(SPECS),
    st.text(max_size=8),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.sampled_from(NAMES), scalars, max_size=3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty project folder but for small data; the process stands in it, as a user would."""
    folder, before = tmp_path_factory.mktemp("fuzz"), Path.cwd()
    (folder / "data").mkdir()
    for name in ("MNIST", "FashionMNIST"):
        write_mnist(folder / "data", name)
    write_cifar10(folder / "data")
    write_images(folder / "data")
    texts = (SHIPPED[0].parent / "data" / "docstrings.csv").read_text().splitlines()
    (folder / "data" / "docstrings.csv").write_text("\n".join(texts[:1] + texts[1::40]))
    os.chdir(folder)
    proxies = {f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https")} | {"no_proxy": ""}
    environment = {name: os.environ.get(name) for name in proxies}
    os.environ.update(proxies)  # nothing is downloaded
    root, hook = logging.getLogger(), sys.excepthook
    handlers = root.handlers[:]
    yield folder
    root.handlers, sys.excepthook = handlers, hook
    os.chdir(before)
    for name, value in environment.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """The text of a shipped config with one to four things wrong, or nothing that matters."""
    path = draw(st.sampled_from([SHIPPED[0]] * 5 + SHIPPED[1:]))
    config = small(path)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3, 4]))):
        mutate(draw, config)
    text = json.dumps(config, indent=draw(st.sampled_from([None, 1, 4])), ensure_ascii=draw(st.booleans()))
    if draw(st.integers(0, 9)) == 0:
        for _ in range(draw(st.integers(1, 3))):
            at = draw(st.integers(0, len(text)))
            text = draw(
                st.sampled_from(
                    [
                        text[:at] + text[at + 1 :],
                        text[:at] + draw(st.sampled_from(SIGNS)) + text[at:],
                        text[:at],
                        text[:at] + text[max(0, at - 40) : at] + text[at:],  # something doubled
                        text[:at] + "[" * 5000 + text[at:],
                    ]
                )
            )
    return text


def small(path: Path) -> dict[str, Any]:
    """A shipped config for the few samples that are there."""
    config = read_extended(path).tree
    config["trainer"]["epochs"] = 3
    if "valid_data_loader" not in config:
        config["data_loader"]["args"]["validation_split"] = 8
    config["data_loader"]["args"]["batch_size"] = 16
    config["arch"].pop("weights", None)  # which would be downloaded
    if config["data_loader"]["args"].get("size", 0) > 64:
        config["data_loader"]["args"]["size"] = 32
    if "warmup" in config.get("lr_scheduler", {}):
        config["lr_scheduler"]["warmup"] = 1
    if "widths" in config["arch"]["args"]:
        config["arch"]["args"]["widths"] = [2, 4]
    if "num_workers" in config["data_loader"]["args"]:
        config["data_loader"]["args"] |= {"num_workers": 0, "prefetch_factor": None}
    return config


def mutate(draw: st.DrawFn, config: dict[str, Any]) -> None:
    """One thing dropped, doubled, renamed, retyped, made huge, or nested deep."""
    places = list(containers(config))
    node = draw(st.sampled_from(places))
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    kind = draw(st.sampled_from(["drop", "rename", "retype", "retype", "retype", "add", "deep", "copy"]))
    if not keys or kind == "add":
        if isinstance(node, dict):
            node[draw(st.one_of(st.sampled_from(NAMES), st.text(max_size=6)))] = copy.deepcopy(draw(values))
        else:
            node.append(copy.deepcopy(draw(values)))
        return
    key = draw(st.sampled_from(keys))
    if kind == "drop":
        del node[key]
    elif kind == "rename" and isinstance(node, dict):
        name = str(key)
        at = draw(st.integers(0, len(name)))
        slips = [name[:at] + name[at + 1 :], name[:at] + "x" + name[at:], name.upper(), name + "_"]
        node[draw(st.sampled_from([*slips, *NAMES]))] = node.pop(key)
    elif kind == "deep":
        value = node[key]
        for _ in range(draw(st.sampled_from([1, 5, 99, 120, 150]))):
            value = [value] if draw(st.booleans()) else {"args": value}
        node[key] = value
    elif kind == "copy":
        other = draw(st.sampled_from(places))
        node[key] = copy.deepcopy(other)
    else:
        node[key] = copy.deepcopy(draw(values))


def containers(node: Any) -> Iterator[Any]:
    if isinstance(node, (dict, list)):
        yield node
        for value in list(node.values()) if isinstance(node, dict) else node:
            yield from containers(value)


def answered(text: str, folder: Path, *options: str) -> list[str]:
    """What `train.py -c config.json --check` says: the lines of its refusal, or none if the config runs."""
    (folder / "config.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    argv, sys.argv = sys.argv, ["train.py", "-c", "config.json", "--check", *options]
    signal.alarm(SECONDS)
    try:
        command = click.Command("train", params=commands.options(train.modules))
        config = ConfigParser.from_args(command, train.OPTIONS)
        run = commands.asked_for(config)
        assert run is not None
        run(config, train.modules, train.build)
    except ConfigError as error:
        return error.faults
    finally:
        signal.alarm(0)
        sys.argv = argv
        logging.disable(logging.NOTSET)
    return []


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    derandomize=EXAMPLES < 1000,
)
@given(text=mutated())
def test_a_mutated_config_runs_or_is_refused_with_a_place(text: str, folder: Path) -> None:
    before = sorted(path for path in folder.rglob("*") if "data" not in path.parts)
    lines = answered(text, folder)
    assert all("\n" not in line for line in lines)
    assert not lines or any(PLACE.match(line) for line in lines), lines
    left = sorted(path for path in folder.rglob("*") if "data" not in path.parts)
    assert left in (before, [*before, folder / "config.json"]), left
    assert threading.active_count() < 50


def test_the_shipped_configs_themselves_run(folder: Path) -> None:
    for path in SHIPPED:
        assert answered(json.dumps(small(path)), folder) == [], path
