"""Formats, engines and models: what loads is whole, unique, dated and of the right size."""

from __future__ import annotations

from datetime import date

import pytest

from planner.catalog.engine import Scheduler
from planner.catalog.format_rows import read_formats
from planner.catalog.formats import WeightFormat
from planner.catalog.store import load_catalog
from planner.catalog.tables import read_table

CATALOG = load_catalog()
FORMATS = read_formats(CATALOG.root / "formats.csv")
CLASSES = {
    "embedding", "head", "attention", "mlp", "expert", "shared_expert", "router", "norm", "bias",
    "recurrent", "indexer", "vision", "mtp",
}  # fmt: skip


def bits_per_value(fmt: WeightFormat) -> float:
    """Stored bits of one quantised value with its share of the scales, in a 4096 x 4096 matrix."""
    rows = cols = 4096
    values = rows * cols
    if fmt.block:
        groups = (rows / fmt.block[0]) * (cols / fmt.block[1])
    else:
        groups = {0: 1.0, -1: float(rows)}.get(fmt.group, values / max(fmt.group, 1))
    return fmt.bits + groups * (fmt.scale_bits + fmt.zero_bits) / values


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("bf16", 16),
        ("fp8", 8.008),
        ("fp8_tensor", 8),
        ("fp8_block", 8.002),
        ("int4", 4.156),
        ("int4_experts", 4.5),
        ("nvfp4", 4.5),
        ("mxfp4", 4.25),
    ],
)
def test_bits_of_a_weight_with_its_scales(name: str, bits: float) -> None:
    assert bits_per_value(CATALOG.weight_format(name)) == pytest.approx(bits, abs=0.001)


@pytest.mark.parametrize(
    ("name", "size"), [("bf16", 2), ("fp8", 1), ("int8", 1), ("nvfp4", 0.5625)]
)
def test_bytes_of_a_cached_value(name: str, size: float) -> None:
    assert CATALOG.kv_format(name).bytes_per_value == size


def test_kept_tensor_classes_exist() -> None:
    for fmt in FORMATS.weights.values():
        assert fmt.keeps <= CLASSES, fmt.name


def test_format_names_are_unique() -> None:
    from planner.catalog.format_rows import FormatRow

    rows = list(read_table(CATALOG.root / "formats.csv", FormatRow))
    for kind in ("weights", "kv"):
        names = [name for row in rows if row.kind == kind for name in row.names]
        assert len(names) == len(set(names))


def test_engines() -> None:
    engines = CATALOG.engines()
    assert {engine.name for engine in engines} == {"vllm", "sglang", "tensorrt-llm", "atom"}
    assert {engine.scheduler for engine in engines} == set(Scheduler)
    for engine in engines:
        assert 0.5 <= engine.memory_fraction <= 1
        assert engine.kv_block_tokens in (1, 16, 32, 64)
        assert 256 <= engine.max_num_seqs <= engine.max_num_batched_tokens
        assert date(2024, 1, 1) <= date.fromisoformat(engine.as_of) <= date(2026, 12, 31)
        assert engine.source


def test_every_listed_model_loads() -> None:
    index = CATALOG.model_index()
    assert len(index) >= 80
    for entry in index:
        model = CATALOG.model(entry.name)
        assert model.name == entry.name
        assert CATALOG.model(entry.names[-1].upper()) is model
        assert CATALOG.weight_format(model.native_weights)
        date.fromisoformat(entry.as_of)


def test_support_rules_have_a_date_and_a_place_to_look() -> None:
    for rule in CATALOG.support_rules():
        date.fromisoformat(rule.as_of)
        assert len(rule.source) > 15
