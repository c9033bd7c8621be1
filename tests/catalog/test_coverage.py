"""How much of what engines list is known, and the page that says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from planner.catalog.coverage import class_coverage
from planner.catalog.engine_classes import listing_reasons
from planner.catalog.store import load_catalog

CATALOG = load_catalog()


def test_the_page_has_the_counts_of_the_catalog(repository: Path, tmp_path: Path) -> None:
    """Write it anew with: make docs."""
    page, again = repository / "docs" / "concepts" / "sizing.md", tmp_path / "sizing.md"
    shutil.copyfile(page, again)
    written = [sys.executable, "-m", "benchmarks.sizing_reference", str(again)]
    subprocess.run(written, cwd=repository, check=True)
    assert again.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")


def test_most_classes_that_engines_list_are_known() -> None:
    for row in class_coverage(CATALOG):
        if row.kind in ("text", "multimodal", "pooling", "classification") and row.listed > 10:
            assert row.known / row.listed >= 0.75, row


def test_a_class_is_refused_before_the_first_and_after_the_last_version_that_lists_it() -> None:
    classes = CATALOG.engine_classes()

    def reasons(name: str, version: str) -> tuple[str, ...]:
        return listing_reasons(classes, CATALOG.engine("vllm", version), name)

    assert "0.20.2" in reasons("DeepseekV4ForCausalLM", "0.19.0")[0]
    assert reasons("BaichuanForCausalLM", "0.23.0") == ()
    assert "up to 0.23.0" in reasons("BaichuanForCausalLM", "0.25.1")[0]
    assert reasons("MllamaForConditionalGeneration", "0.11.0") == ()  # Transformers has the class
    assert reasons("LlamaForCausalLM", "0.33.0") == ()


def test_a_newer_class_is_served_by_the_first_version_that_lists_it() -> None:
    vllm = CATALOG.engine("vllm")
    assert CATALOG.engine_serving("vllm", "LlamaForCausalLM") == vllm
    newer = CATALOG.engine_serving("vllm", "DeepseekV4ForCausalLM")
    assert newer.version == "0.20.2"
    assert newer.defaults_of
    assert listing_reasons(CATALOG.engine_classes(), newer, "DeepseekV4ForCausalLM") == ()
