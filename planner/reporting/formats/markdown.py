"""A document as GitHub-flavoured Markdown, for pull requests and wikis."""

from __future__ import annotations

import re

from planner.reporting.document import (
    Code,
    Document,
    Facts,
    Figure,
    Items,
    Paragraph,
    Quantity,
    Section,
    Table,
)

# Underscores inside words and single tildes mean nothing to Markdown.
_SPECIAL = re.compile(r"([\\`*\[\]|#]|~(?=~)|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^>)")


def render(document: Document) -> str:
    """The document as Markdown text; figures are replaced by their descriptions."""
    parts = [f"# {escape(document.title)}", f"**{escape(document.headline)}**"]
    for section in document.sections:
        parts += _section(section)
    if document.footer:
        parts += ["---", *(escape(line) for line in document.footer)]
    return "\n\n".join(parts) + "\n"


def table(source: Table) -> str:
    """One table with its title and note."""
    source = source.shown()
    head = " | ".join(escape(c.title) for c in source.columns)
    rule = " | ".join("---" if c.quantity is Quantity.TEXT else "---:" for c in source.columns)
    rows = [" | ".join(escape(c.text()) for c in cells) for cells in source.cells()]
    lines = "\n".join(f"| {row} |" for row in (head, rule, *rows))
    parts = [f"**{escape(source.title)}**", lines, escape(source.note)]
    return "\n\n".join(p for p in parts if p)


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, one line."""
    line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", line)


def _section(section: Section) -> list[str]:
    parts = [f"## {escape(section.title)}"] if section.blocks else []
    for block in section.blocks:
        match block:
            case Table():
                parts.append(table(block))
            case Facts(facts):
                parts.append(
                    "\n".join(
                        f"- {escape(f.name)}: **{escape(f.cell.text())}**"
                        + (f" ({escape(f.note)})" if f.note else "")
                        for f in facts
                    )
                )
            case Paragraph(text, warning):
                parts.append(f"> **Warning:** {escape(text)}" if warning else escape(text))
            case Items(items, ordered):
                parts.append(
                    "\n".join(
                        f"{f'{i}.' if ordered else '-'} {escape(item)}"
                        for i, item in enumerate(items, 1)
                    )
                )
            case Code(lines):
                fence = "`" * 3
                parts.append("\n".join((f"{fence}sh", *lines, fence)))
            case Figure():
                parts.append(f"*{escape(block.title)}: {escape(block.description)}*")
    return parts
