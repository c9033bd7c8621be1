"""What the ``planner memory`` commands share: positive numbers, the catalog, and their output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli.shared.output_options import output_options

if TYPE_CHECKING:
    from planner.catalog.store import Catalog
    from planner.reporting.document import Document

POSITIVE = click.IntRange(min=1)
memory_options = output_options("table", "json", "md")


def read_catalog(folder: str | None) -> Catalog:
    """Return the catalog of ``--catalogs``, or the shipped one."""
    from planner.catalog.store import load_catalog

    return load_catalog(Path(folder) if folder else None)


def deliver(document: Document, mapping: dict[str, object], style: str, output: str | None) -> None:
    """Print the document on the terminal, or write it as JSON, Markdown or plain text."""
    if style == "table" and output is None:
        from planner.reporting.formats import rich_document

        rich_document.show(document)
        return
    text = _text(document, mapping, style)
    if output is None:
        click.echo(text, nl=False)
    else:
        from planner.reporting.files import write_file

        write_file(output, text)


def _text(document: Document, mapping: dict[str, object], style: str) -> str:
    if style == "json":
        from planner.reporting.listing import as_json

        return as_json(mapping)
    if style == "md":
        from planner.reporting.formats import markdown

        return markdown.render(document)
    from planner.reporting.formats import rich_document

    return rich_document.text(document)
