"""Published sizing tables, reproduced under their own rules (``published.yaml`` names each source)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from planner.catalog.store import Catalog
from planner.sizing import rules_of_thumb
from planner.sizing.cache import kv_cache
from planner.sizing.measured_vs_theory import compare_with_measurement
from planner.sizing.parameters import count_parameters
from planner.sizing.precision import weight_bytes
from planner.sizing.reference_gpus import gpus_that_hold, reference_gpus
from planner.sizing.training.nanochat import nanochat_memory, nanochat_parameters
from planner.units import GB, GIB

PUBLISHED: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "published.yaml").read_text(encoding="utf-8")
)


def rows(table: str) -> list[Any]:
    return [pytest.param(row, id=str(next(iter(row.values())))) for row in PUBLISHED[table]]


def as_printed(value: float, printed: float) -> bool:
    """Whether ``value`` rounds to the printed figure at the printed figure's own precision."""
    decimals = len(str(printed).partition(".")[2].rstrip("0"))
    return abs(value - printed) <= 0.5001 * 10**-decimals


@pytest.mark.parametrize("row", rows("weights"))
@pytest.mark.parametrize("precision", ["bf16", "int8", "int4"])
def test_weight_table(row: dict[str, Any], precision: str) -> None:
    size = rules_of_thumb.BYTES_PER_PARAMETER[precision]
    value = rules_of_thumb.weights_gb(row["params_billions"] * 1e9, size)
    assert as_printed(value, row[precision])


@pytest.mark.parametrize("row", rows("kv_per_token"))
def test_kv_per_token_by_the_rule_and_from_the_model(row: dict[str, Any], catalog: Catalog) -> None:
    rule = rules_of_thumb.kv_bytes_per_token(row["layers"], row["kv_heads"], row["head_dim"])
    assert rule == row["bytes"]
    model = catalog.model(row["model"])
    assert kv_cache.kv_bytes_per_token(model, catalog.kv_format("bf16")) == row["bytes"]


def test_llama_3_8b_at_a_hundred_sequences() -> None:
    assert as_printed(131_072 * 100 * 2048 / GB, 26.8)


def test_the_a100_pool_and_its_tokens() -> None:
    assert rules_of_thumb.vllm_pool_gb(80, 0.9, 16) == pytest.approx(54)
    pool = rules_of_thumb.vllm_pool_gb(80, 0.9, 16, reserve_gb=0)
    assert pool == pytest.approx(56)
    own_rule = rules_of_thumb.tokens_in_pool(pool, 131_072)
    assert round(own_rule, -3) == 427_000
    assert int(own_rule / 2048) == 208
    printed = rules_of_thumb.tokens_in_pool(pool, 128_000)
    assert round(printed, -2) == 437_500  # printed as 437,000
    assert int(437_000 / 2048) == 213


@pytest.mark.parametrize("row", rows("tensor_parallel_70b"))
def test_70b_over_gpus(row: dict[str, Any]) -> None:
    assert rules_of_thumb.weights_gb(70e9, 2) / row["tp"] == row["gb"]


def test_estimate_vram() -> None:
    assert rules_of_thumb.estimate_vram_gib(8) == pytest.approx(24.0, abs=0.05)
    assert rules_of_thumb.estimate_vram_gib(70, layers=80) == pytest.approx(148.6, abs=0.05)


def test_decision_tree_of_the_70b_walk_through() -> None:
    steps = rules_of_thumb.decision_tree(
        model_gb=140,
        gpu_gb=80,
        kv_needed_gb=73.5,
        kv_available_gb=320 - 140 - 5,
        rate_qps=50,
        capacity_qps=5,
    )
    assert [step.holds for step in steps] == [False, True, False]
    assert [step.advice for step in steps] == [
        "use tensor parallelism",
        "this layout works",
        "add replicas (data parallelism)",
    ]


@pytest.mark.parametrize("row", rows("quick_calculator"))
def test_quick_calculator(row: dict[str, Any], catalog: Catalog) -> None:
    estimate = rules_of_thumb.quick_estimate(
        row["params"], 2, row["layers"], row["hidden"], 2048, 1
    )
    assert round(estimate.weights_gb, 2) == row["weights_gb"]
    assert round(estimate.kv_gb, 2) == row["kv_gb"]
    assert round(estimate.total_gb, 2) == row["total_gb"]
    assert list(gpus_that_hold(catalog, estimate.total_gb)) == row["cards"]
    listed = {gpu.label: gpu.memory_gb for gpu in reference_gpus(catalog)}
    assert all(listed[label] >= estimate.total_gb for label in row["text_cards"])


