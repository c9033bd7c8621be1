"""Files of the command line: those piped in, and those written, refused before the work if need be."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import click

from planner.reporting.files import check_target
from planner.standard_input import NAME, is_stdin, stdin_bytes


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


class PipedFile(click.Path):
    """A file to read; ``-`` is what is piped in, kept in a file until the command ends.

    Readers tell formats apart by a name's end and by content: the kept file ends as its content says.
    """

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path as it is, or that of the kept file."""
        if not is_stdin(os.fspath(value)) or ctx is None or ctx.resilient_parsing:
            return super().convert(value, param, ctx)
        return kept_stdin(ctx)


def kept_stdin(ctx: click.Context, suffix: str | None = None) -> str:
    """The path of a file that holds what is piped in until the command ends; it ends as its content says."""
    folder = ctx.with_resource(tempfile.TemporaryDirectory(prefix="planner-"))
    data = stdin_bytes()
    kept = Path(folder, f"{NAME}{suffix or _suffix(data)}")
    kept.write_bytes(data)
    return str(kept)


def _suffix(data: bytes) -> str:
    """``.json`` or ``.jsonl`` for objects, ``.parquet`` by its mark, else ``.csv``, plain text for most."""
    if data.startswith(b"PAR1"):
        return ".parquet"
    start = data.lstrip(b"\xef\xbb\xbf \n\r\t")
    if not start.startswith((b"{", b"[")):
        return ".csv"
    first, _, rest = start.partition(b"\n")
    return ".jsonl" if first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{") else ".json"


PIPED_FILE = PipedFile()
