"""What a report is made of, before any format: sections of tables, facts, lists and figures.

Every renderer (terminal, Markdown, HTML, CSV) walks the same document, so they cannot disagree.
Values stay exact here; ``written`` rounds them for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar

from planner.reporting import rounding
from planner.units import printable

Value = float | int | str | None
Thing = TypeVar("Thing")


class Quantity(StrEnum):
    """What a value is, hence how it is written and aligned."""

    TEXT = "text"
    USD = "usd"
    USD_PER_HOUR = "usd_per_hour"
    SECONDS = "seconds"
    QPS = "qps"
    SHARE = "share"
    CHANGE = "change"
    BYTES = "bytes"
    COUNT = "count"
    NUMBER = "number"
    HUNDREDTHS = "hundredths"
    THOUSANDTHS = "thousandths"


_WRITE: Mapping[Quantity, Callable[[rounding.Number], str]] = {
    Quantity.USD: rounding.usd,
    Quantity.USD_PER_HOUR: rounding.usd_per_hour,
    Quantity.SECONDS: rounding.seconds,
    Quantity.QPS: rounding.qps,
    Quantity.SHARE: rounding.share,
    Quantity.CHANGE: rounding.signed_share,
    Quantity.BYTES: rounding.gib,
    Quantity.COUNT: rounding.count,
    Quantity.NUMBER: rounding.significant,
    Quantity.HUNDREDTHS: rounding.fixed,
    Quantity.THOUSANDTHS: lambda value: rounding.fixed(value, 3),
}


def written(value: Value, quantity: Quantity) -> str:
    """The value as a person reads it; "-" when unknown."""
    if value is None or value == "":
        return rounding.UNKNOWN
    return printable(value) if isinstance(value, str) else _WRITE[quantity](value)


def letter(index: int) -> str:
    """``A`` for 0, ``Z`` for 25, ``AA`` for 26: names of choices, and of spreadsheet columns."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


@dataclass(frozen=True, slots=True)
class Cell:
    """A value whose quantity differs from its column's.

    The low end of a range where ``upto`` is given, or where nothing bounds it above (``open_above``).
    """

    value: Value
    quantity: Quantity
    upto: Value = None
    open_above: bool = False

    def text(self) -> str:
        """The value as a person reads it, or ``39.4 to 54 ms``, or ``more than 39.4 ms``."""
        return f"{'more than ' if self.open_above else ''}{' to '.join(self.ends())}"

    def ends(self) -> tuple[str, ...]:
        """Both ends of a range as written, a common unit after the last alone; else the value."""
        first = written(self.value, self.quantity)
        if self.upto is None:
            return (first,)
        last = written(self.upto, self.quantity)
        unit = last.partition(" ")[2]
        return (first.removesuffix(f" {unit}") if unit else first, last)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: ``key`` heads machine-readable files (with its unit), ``title`` the others.

    ``optional``: people are spared it where all rows say the same. ``low_end``: people see it and the
    column after it as one range, under this one's title.
    """

    key: str
    title: str
    quantity: Quantity = Quantity.TEXT
    optional: bool = False
    low_end: bool = False


def rows_of(
    things: Iterable[Thing], columns: Sequence[Column], **computed: Callable[[Thing], Value | Cell]
) -> tuple[tuple[Value | Cell, ...], ...]:
    """A row a thing: under each column its attribute of that key, or what ``computed`` makes of it."""
    return tuple(
        tuple(computed[c.key](x) if c.key in computed else getattr(x, c.key) for c in columns)
        for x in things
    )


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; a row's entry may be a ``Cell`` to override its column's quantity."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value | Cell, ...], ...]
    note: str = ""

    def cells(self) -> Iterator[tuple[Cell, ...]]:
        """Each row as cells."""
        for row in self.rows:
            yield tuple(
                entry if isinstance(entry, Cell) else Cell(entry, column.quantity)
                for entry, column in zip(row, self.columns, strict=True)
            )

    def records(self) -> list[dict[str, Value]]:
        """The rows as mappings by column key, values exact."""
        keys = [c.key for c in self.columns]
        return [dict(zip(keys, (c.value for c in row), strict=True)) for row in self.cells()]

    def shown(self) -> Table:
        """The table as people see it: no optional column that says nothing, ranges in one column."""
        rows = [list(row) for row in self.rows]
        high_ends = set[int]()
        for i, column in enumerate(self.columns):
            if column.low_end:
                high_ends.add(i + 1)
                for row, cells in zip(rows, self.cells(), strict=True):
                    low, high = cells[i].value, cells[i + 1].value
                    unbounded = high is None and isinstance(low, (int, float))
                    row[i] = replace(cells[i], upto=high, open_above=unbounded)
        kept = [
            i
            for i, column in enumerate(self.columns)
            if i not in high_ends
            and not (column.optional and len({row[i] for row in self.rows}) <= 1)
        ]
        return replace(
            self,
            columns=tuple(self.columns[i] for i in kept),
            rows=tuple(tuple(row[i] for i in kept) for row in rows),
        )


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure that matters, with what it is measured against."""

    name: str
    cell: Cell
    note: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """The few figures to read first."""

    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; ``warning`` sets it apart."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """A list of short texts; ``ordered`` when the sequence matters."""

    items: tuple[str, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy as they are, a command for example."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart: what it shows in words (for those who cannot see it), and how to draw it as SVG."""

    key: str
    title: str
    description: str
    draw: Callable[[], str]


Block = Table | Facts | Paragraph | Items | Code | Figure


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what comes under it; sections without blocks are left out by renderers."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report. ``headline``: the answer in one sentence; ``data``: tables for machines only.

    ``compact``: to be printed on one page; ``failed``: the headline says what cannot be done.
    """

    title: str
    headline: str
    sections: tuple[Section, ...]
    footer: tuple[str, ...] = ()
    data: tuple[Table, ...] = ()
    compact: bool = False
    failed: bool = False

    def without(self, *keys: str) -> Document:
        """The document less the sections and tables of those keys."""
        kept = (
            replace(
                section,
                blocks=tuple(
                    b for b in section.blocks if not (isinstance(b, Table) and b.key in keys)
                ),
            )
            for section in self.sections
            if section.key not in keys
        )
        return replace(self, sections=tuple(s for s in kept if s.blocks))

    def tables(self) -> dict[str, Table]:
        """Every table by key, in order."""
        shown = (b for s in self.sections for b in s.blocks if isinstance(b, Table))
        return {table.key: table for table in (*shown, *self.data)}
