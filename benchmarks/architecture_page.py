"""The architecture page with its table and picture of layers, written from docs/concepts/layers.yaml.

``python -m benchmarks.architecture_page`` prints the page; everything outside the table is kept. With
``--picture`` it prints docs/pictures/architecture.svg.
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path
from typing import Any

import yaml

CONCEPTS = Path(__file__).parents[1] / "docs" / "concepts"
TABLE = re.compile(r"(?<=<!-- layers -->\n).*?(?=<!-- end of layers -->)", re.DOTALL)


WIDTH, STEP, WORDS = 720, 34, 300  # of the picture; of a layer; where its words begin [px]
MOST_NAMES = 4


def layers() -> list[dict[str, Any]]:
    """The layers, top to bottom."""
    found: list[dict[str, Any]] = yaml.safe_load(
        (CONCEPTS / "layers.yaml").read_text(encoding="utf-8")
    )
    return found


def picture() -> str:
    """The layers as boxes, one below the other, with what each answers."""
    boxes = []
    for i, layer in enumerate(layers()):
        top = 34 + i * STEP
        named = layer["modules"]
        more = ["…"] if len(named) > MOST_NAMES else []
        names = " · ".join([*named[:MOST_NAMES], *more])
        boxes.append(
            f'<rect x="8" y="{top}" width="{WIDTH - 16}" height="{STEP - 6}" rx="5" fill="#eef3f8" '
            f'stroke="#5b7a99"/><text x="20" y="{top + 19}" font-weight="600">{escape(names)}</text>'
            f'<text x="{WORDS}" y="{top + 19}" fill="#33475b">{escape(layer["answers"])}</text>'
        )
    height = 34 + len(boxes) * STEP + 6
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        'font-family="sans-serif" font-size="12" role="img">'
        "<title>The layers of the package: a module imports from its own layer and from those above"
        f'</title><rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
        '<text x="8" y="22" fill="#33475b">Data flows down: a module imports from its own layer and '
        "from those above it.</text>"
    )
    return "\n".join((head, *boxes, "</svg>")) + "\n"


def table() -> str:
    """One row for each layer, top to bottom."""
    rows = ["| layer | answers | holds |", "|---|---|---|"]
    for layer in layers():
        names = " ".join(f"`{m}`" for m in layer["modules"])
        rows.append(f"| {names} | {layer['answers']} | {layer['holds']} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The page as it is, with the table replaced."""
    text = (CONCEPTS / "architecture.md").read_text(encoding="utf-8")
    return TABLE.sub(lambda _: table(), text)


if __name__ == "__main__":
    print(picture() if "--picture" in sys.argv else page(), end="")
