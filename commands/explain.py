"""`--explain [KEY.PATH]`: where each effective value comes from, and whether anything reads it."""

import logging
from collections.abc import Callable
from typing import Any

import click

from utils.errors import ConfigError

OPTION = click.Option(
    ["--explain"],
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[KEY.PATH]",
    help="where each value (or those below KEY.PATH) comes from, and whether anything reads it",
)


def run(config: Any, modules: Callable[[], dict[str, Any]], build: Callable[[Any], Any]) -> None:
    """Builds what the config names, to see what is read, and prints a line a value."""
    from settings.building import several
    from settings.document import dotted
    from settings.explaining import record, rows, shown
    from settings.names import suggestion

    logging.disable(logging.INFO)
    record(config.document)
    trainer = build(config)
    where = {section: several(module) for section, module in modules().items()}
    found = rows(config.document, where, type(trainer).Options, set(config.config) - set(config.unread()))
    wanted = config.args["explain"]
    chosen = [row for row in found if f"{dotted(row.path)}.".startswith(f"{wanted}." if wanted else "")]
    if not chosen:
        length = wanted.count(".") + 1
        known = {dotted(row.path[:length]) for row in found}
        raise ConfigError(f"--explain {wanted}: no such value; {suggestion(wanted, known)}")
    names, values = [dotted(row.path) for row in chosen], [shown(row.value) for row in chosen]
    for row, name, value in zip(chosen, names, values):
        unread = "" if row.read else "  (nothing has read it)"
        click.echo(f"{name:<{max(map(len, names))}}  {value:<{max(map(len, values))}}  {row.source}{unread}")
