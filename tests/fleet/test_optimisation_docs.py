"""The formulation in prose names every constraint family in the code."""

from __future__ import annotations

import re
from pathlib import Path

import planner.fleet
from planner.fleet.program import program

CODE = Path(planner.fleet.__file__).parent
DOCS = CODE.parents[1] / "docs" / "concepts" / "optimisation.md"
ROW = re.compile(r"""(?:\.row\(|_cap\(\s*columns,)\s*"([a-z_]+)\"""")


def families() -> set[str]:
    found = set()
    for path in CODE.rglob("*.py"):
        found |= set(ROW.findall(path.read_text(encoding="utf-8")))
    return found


def test_every_family_is_found() -> None:
    assert {"choice", "cover", "packing", "survive", "stock", "cap", "removal"} <= families()


def test_the_page_and_the_docstring_name_every_family() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert {f for f in families() if f"`{f}`" not in page} == set()
    stated = set(re.findall(r"^    ([a-z_]+) +\S", program.__doc__ or "", re.MULTILINE))
    assert families() - {"order"} <= stated


def test_the_page_names_no_family_that_is_gone() -> None:
    page = DOCS.read_text(encoding="utf-8")
    section = page[page.index("## Constraints") : page.index("## Objective")]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == families()
