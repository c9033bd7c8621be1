"""Files are bounded, plain and safe to read, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.store import Catalog, load_catalog
from planner.catalog.tables import MAX_YAML_BYTES, TableRow, read_rows, read_yaml
from planner.errors import CatalogError, InputError


class Pair(TableRow):
    key: str
    value: float = 0.0


def test_quotes_line_breaks_and_byte_order_marks(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes('\ufeffkey,value\r\n"a, ""b""\nc", 2 \r\n\r\nd,\r\n'.encode())
    rows = read_rows(path, Pair)
    assert [(line, row.key, row.value) for line, row in rows] == [
        (3, 'a, "b"\nc', 2.0),
        (5, "d", 0.0),
    ]


@pytest.mark.parametrize("content", [b"key\n\x00\n", b"key,value\na\x0b,x\n", b"\x00" * 100])
def test_odd_bytes_are_refused_without_a_crash(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_rows(path, Pair, InputError)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: 1\na: 2\n", "given twice"),
        ("a: [1, 2\n", "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("a: &x [1]\nb: [*x, *x]\n", "aliases are not read"),
        ("? [1, 2]\n: 3\n", "must be plain text"),
        ("a: \x00\n", "NUL"),
        ("#" * (MAX_YAML_BYTES + 1), "too large"),
        ('{"a": 1, "a": 2}', "given twice"),
        ('{"a": [1, 2', "not valid YAML"),
    ],
    ids=["duplicate", "cut", "python", "alias", "unhashable", "nul", "huge", "twice", "half"],
)
def test_yaml_is_plain(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(text)
    with pytest.raises(CatalogError, match=what) as caught:
        read_yaml(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ['{"a": [1, 2.5e3], "b": {"c": "2026-01-02"}}', "{a: [1, 2500.0], b: {c: '2026-01-02'}}"],
)
def test_json_and_flow_mappings_read_alike(tmp_path: Path, text: str) -> None:
    path = tmp_path / "f.json"
    path.write_text(text)
    assert read_yaml(path) == {"a": [1, 2500.0], "b": {"c": "2026-01-02"}}


def test_stars_in_text_are_no_aliases(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text('note: "2 *x"\nother: a *b* c\n')
    assert read_yaml(path) == {"note": "2 *x", "other": "a *b* c"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('default_version: "0.19.0"', 'default_version: "9.9"', "out of order"),
        ("scheduler: no-evict", "scheduler: magic", "scheduler"),
        ("memory_fraction: 0.92", "memory_fraction: 92", "at most 1"),
        ("kv_block_tokens: 32", "kv_blocks: 32", "unknown field"),
    ],
)
def test_a_wrong_engine_field_is_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    text = (load_catalog().root / "engines.yaml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "engines.yaml").write_text(text.replace(old, new))
    with pytest.raises(CatalogError, match=what):
        Catalog(tmp_path).engines()


def test_a_wrong_gpu_cell_is_named(tmp_path: Path) -> None:
    text = (load_catalog().root / "gpus.csv").read_text(encoding="utf-8")
    lines = text.splitlines()
    (tmp_path / "gpus.csv").write_text(
        "\n".join([lines[0], lines[1].replace(",nvidia,", ",acme,")])
    )
    with pytest.raises(CatalogError, match=r"gpus.csv:2:vendor"):
        Catalog(tmp_path).gpus()
