"""One table in the terminal: on its side, or cut into several, where its columns do not fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions
from rich.table import Table as RichTable
from rich.text import Text

from planner.reporting.document import Column, Quantity, Table

_LINE = 26  # a number or a row head up to this long keeps its line
_SHORT = 16  # row heads fold to this before columns move to a further table
_PADDING = 3  # around a cell, with the space to the next


@dataclass(frozen=True, slots=True)
class FittedTable:
    """Numbers and row heads keep their line, other text wraps between words.

    Where the page is too narrow even so, the table is turned on its side, each row a column; where that
    is too wide too, the columns continue in a further table under the same row heads. Nothing is
    squeezed to a few letters.
    """

    source: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RichTable]:
        """The table or tables for a page of this width."""
        source = self.source.shown()
        rows = [[c.text() for c in cells] for cells in source.cells()]
        columns = [
            _Column(column, [row[i] for row in rows], head=i == 0)
            for i, column in enumerate(source.columns)
        ]
        parts = list(_parts(columns, options.max_width))
        if len(parts) > 1 and _upright_width(columns) <= options.max_width:
            yield _upright(columns)
            return
        for part in parts:
            yield _drawn(part, options.max_width)


class _Column:
    """One column's text, with the width it wants and the least at which no word is broken."""

    def __init__(self, column: Column, cells: Sequence[str], *, head: bool) -> None:
        self.title, self.cells = column.title, cells
        self.right = column.quantity is not Quantity.TEXT
        longest = max(map(len, cells), default=0)
        words = (len(word) for cell in cells for word in cell.split())
        keeps_line = longest <= _LINE and (head or self.right)
        least = longest if keeps_line else min(_LINE, max(words, default=0))
        self.wants = max(longest, len(column.title))
        self.needs = max(least, *map(len, column.title.split()), 1)


def _parts(columns: Sequence[_Column], page: int) -> Iterator[list[_Column]]:
    """Columns side by side: as many as fit, each part after the first with the row heads again."""
    if columns:
        folded = min(_SHORT, columns[0].needs)
        if folded + sum(c.needs for c in columns[1:]) <= _room(page, len(columns)):
            columns[0].needs = folded
    part = list(columns[:1])
    for column in columns[1:]:
        if len(part) > 1 and sum(c.needs for c in (*part, column)) > _room(page, len(part) + 1):
            yield part
            part = list(columns[:1])
        part.append(column)
    yield part


def _room(page: int, columns: int) -> int:
    """What padding leaves for text."""
    return page - _PADDING * columns + 1


def _widths(part: Sequence[_Column], page: int) -> list[int]:
    """What each needs, and what is left over shared by those that want more, evenly."""
    widths = [c.needs for c in part]
    left = _room(page, len(part)) - sum(widths)
    while left > 0 and (hungry := [i for i, c in enumerate(part) if widths[i] < c.wants]):
        for i in hungry[:left]:
            widths[i] += 1
        left -= len(hungry[:left])
    return widths


def _drawn(part: Sequence[_Column], page: int) -> RichTable:
    drawn = RichTable(box=SIMPLE_HEAD, show_edge=False)
    fits = sum(c.needs for c in part) <= _room(page, len(part))
    for column, width in zip(part, _widths(part, page), strict=True):
        drawn.add_column(
            Text(column.title, justify="left"),
            justify="right" if column.right else "left",
            overflow="fold",
            width=width if fits else None,
        )
    for cells in zip(*(column.cells for column in part), strict=True):
        drawn.add_row(*map(Text, cells))
    return drawn


def _upright_width(columns: Sequence[_Column]) -> int:
    """How wide the table is on its side."""
    titles = max(len(column.title) for column in columns)
    rows = zip(*(column.cells for column in columns), strict=True)
    return _PADDING * (len(columns[0].cells) + 1) + titles + sum(max(map(len, row)) for row in rows)


def _upright(columns: Sequence[_Column]) -> RichTable:
    """One line a column, headed by its title; the first column's cells head the others."""
    head, *others = columns
    drawn = RichTable(box=SIMPLE_HEAD, show_edge=False)
    drawn.add_column(Text(head.title), overflow="fold")
    for cell in head.cells:
        drawn.add_column(Text(cell, justify="left"), justify="right", overflow="fold")
    for column in others:
        drawn.add_row(Text(column.title), *map(Text, column.cells))
    return drawn
