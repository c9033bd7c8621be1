"""Defaults that changed between engine versions, as their wheels have them."""

from __future__ import annotations

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment, Draft, EngineSettings
from planner.sizing.batch_limits import prefix_caching
from planner.sizing.coefficients import memory_coefficients
from planner.sizing.memory import graphs_max_batch, memory_fraction, overheads_of
from planner.sizing.precision import weights_for
from planner.sizing.static_reserve import static_reserve_bytes
from planner.units import MIB

CATALOG = load_catalog()
DRAFTING = EngineSettings(draft_tokens=3, draft_acceptance=0.7)


def deployment(
    engine: str,
    version: str,
    gpu: str = "h100-sxm-80gb",
    model: str = "meta-llama/Llama-3.1-8B",
    *,
    tp: int = 1,
    dp: int = 1,
    settings: EngineSettings | None = None,
    draft: Draft | None = None,
) -> Deployment:
    spec = CATALOG.model(model)
    return Deployment(
        spec,
        CATALOG.gpu(gpu),
        CATALOG.engine(engine, version),
        tp,
        weights_for(spec, "native", CATALOG.weight_format),
        CATALOG.kv_format("bf16"),
        data_parallel=dp,
        settings=settings or EngineSettings(),
        draft=draft,
    )


def reserve_mib(one: Deployment) -> float:
    c = memory_coefficients(one.engine)
    return static_reserve_bytes(one, c, graphs_max_batch(one, c)) / MIB


@pytest.mark.parametrize(
    ("version", "fraction", "inside"),
    [("0.19.0", 0.9, False), ("0.20.2", 0.92, True), ("0.21.0", 0.92, True)],
)
def test_vllm_takes_more_and_counts_graphs_from_0_20_on(
    version: str, fraction: float, inside: bool
) -> None:
    one = deployment("vllm", version)
    assert (memory_fraction(one), one.engine.graphs_inside_budget) == (fraction, inside)


@pytest.mark.parametrize(
    ("version", "gpu", "model", "largest"),
    [
        ("0.25.0", "b200-sxm-180gb", "meta-llama/Llama-3.1-8B", 512),
        ("0.28.0", "b200-sxm-180gb", "meta-llama/Llama-3.1-8B", 1024),
        ("0.28.0", "h200-sxm-141gb", "meta-llama/Llama-3.1-8B", 512),
        ("0.28.0", "h200-sxm-141gb", "openai/gpt-oss-120b", 1024),
        ("0.33.0", "b300-sxm-288gb", "meta-llama/Llama-3.1-8B", 1024),
    ],
)
def test_the_largest_captured_batch_of_vllm(
    version: str, gpu: str, model: str, largest: int
) -> None:
    one = deployment("vllm", version, gpu, model)
    assert graphs_max_batch(one, memory_coefficients(one.engine)) == largest


@pytest.mark.parametrize(
    ("engine", "version", "on"),
    [
        ("vllm", "0.19.0", False),
        ("vllm", "0.27.1", False),
        ("vllm", "0.28.0", True),
        ("sglang", "0.5.12", True),
    ],
)
def test_prefixes_of_hybrid_models(engine: str, version: str, on: bool) -> None:
    hybrid = deployment(engine, version, model="Qwen/Qwen3.5-27B-FP8")
    assert prefix_caching(hybrid) is on
    assert prefix_caching(deployment(engine, version)) is True


@pytest.mark.parametrize(
    ("version", "gpu", "tp", "mib"),
    [
        ("0.5.1", "l4", 1, 2867.2 + 102.4),
        ("0.5.1", "h100-sxm-80gb", 4, 9728 + 4 * 512),
        ("0.5.1", "h200-sxm-141gb", 1, 12288 + 512),
        ("0.5.1", "b200-sxm-180gb", 8, 32768),
        ("0.5.9", "h100-sxm-80gb", 1, 512 + 1.5 * 8192 + 2 * 256 + 128),
        ("0.5.10", "h100-sxm-80gb", 1, 512 + 1.5 * 8192 + 2 * 256 + 128 + 8 * 58),
        ("0.5.9", "l4", 1, 512 + 1.5 * 2048 + 2 * 24 + 128),
        ("0.5.12", "l4", 1, 512 + 1.5 * 2048 + 2 * 24 + 128 + 8 * 42),
        ("0.5.21", "l4", 1, 512 + 1.5 * 4096 + 2 * 48 + 128 + 8 * 50),
    ],
)
def test_what_sglang_leaves_aside(version: str, gpu: str, tp: int, mib: float) -> None:
    assert reserve_mib(deployment("sglang", version, gpu, tp=tp)) == pytest.approx(mib)


@pytest.mark.parametrize(
    ("version", "states", "own"),
    [("0.5.1", 2048, 2048), ("0.5.9", 2048, 6144), ("0.5.12", 4096, 6144), ("0.5.15", 0, 0)],
)
def test_what_sglang_leaves_aside_for_drafts(version: str, states: float, own: float) -> None:
    small = CATALOG.model("meta-llama/Llama-3.2-1B")
    bf16 = CATALOG.weight_format("bf16")
    plain = reserve_mib(deployment("sglang", version))

    def extra(draft: Draft) -> float:
        with_draft = deployment("sglang", version, settings=DRAFTING, draft=draft)
        return reserve_mib(with_draft) - plain

    assert extra(Draft("mtp")) == states
    assert extra(Draft("draft", small, bf16)) == own
    assert extra(Draft("ngram")) == 0


def test_attention_ranks_and_latent_attention_of_sglang() -> None:
    """DeepSeek-V3 over eight ranks: graphs of 512 sequences count 3 + 1.5 MiB a rank."""
    one = deployment("sglang", "0.5.12", "b200-sxm-180gb", "deepseek-ai/DeepSeek-V3", dp=8)
    ranks = 512 * 8 * 4.5
    assert reserve_mib(one) == 512 + 1.5 * 16384 + 2 * 512 + 8 * 128 + 1536 + ranks
    older = deployment("sglang", "0.5.1", "h200-sxm-141gb", "deepseek-ai/DeepSeek-V3", dp=8)
    assert reserve_mib(older) == 12288 + 8 * 512 + 4096


def test_sglang_captures_no_batch_that_may_not_run_by_0_5_21() -> None:
    few = EngineSettings(max_num_seqs=16)
    bytes_of = [
        overheads_of(one, memory_coefficients(one.engine)).cuda_graphs_bytes
        for one in (deployment("sglang", v, settings=few) for v in ("0.5.15", "0.5.21"))
    ]
    assert bytes_of[1] < bytes_of[0]


def test_tensorrt_llm_captures_every_small_batch_and_two_large_ones() -> None:
    """1 to 32, then 64 and 128, as main has it; none is padded to a larger one."""
    one = deployment("tensorrt-llm", "1.3.0")
    c = memory_coefficients(one.engine)
    sizes = (overheads_of(one, c).cuda_graphs_bytes / 2**30 - c.graphs_base_gib) / 0.02
    assert sizes == pytest.approx(34)
