"""The formulation in prose names every constraint family in the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from planner.fleet.program import program
from planner.fleet.program.linear_program import Family

DOCS = Path(__file__).parents[2] / "docs" / "concepts" / "optimisation.md"


def families() -> set[str]:
    return set(get_args(Family))


def test_the_page_and_the_docstring_name_every_family() -> None:
    page = DOCS.read_text(encoding="utf-8")
    assert {f for f in families() if f"`{f}`" not in page} == set()
    stated = set(re.findall(r"^    ([a-z_]+) +\S", program.__doc__ or "", re.MULTILINE))
    assert families() - {"order"} <= stated


def test_the_page_names_no_family_that_is_gone() -> None:
    page = DOCS.read_text(encoding="utf-8")
    section = page[page.index("## Constraints") : page.index("## Objective")]
    assert set(re.findall(r"^\| `([a-z_]+)` \|", section, re.MULTILINE)) == families()
