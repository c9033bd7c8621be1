"""A report's document as JSON for the page: values exact, and as people read them."""

from __future__ import annotations

from planner.reporting.document import (
    Block,
    Cell,
    Code,
    Document,
    Facts,
    Figure,
    Items,
    Paragraph,
    Section,
    Table,
)
from planner.web.problems import Json


def document_json(document: Document) -> Json:
    """Title, headline, sections and footer; of charts only what they say, since the page draws its own."""
    return {
        "title": document.title,
        "headline": document.headline,
        "sections": [_section(s) for s in document.sections if s.blocks],
        "footer": list(document.footer),
    }


def _section(section: Section) -> Json:
    return {
        "key": section.key,
        "title": section.title,
        "blocks": [_block(b) for b in section.blocks],
    }


def _block(block: Block) -> Json:
    match block:
        case Table():
            return _table(block.shown())
        case Facts():
            facts = [{"name": f.name, "note": f.note, **_cell(f.cell)} for f in block.facts]
            return {"kind": "facts", "facts": facts}
        case Paragraph():
            return {"kind": "paragraph", "text": block.text, "warning": block.warning}
        case Items():
            return {"kind": "items", "items": list(block.items), "ordered": block.ordered}
        case Code():
            return {"kind": "items", "items": list(block.lines), "ordered": False}
        case Figure():
            return {"kind": "figure", "title": block.title, "description": block.description}


def _table(table: Table) -> Json:
    return {
        "kind": "table",
        "key": table.key,
        "title": table.title,
        "note": table.note,
        "columns": [
            {"key": c.key, "title": c.title, "quantity": str(c.quantity)} for c in table.columns
        ],
        "rows": [[_cell(c) for c in row] for row in table.cells()],
    }


def _cell(cell: Cell) -> Json:
    return {"value": cell.value, "text": cell.text()}
