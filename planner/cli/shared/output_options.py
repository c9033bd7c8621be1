"""Options of the commands that print a result and solve nothing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from click.core import ParameterSource

from planner.cli.shared.paths import OUTPUT_FILE
from planner.errors import OutputError
from planner.reporting.output import Output

Command = TypeVar("Command", bound=Callable[..., Any])
DOCUMENT_FORMATS = ("table", "json", "md", "html", "csv")
SUFFIXES = {
    ".json": "json",
    ".md": "md",
    ".markdown": "md",
    ".html": "html",
    ".htm": "html",
    ".csv": "csv",
    ".xlsx": "xlsx",
    ".txt": "table",
}
NOT_WRITTEN = (".pdf", ".docx", ".doc", ".xls", ".ods", ".pptx")  # by any command


output_option = click.option("-o", "--output", type=OUTPUT_FILE, help="Write to a file.")
catalogs_option = click.option(
    "--catalogs",
    type=click.Path(exists=True, file_okay=False),
    help="Use this folder instead of the shipped catalogs.",
)


def stacked(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, listed by --help in that order."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


class FormatOption(click.Option):
    """``--format``; where it is not given, the suffix of ``-o FILE`` says the format."""

    def __init__(self, *names: Any, **settings: Any) -> None:
        text = settings.get("help") or "Output format."
        settings["help"] = f"{text} Taken from the suffix of -o where it is not given."
        super().__init__(*names, **settings)

    def consume_value(
        self, ctx: click.Context, opts: Mapping[str, Any]
    ) -> tuple[Any, ParameterSource]:
        """The format given, else that of the suffix; OutputError where this command has no such."""
        value, source = super().consume_value(ctx, opts)
        if source is not ParameterSource.DEFAULT or not isinstance(opts.get("output"), str):
            return value, source
        suffix = Path(opts["output"]).suffix.lower()
        style = SUFFIXES.get(suffix)
        if style is None and suffix not in NOT_WRITTEN:
            return value, source
        allowed = self.type.choices if isinstance(self.type, click.Choice) else ()
        if style not in allowed:
            raise OutputError(
                "this command does not write that format",
                where=f"-o {opts['output']}",
                found=suffix,
                allowed=", ".join(s for s, f in SUFFIXES.items() if f in allowed),
                action="name another file, or the format with --format",
            )
        return style, source


def format_option(
    *styles: str, default: str = "table", text: str | None = None
) -> Callable[[Command], Command]:
    """``--format`` with those styles."""
    return click.option(
        "--format",
        "style",
        cls=FormatOption,
        type=click.Choice(styles),
        default=default,
        show_default=True,
        help=text,
    )


def table_option(default: str = "", tables: str = "") -> Callable[[Command], Command]:
    """``--table``: which of a result's tables CSV carries, or each in a file of its own.

    ``default``: the first of the result's where none is named.
    """
    named = f": {tables}" if tables else ""
    return click.option(
        "--table",
        default=default,
        show_default=True if default else "the first",
        help=f"Which table CSV carries{named}; all with -o NAME.csv writes each as NAME.TABLE.csv.",
    )


def result_options(
    *formats: str, table: str | None = None, tables: str = ""
) -> Callable[[Command], Command]:
    """How a result is written, given to the command as ``output``; the first format is the default.

    ``table``: what CSV carries by default, empty for the result's first; no --table where None.
    ``tables``: the names of some, for the help.
    """
    carried = () if table is None else (table_option(table, tables),)
    options = stacked(format_option(*formats, default=formats[0]), *carried, output_option)

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_output(
            *args: object, style: str, output: str | None, table: str = "", **rest: object
        ) -> object:
            return command(*args, output=Output(style, output, table), **rest)

        return options(cast(Command, with_output))

    return decorate


def document_options(table: str = "") -> Callable[[Command], Command]:
    """``result_options`` of a document; ``table``: what CSV carries by default."""
    return result_options(*DOCUMENT_FORMATS, table=table)


listing_options = stacked(result_options("table", "json", "csv", "md"), catalogs_option)
