"""Options of the commands that print a result and solve nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def output_options(*styles: str) -> Callable[[Command], Command]:
    """How the result is told (``styles``, the first by default), where to, and from which catalogs."""
    options = (
        click.option(
            "--format",
            "style",
            type=click.Choice(styles),
            default=styles[0],
            show_default=True,
            help="How the result is written.",
        ),
        click.option("-o", "--output", type=click.Path(dir_okay=False), help="Write to a file."),
        click.option(
            "--catalogs",
            type=click.Path(exists=True, file_okay=False),
            help="Use this folder instead of the shipped catalogs.",
        ),
    )

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate
