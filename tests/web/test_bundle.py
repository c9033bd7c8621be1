"""The page that ships is made of the sources beside it."""

import hashlib

import pytest

from planner.web.site import STATIC

PAGE = STATIC.parent / "page"


def test_the_bundle_is_in_step_with_its_sources():
    if not PAGE.is_dir():
        pytest.skip("the sources are not installed")
    own = [p.relative_to(PAGE).as_posix() for p in (PAGE / "src").rglob("*") if p.is_file()]
    digest = hashlib.sha256()
    for name in sorted([*own, "build.mjs", "package-lock.json"]):
        digest.update(f"{name}\n".encode())
        digest.update((PAGE / name).read_bytes())
    made_of = (STATIC / "SOURCES.sha256").read_text(encoding="utf-8").strip()
    assert made_of == digest.hexdigest(), "run: make page"
