"""What is not training: a file each, with its option and its `run(config, modules, build)`."""

from collections.abc import Callable
from typing import Any

import click

from commands import check, explain, find_batch_size, find_lr, schema, summary, verify_resume

COMMANDS = {
    "check": check,
    "explain": explain,
    "find_batch_size": find_batch_size,
    "find_lr": find_lr,
    "summary": summary,
    "verify_resume": verify_resume,
}


def options(modules: Callable[[], dict[str, Any]]) -> list[click.Parameter]:
    """The options that ask for a command.

    :param modules: gives for each section of a config where its names are looked up
    """
    return [command.OPTION for command in COMMANDS.values()] + [schema.option(modules)]


def asked_for(config: Any) -> Callable[..., None] | None:
    """The `run` of the command that the command line asks for; None: train."""
    chosen = [command for name, command in COMMANDS.items() if config.args.get(name) not in (None, False)]
    return chosen[0].run if chosen else None
