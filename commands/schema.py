"""`--schema`: a JSON Schema of this project's configs, for an editor that completes and checks them."""

import json
from collections.abc import Callable
from typing import Any

import click


def option(modules: Callable[[], dict[str, Any]]) -> click.Option:
    """The option; it needs no config, so it answers before one is asked for."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted:
            from settings.building import several
            from settings.schema import schema

            where = {section: several(module) for section, module in modules().items()}
            click.echo(json.dumps(schema(where), indent=1, ensure_ascii=False))
            context.exit()

    return click.Option(
        ["--schema"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="print the JSON Schema of configs, for an editor: --schema > config.schema.json",
    )
