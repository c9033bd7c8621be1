"""A document in the terminal: tables wrap to its width, colour only where it is wanted."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from planner.reporting.document import (
    Block,
    Code,
    Document,
    Facts,
    Figure,
    Items,
    Paragraph,
    Table,
)
from planner.reporting.formats.rich_table import FittedTable

PIPED = 80  # columns of a stdout that is no terminal
WIDE = 160  # columns of a page that no terminal bounds


def show(document: Document) -> None:
    """Print on stdout."""
    console().print(renderable(document))


def text(document: Document) -> str:
    """The same as plain text, for a file."""
    buffer = io.StringIO()
    Console(file=buffer, width=WIDE, no_color=True).print(renderable(document))
    return buffer.getvalue()


def console(piped: int = PIPED) -> Console:
    """Standard output: as wide as its terminal; ``piped`` where it is none and COLUMNS says nothing."""
    bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console() if bounded else Console(width=piped)


def renderable(document: Document) -> RenderableType:
    """The document for ``rich`` to lay out."""
    style = "bold red" if document.failed else "bold"
    parts: list[RenderableType] = [Text(document.headline or document.title, style=style)]
    for section in document.sections:
        if section.blocks:
            parts.append(Text(f"\n{section.title}", style="bold cyan"))
            for block in section.blocks:
                parts += _block(block, section.title)
    parts += [Text(line, style="dim") for line in document.footer]
    return Group(*parts)


def _block(block: Block, heading: str) -> Iterator[RenderableType]:
    match block:
        case Table():
            if block.title != heading:
                yield Text(block.title, style="bold")
            yield FittedTable(block)
            if block.note:
                yield Text(block.note, style="dim")
        case Facts(facts):
            for fact in facts:
                value = fact.cell.text()
                yield Text(f"  {fact.name}: {value}" + (f" ({fact.note})" if fact.note else ""))
        case Paragraph(words, warning):
            yield Text(words, style="yellow" if warning else "")
        case Items(items, ordered):
            yield _listed(items, ordered)
        case Code(lines):
            yield Text("\n".join(lines), no_wrap=True, overflow="ignore")
        case Figure():
            return


def _listed(items: tuple[str, ...], ordered: bool) -> RichTable:
    """One item a row, its further lines under its first word."""
    grid = RichTable.grid(padding=(0, 1))
    grid.add_column(justify="right", no_wrap=True, min_width=3)
    grid.add_column(overflow="fold")
    for i, item in enumerate(items, 1):
        grid.add_row(f"{i}." if ordered else "-", Text(item))
    return grid
