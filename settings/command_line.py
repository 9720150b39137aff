"""The options of train.py and test.py, for click commands and for the argparse parsers of older scripts."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from settings.read_json import parse_value
from utils.errors import ConfigError


class CustomArgs(NamedTuple):
    """An option of a project's own that sets one value of the config.

    CustomArgs(["--lr", "--learning_rate"], type=float, target="optimizer;args;lr")
    """

    flags: Sequence[str]
    type: Any
    target: str | tuple[str, ...]


STANDARD: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-c", "--config"), {"help": "the config file (.json, .yaml)"}),
    (
        ("-r", "--resume"),
        {"help": "go on with a run: its folder, a checkpoint, or auto; with -c: a new run from its weights"},
    ),
    (("-d", "--device"), {"help": "cpu, mps, cuda, cuda:1, or GPU indices such as 0,1 (default: the best there is)"}),
    (("-s", "--set"), {"help": "KEY.PATH=VALUE: set a value of the config; may be given again"}),
    (
        ("--allow",),
        {"help": "with -r: go on with other data or a changed model, or test on samples that were trained on"},
    ),
    (("--run-id",), {"help": "the name of the run's folder (default: the time)"}),
)
SWITCHES = ("--allow",)


def parse(parser: Any, options: Sequence[Any] = ()) -> dict[str, Any]:
    """The values of all options, by name; None for those not given.

    :param parser: a click command, an argparse parser, or arguments that are already parsed
    """
    if isinstance(parser, click.Command):
        values = _parse_click(parser, options)
    elif isinstance(parser, argparse.ArgumentParser):
        values = _parse_argparse(parser, options)
    else:
        values = dict(vars(parser)) if hasattr(parser, "__dict__") else parser._asdict()
    run_id = values.get("run_id")
    if run_id is not None and (len(Path(run_id).parts) != 1 or run_id in ("..", "/")):
        raise ConfigError(f"--run-id {run_id!r}: write one name, without folders")
    return values


def modification(values: dict[str, Any], options: Sequence[Any]) -> dict[tuple[str, ...], tuple[Any, str]]:
    """What the project's own options set: the value and the flag, by the key path of their target."""
    changes = {}
    for option in options:
        value = values.get(option_name(option.flags))
        if value is not None:
            target = option.target.split(";") if isinstance(option.target, str) else option.target
            changes[tuple(target)] = value, f"{option.flags[0]} {value}"
    return changes


def option_name(flags: Sequence[str]) -> str:
    """The name under which an option's value is found: its first long flag's."""
    return long_flag(flags).lstrip("-").replace("-", "_")


def long_flag(flags: Sequence[str]) -> str:
    """The flag that an option is known by: its first long one."""
    return next((flag for flag in flags if flag.startswith("--")), flags[0])


def _parse_click(command: click.Command, options: Sequence[Any]) -> dict[str, Any]:
    taken = {flag for parameter in command.params for flag in parameter.opts}
    for option in options:
        free = [flag for flag in option.flags if flag not in taken]
        if long_flag(option.flags) in free:
            shown = option.target.replace(";", ".") if isinstance(option.target, str) else ".".join(option.target)
            kind = _boolean if option.type is bool else option.type
            command.params.append(click.Option([*free, option_name(option.flags)], type=kind, help=f"sets {shown}"))
            taken.update(option.flags)
    for flags, keywords in STANDARD:
        free = [flag for flag in flags if flag not in taken]
        if flags[-1] in free:
            command.params.append(
                click.Option(free, multiple=flags[-1] == "--set", is_flag=flags[-1] in SWITCHES or None, **keywords)
            )
    command.callback = lambda **values: values
    try:
        values = command.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(1)
    if not isinstance(values, dict):
        sys.exit(values)  # --help has printed what it had to
    return values


def _parse_argparse(parser: argparse.ArgumentParser, options: Sequence[Any]) -> dict[str, Any]:
    taken = set(parser._option_string_actions)
    for option in options:
        free = [flag for flag in option.flags if flag not in taken]
        if long_flag(option.flags) in free:  # a parser may be used twice
            kind = _boolean if option.type is bool else option.type
            parser.add_argument(*free, default=None, type=kind)
            taken.update(option.flags)
    for flags, keywords in STANDARD:
        free = [flag for flag in flags if flag not in taken]
        if flags[-1] in free:
            action = "append" if flags[-1] == "--set" else "store_true" if flags[-1] in SWITCHES else "store"
            parser.add_argument(*free, default=None, action=action, **keywords)
    return dict(vars(parser.parse_args()))


def _boolean(text: str) -> bool:
    try:
        value = parse_value(text.lower())
    except ConfigError:
        value = None
    if not isinstance(value, bool):
        raise ValueError(f"{text!r} is not true or false")
    return value
