"""A document in the terminal: tables wrap to its width, colour only where it is wanted."""

from __future__ import annotations

import io
from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from planner.reporting.document import (
    Block,
    Document,
    Facts,
    Figure,
    Items,
    Paragraph,
    Quantity,
    Table,
    written,
)

_FILE_WIDTH = 160
_LINE = 26


def show(document: Document) -> None:
    """Print on stdout."""
    Console().print(renderable(document))


def text(document: Document) -> str:
    """The same as plain text, for a file."""
    buffer = io.StringIO()
    Console(file=buffer, width=_FILE_WIDTH, no_color=True).print(renderable(document))
    return buffer.getvalue()


def renderable(document: Document) -> RenderableType:
    """The document for ``rich`` to lay out."""
    parts: list[RenderableType] = [Text(document.headline, style="bold")]
    for section in document.sections:
        if section.blocks:
            parts.append(Text(f"\n{section.title}", style="bold cyan"))
            for block in section.blocks:
                parts += _block(block)
    return Group(*parts)


def _block(block: Block) -> Iterator[RenderableType]:
    match block:
        case Table():
            yield _table(block)
            if block.note:
                yield Text(block.note, style="dim")
        case Facts(facts):
            for fact in facts:
                value = written(fact.cell.value, fact.cell.quantity)
                yield Text(f"  {fact.name}: {value}" + (f" ({fact.note})" if fact.note else ""))
        case Paragraph(words, warning):
            yield Text(words, style="yellow" if warning else "")
        case Items(items, ordered):
            for i, item in enumerate(items, 1):
                yield Text(f"  {f'{i}.' if ordered else '-'} {item}")
        case Figure():
            return


def _table(source: Table) -> RichTable:
    """Numbers and row heads keep their line; other text and column heads wrap."""
    source = source.shown()
    table = RichTable(box=SIMPLE_HEAD, show_edge=False)
    rows = [[written(c.value, c.quantity) for c in cells] for cells in source.cells()]
    for i, column in enumerate(source.columns):
        right = column.quantity is not Quantity.TEXT
        keeps_line = right != (source.key == "side_by_side")
        longest = max((len(row[i]) for row in rows), default=0)
        table.add_column(
            Text(column.title, justify="left"),
            justify="right" if right else "left",
            overflow="fold",
            min_width=longest if keeps_line and longest <= _LINE else None,
        )
    for row in rows:
        table.add_row(*map(Text, row))
    return table
