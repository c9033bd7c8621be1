"""Where a result goes, and as what: its format, its file, and the table that CSV carries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Output:
    """A result's destination, as a command's ``--format``, ``-o`` and ``--table`` state it.

    ``format``: table, json, md, html, csv or xlsx, of which a result may have only some. ``file``:
    standard output where None. ``table``: the key of the table that CSV carries; empty for a result's
    first, ``all`` for each in a file of its own.
    """

    format: str
    file: str | None = None
    table: str = ""

    @property
    def on_screen(self) -> bool:
        """Whether it is text to read on standard output."""
        return self.format == "table" and self.file is None
