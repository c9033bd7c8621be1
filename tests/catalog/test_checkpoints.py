"""Public checkpoints in other formats: each holds the weights that a plan counts."""

from __future__ import annotations

import re

import pytest

from planner.catalog.checkpoints import (
    CheckpointRow,
    made_at_load,
    near_checkpoints,
    public_checkpoint,
    quantised_checkpoints,
)
from planner.catalog.store import load_catalog
from planner.sizing.precision import weight_bytes, weights_for

CATALOG = load_catalog()
ROWS = quantised_checkpoints(CATALOG.root)
LISTED = {name.lower() for entry in CATALOG.model_index() for name in entry.names}
SHAPED = [r for r in ROWS if r.checkpoint.lower() in LISTED]


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r.base} {r.format}")
def test_a_checkpoint_is_of_a_model_and_a_format_that_the_catalog_knows(row: CheckpointRow) -> None:
    model = CATALOG.model(row.base)
    assert model.requested_as(row.base) == row.base  # a repository, not a short name
    assert weights_for(model, row.format, CATALOG.weight_format).name == row.format
    assert model.native_weights != row.format
    assert row.checkpoint in row.source


@pytest.mark.parametrize("row", SHAPED, ids=lambda r: f"{r.base} {r.format}")
def test_a_checkpoint_takes_the_bytes_that_its_format_is_counted_with(row: CheckpointRow) -> None:
    base, held = CATALOG.model(row.base), CATALOG.model(row.checkpoint)
    counted = weight_bytes(base, weights_for(base, row.format, CATALOG.weight_format))
    own = weight_bytes(held, weights_for(held, "native", CATALOG.weight_format))
    assert counted == pytest.approx(own, rel=0.02)


def test_no_checkpoint_is_listed_twice() -> None:
    keys = [(r.base.lower(), r.format) for r in ROWS]
    assert len(set(keys)) == len(keys)
    assert len(SHAPED) >= 15


def test_a_format_without_a_public_checkpoint_has_none() -> None:
    assert public_checkpoint(CATALOG.root, "openai/gpt-oss-120b", "int4") is None
    assert public_checkpoint(CATALOG.root, "qwen/qwen3-32b", "int4") == "Qwen/Qwen3-32B-AWQ"


@pytest.mark.parametrize(
    ("engine", "weights", "made"),
    [
        ("vllm", "fp8", True),
        ("sglang", "fp8", True),
        ("tensorrt-llm", "fp8", False),
        ("vllm", "int4", False),
        ("vllm", "nf4", True),
    ],
)
def test_what_an_engine_makes_of_a_16_bit_checkpoint_as_it_starts(
    engine: str, weights: str, made: bool
) -> None:
    assert made_at_load(CATALOG.root, CATALOG.engine(engine), weights) is made


def test_every_fp8_checkpoint_of_the_catalog_is_known_beside_its_base() -> None:
    names = {name.lower(): name for entry in CATALOG.model_index() for name in entry.names}
    pairs = [
        (names[base], name)
        for name in names.values()
        if (base := re.sub(r"-fp8$", "", name.lower())) in names and base != name.lower()
    ]
    unknown = [
        (base, name)
        for base, name in pairs
        if "/" in name
        and public_checkpoint(CATALOG.root, base, CATALOG.model(name).native_weights) is None
    ]
    assert (len(pairs) > 20, unknown) == (True, [])


def test_the_fp8_checkpoint_that_an_engine_without_quantisation_at_load_takes() -> None:
    for base in ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"):
        assert public_checkpoint(CATALOG.root, base, "fp8") == "nvidia/Llama-3.1-8B-Instruct-FP8"
    assert public_checkpoint(CATALOG.root, "Qwen/Qwen3-8B", "fp8") is None
    assert near_checkpoints(CATALOG.root, "Qwen/Qwen3-8B", "fp8") == (
        ("fp8_block", "Qwen/Qwen3-8B-FP8"),
    )
