"""Plain documents read from events: what the full loader reads, and nothing it would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from planner.plain_yaml import Unusual, plain_document

CATALOGS = Path(__file__).parents[2] / "catalogs"
SCALARS = """
- [1e9, 1.5, -3, 0x1F, 1_000, 010, 1:30, .inf, 7]
- [~, null, yes, Off, true, word, "quoted 1", '2']
- {dates: [2020-01-01, 2020-01-01T10:00:00Z], none: , nested: {a: [{b: []}]}}
- |
  several
  lines
"""


def test_every_catalog_file_is_read_as_the_full_loader_reads_it() -> None:
    files = sorted(CATALOGS.rglob("*.yaml"))
    assert len(files) > 10
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert repr(plain_document(text)) == repr(yaml.safe_load(text)), file


def test_scalars_are_what_the_full_loader_makes_of_them() -> None:
    assert repr(plain_document(SCALARS)) == repr(yaml.safe_load(SCALARS))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\na: 2",
        "1: x\ntrue: y",
        "- *x",
        "a: &x 1",
        "a: !!str 1",
        "a: !!python/object:os.system {}",
        "<<: {a: 1}",
        "? [a]\n: b",
        "a: 1\n---\nb: 2",
        "a: b: c",
        "[" * 60 + "]" * 60,
        "- 2020-13-45",
        "- =",
    ],
)
def test_anything_else_is_left_to_the_full_loader(text: str) -> None:
    with pytest.raises(Unusual):
        plain_document(text)
