"""The command line, through click and through argparse, with a project's own options."""

import argparse
import sys
from collections import namedtuple
from typing import Any

import click
import pytest

from settings.command_line import CustomArgs, modification, parse

OldArgs = namedtuple("OldArgs", "flags type target")  # as in scripts made from victoresque/pytorch-template
OPTIONS = [
    OldArgs(["--lr", "--learning_rate"], type=float, target="optimizer;args;lr"),
    CustomArgs(["--bs"], type=int, target=("data_loader", "args", "batch_size")),
    CustomArgs(["--shuffle"], type=bool, target="data_loader;args;shuffle"),
]


def old_parser() -> argparse.ArgumentParser:
    """The parser of the old template's train.py."""
    parser = argparse.ArgumentParser(description="PyTorch Template")
    parser.add_argument("-c", "--config", default=None, type=str, help="config file path (default: None)")
    parser.add_argument("-r", "--resume", default=None, type=str, help="path to latest checkpoint (default: None)")
    parser.add_argument("-d", "--device", default=None, type=str, help="indices of GPUs to enable (default: all)")
    return parser


PARSERS = [lambda: click.Command("train"), argparse.ArgumentParser, old_parser]
every_parser = pytest.mark.parametrize("make_parser", PARSERS, ids=["click", "argparse", "old"])


@pytest.fixture
def values_of(monkeypatch):
    def of(parser: Any, options: Any, *arguments: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        return parse(parser, options)

    return of


@every_parser
def test_the_standard_options_are_there_in_short_and_long(make_parser, values_of):
    short = values_of(make_parser(), (), "-c", "a.json", "-r", "run", "-d", "0,1", "-s", "a=1", "-s", "b=2")
    assert (short["config"], short["resume"], short["device"]) == ("a.json", "run", "0,1")
    assert list(short["set"]) == ["a=1", "b=2"]
    long = values_of(make_parser(), (), "--config", "a.json", "--set", "a=1", "--run-id", "mine")
    assert (long["config"], list(long["set"]), long["run_id"], long["resume"]) == ("a.json", ["a=1"], "mine", None)


@every_parser
def test_an_own_option_sets_the_value_of_its_target(make_parser, values_of):
    values = values_of(make_parser(), OPTIONS, "--learning_rate", "0.5", "--bs", "8", "--shuffle", "false")
    assert modification(values, OPTIONS) == {
        ("optimizer", "args", "lr"): (0.5, "--lr 0.5"),
        ("data_loader", "args", "batch_size"): (8, "--bs 8"),
        ("data_loader", "args", "shuffle"): (False, "--shuffle False"),
    }


@every_parser
def test_own_options_that_are_not_given_set_nothing(make_parser, values_of):
    assert modification(values_of(make_parser(), OPTIONS), OPTIONS) == {}


@every_parser
@pytest.mark.parametrize(("text", "value"), [("true", True), ("True", True), ("FALSE", False)])
def test_a_bool_is_true_or_false_in_any_case(make_parser, values_of, text, value):
    assert values_of(make_parser(), OPTIONS, "--shuffle", text)["shuffle"] is value


@every_parser
@pytest.mark.parametrize("arguments", [("--shuffle", "yes"), ("--lr", "x"), ("--nonsense",)])
def test_a_value_of_the_wrong_kind_ends_with_exit_code_2(make_parser, values_of, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        values_of(make_parser(), OPTIONS, *arguments)
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


@every_parser
def test_an_own_option_wins_a_short_name_and_the_long_one_stays(make_parser, values_of):
    own = [CustomArgs(["-s", "--size"], type=int, target="arch;args;size")]
    values = values_of(make_parser(), own, "-s", "4", "--set", "a=1")
    assert (values["size"], list(values["set"])) == (4, ["a=1"])


@every_parser
def test_of_two_own_options_with_one_short_name_the_first_gets_it_and_both_are_there(make_parser, values_of):
    own = [CustomArgs(["-w", "--width"], int, "arch;args;width"), CustomArgs(["-w", "--weight"], int, "loss;args;w")]
    values = values_of(make_parser(), own, "-w", "3", "--weight", "4")
    assert (values["width"], values["weight"]) == (3, 4)


@every_parser
def test_a_parser_may_be_used_twice(make_parser, values_of):
    parser = make_parser()
    for rate in ("0.1", "0.2"):
        assert values_of(parser, OPTIONS, "-c", "a.json", "--lr", rate, "-s", "a=1")["lr"] == float(rate)


def test_options_that_a_script_adds_itself_come_back_too(values_of):
    parser = old_parser()
    parser.add_argument("--note", default="none")
    assert values_of(parser, (), "--note", "hello")["note"] == "hello"
    command = click.Command("train", params=[click.Option(["--note"], default="none")])
    assert values_of(command, ())["note"] == "none"


def test_arguments_that_are_already_parsed_are_taken_as_they_are():
    assert parse(argparse.Namespace(config="a.json")) == {"config": "a.json"}
    assert parse(namedtuple("Args", "config")("a.json")) == {"config": "a.json"}


@pytest.mark.parametrize("make_parser", PARSERS[:2], ids=["click", "argparse"])
def test_help_names_all_options_and_ends_with_exit_code_0(make_parser, values_of, capsys):
    with pytest.raises(SystemExit) as caught:
        values_of(make_parser(), OPTIONS, "--help")
    shown = capsys.readouterr().out
    assert not caught.value.code
    for flag in ("--lr", "--bs", "-c", "-r", "-d", "-s", "--run-id"):
        assert flag in shown
