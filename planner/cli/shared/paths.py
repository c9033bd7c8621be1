"""Files that commands write: refused before the work where they could not be written after it."""

from __future__ import annotations

import os
from typing import Any

import click

from planner.reporting.files import check_target


class OutputFile(click.Path):
    """A file to write; OutputError at once where its folder is missing or read-only."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path as it is."""
        path = super().convert(value, param, ctx)
        if ctx is None or not ctx.resilient_parsing:
            check_target(os.fspath(value))
        return path


OUTPUT_FILE = OutputFile()
