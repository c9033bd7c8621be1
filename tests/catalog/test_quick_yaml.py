"""Documents built from events are what the safe loader builds; what it cannot build is left to the loader."""

import pytest
import yaml

from planner.catalog.quick_yaml import NotPlain, plain_document
from planner.package_data import shipped_folder

FILES = sorted(shipped_folder("catalogs").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_shipped_documents_are_built_alike(path):
    text = path.read_text(encoding="utf-8-sig")
    assert repr(plain_document(text)) == repr(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "- 1\n- 1.5\n- 1e3\n- 0x1F\n- 017\n- 1_000\n- 12:30:45\n",
        "- yes\n- No\n- ~\n- null\n-\n- ''\n- 'null'\n- \"1\"\n",
        "- 2026-05-01\n- 2026-05-01 12:00:00\n- '2026-05-01'\n",
        "a: {b: [1, {c: d}], 2: x, 2026-05-01: y}\n",
        "a: |\n  1\nb: >-\n  yes\n  no\n",
        "---\na: .inf\nb: -.INF\n...\n",
        "text",
        "1",
    ],
)
def test_values_are_read_alike(text):
    assert repr(plain_document(text)) == repr(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1\na: 2\n",
        "1: a\ntrue: b\n",
        "a: &x 1\nb: *x\n",
        "a: !!str 1\n",
        "<<: {a: 1}\nb: 2\n",
        "? [1, 2]\n: a\n",
        "=: 1\n",
        "a: 1\n---\nb: 2\n",
    ],
)
def test_what_is_rare_is_left_to_the_loader(text):
    with pytest.raises(NotPlain):
        plain_document(text)