def test_gpu_table(catalog: Catalog) -> None:
    table: dict[str, list[float]] = {}
    for gpu in reference_gpus(catalog):
        table.setdefault(gpu.name, []).append(gpu.memory_gb)
    assert table == PUBLISHED["card_table"]


@pytest.mark.parametrize("precision", PUBLISHED["precision"])
def test_7b_by_precision(precision: str) -> None:
    size = rules_of_thumb.BYTES_PER_PARAMETER[precision]
    assert rules_of_thumb.weights_gb(7e9, size) == PUBLISHED["precision"][precision]


@pytest.mark.parametrize("row", rows("redundancy"))
def test_redundancy_factor(row: dict[str, Any]) -> None:
    params = row["params_billions"] * 1e9
    assert as_printed(rules_of_thumb.weights_gb(params, row["bytes"], row["factor"]), row["gb"])


@pytest.mark.parametrize("row", rows("full_fine_tuning"))
def test_full_fine_tuning_by_six(row: dict[str, Any]) -> None:
    assert rules_of_thumb.full_fine_tuning_gb(row["params_billions"] * 1e9) == row["gb"]


@pytest.mark.parametrize("row", rows("lora"))
def test_lora_by_a_factor_of_serving(row: dict[str, Any]) -> None:
    low, high = rules_of_thumb.lora_gb(row["serving_gb"])
    assert low == pytest.approx(row["gb"], rel=0.05)
    assert high > row["gb"]


@pytest.mark.parametrize("row", rows("nanochat"))
def test_nanochat(row: dict[str, Any]) -> None:
    memory = nanochat_memory(row["depth"])
    sizes = memory.in_gb()
    for part in sizes.keys() & row.keys():
        assert as_printed(sizes[part], row[part]), part
    assert round(nanochat_parameters(row["depth"]) / 1e6, 1) == row["exact_millions"]


@pytest.mark.parametrize("seq", PUBLISHED["nanochat_sequences"])
def test_nanochat_sequence_table_varies_the_kv_cache_alone(seq: int) -> None:
    memory = nanochat_memory(20, max_seq_len=seq)
    assert as_printed(memory.in_gb()["total"], PUBLISHED["nanochat_sequences"][seq])


def test_the_561_million_of_nanochat_d20_belong_to_a_vocabulary_of_65536() -> None:
    assert round(nanochat_parameters(20, vocabulary=65_536) / 1e6) == 561


def test_qwen3_8b_measured_against_theory(catalog: Catalog) -> None:
    published = PUBLISHED["qwen3_8b_measured"]
    result = compare_with_measurement(
        catalog.model("Qwen/Qwen3-8B"),
        catalog.weight_format("bf16"),
        measured_gib=published["measured_gib"],
        stated_gib=published["stated_gib"],
        overhead_gib=published["overhead_gib"],
        driver_mib=published["driver_mib"],
    )
    assert result.over_stated is not None
    assert round(100 * result.over_stated, 2) == published["over_percent"]
    for point in result.points:
        assert as_printed(point.mib_per_token, published["mib_per_token"][point.tokens]) or (
            # the report divides decimal figures: 0.036 GB / 50 = 0.72 MB
            as_printed(
                point.overhead_gib * 1000 / point.tokens, published["mib_per_token"][point.tokens]
            )
        )
    assert result.driver_gib is not None
    assert round(result.driver_gib, 2) == published["driver_gib"]


def test_qwen3_8b_has_more_parameters_than_the_report_counts(catalog: Catalog) -> None:
    model = catalog.model("Qwen/Qwen3-8B")
    assert count_parameters(model).total == 8_190_735_360
    exact = weight_bytes(model, catalog.weight_format("bf16"))
    assert round(exact / GB, 2) == 16.38
    assert round(exact / GIB, 2) == 15.26
    assert round(14.383 * GIB / 2 / 1e9, 2) == 7.72
