"""A document on the terminal: headline, tables and notes, wrapped to the terminal's width."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from planner.reporting.document import Document, Facts, Items, Paragraph, Table, written
from planner.reporting.listing import print_listing


def print_document(document: Document, console: Console | None = None) -> None:
    """Print every section's tables, facts and texts; figures are left to other formats."""
    console = console or Console()
    console.print(Text(document.title, style="bold"))
    if document.headline:
        console.print(Text(document.headline))
    for section in document.sections:
        if section.blocks:
            console.print()
        for block in section.blocks:
            match block:
                case Table():
                    print_listing(block, console)
                case Facts(facts):
                    console.print(Text(section.title, style="bold cyan"))
                    width = max(len(fact.name) for fact in facts)
                    for fact in facts:
                        value = written(fact.cell.value, fact.cell.quantity)
                        note = f"  {fact.note}" if fact.note else ""
                        console.print(Text(f"  {fact.name:<{width}}  {value}{note}"))
                case Paragraph(text, warning):
                    console.print(Text(text, style="yellow" if warning else ""))
                case Items(items):
                    console.print(Text(section.title, style="bold cyan"))
                    listed = RichTable.grid(padding=(0, 1))
                    for item in items:
                        listed.add_row("  -", Text(item))
                    console.print(listed)
                case _:
                    continue
    for line in document.footer:
        console.print(Text(line, style="dim"))
