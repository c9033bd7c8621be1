"""The architecture page with its table of layers, written from docs/concepts/layers.yaml.

``python -m benchmarks.architecture_page`` prints the page; everything outside the table is kept.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml

CONCEPTS = Path(__file__).parents[1] / "docs" / "concepts"
TABLE = re.compile(r"(?<=<!-- layers -->\n).*?(?=<!-- end of layers -->)", re.DOTALL)


def table() -> str:
    """One row for each layer, top to bottom."""
    layers = yaml.safe_load((CONCEPTS / "layers.yaml").read_text(encoding="utf-8"))
    rows = ["| layer | answers | holds |", "|---|---|---|"]
    for layer in layers:
        names = " ".join(f"`{m}`" for m in layer["modules"])
        rows.append(f"| {names} | {layer['answers']} | {layer['holds']} |")
    return "\n".join(rows) + "\n"


def page() -> str:
    """The page as it is, with the table replaced."""
    text = (CONCEPTS / "architecture.md").read_text(encoding="utf-8")
    return TABLE.sub(lambda _: table(), text)


if __name__ == "__main__":
    print(page(), end="")
