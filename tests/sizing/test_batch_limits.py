"""Batch limits by engine version, GPU, layout and speculation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.serving.limits import replica_limits
from planner.sizing.batch_limits import batch_limits, limits_within
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
DRAFTING = EngineSettings(draft_tokens=3, draft_acceptance=0.7)


def deployment(
    engine: str,
    gpu: str,
    version: str | None = None,
    *,
    dp: int = 1,
    settings: EngineSettings | None = None,
) -> Deployment:
    model = CATALOG.model("deepseek-ai/DeepSeek-V3")
    return Deployment(
        model=model,
        gpu=CATALOG.gpu(gpu),
        engine=CATALOG.engine(engine, version),
        tensor_parallel=1,
        data_parallel=dp,
        expert_parallel=dp,
        weights=weights_for(model, "native", CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
        settings=settings or EngineSettings(),
    )


@pytest.mark.parametrize(
    ("engine", "version", "gpu", "sequences", "tokens"),
    [
        ("vllm", "0.19.0", "h100-sxm-80gb", 1024, 8192),
        ("vllm", "0.19.0", "b200-sxm-180gb", 1024, 8192),
        ("vllm", "0.28.0", "b200-sxm-180gb", 1024, 16384),
        ("vllm", "0.28.0", "mi300x", 1024, 16384),
        ("vllm", "0.28.0", "h200-sxm-141gb", 1024, 8192),
        ("vllm", "0.28.0", "a100-sxm-80gb", 256, 2048),
        ("vllm", "0.28.0", "l4", 256, 2048),
        ("vllm", "0.28.0", "gb10", 1024, 8192),
        ("vllm", "0.33.0", "gb10", 256, 2048),
        ("vllm", "0.8.5", "h200-sxm-141gb", 1024, 8192),
        ("vllm", "0.8.5", "b200-sxm-180gb", 256, 2048),
        ("sglang", "0.5.9", "b200-sxm-180gb", 2048, 16384),
        ("sglang", "0.5.9", "h100-sxm-80gb", 2048, 8192),
        ("sglang", "0.5.9", "l4", 2048, 2048),
        ("sglang", "0.5.21", "l4", 2048, 4096),
        ("tensorrt-llm", "1.2.0", "h100-sxm-80gb", 2048, 8192),
    ],
)
def test_defaults_of_version_and_gpu(
    engine: str, version: str, gpu: str, sequences: int, tokens: int
) -> None:
    limits = batch_limits(deployment(engine, gpu, version))
    assert (limits.max_num_seqs, limits.max_num_batched_tokens) == (sequences, tokens)


@pytest.mark.parametrize(
    ("engine", "dp", "settings", "options", "of_a_rank"),
    [
        ("vllm", 8, EngineSettings(), (1024, 8192), (1024, 8192)),
        ("sglang", 8, EngineSettings(), (2048 * 8, 8192), (2048, 1024)),
        ("sglang", 8, EngineSettings(max_num_seqs=512), (512, 8192), (64, 1024)),
        ("sglang", 1, DRAFTING, (48, 8192), (48, 8192)),
        ("sglang", 8, DRAFTING, (48, 8192), (6, 1024)),
        ("vllm", 1, DRAFTING, (1024, 8192), (1024, 8192)),
        ("tensorrt-llm", 8, EngineSettings(), (2048, 8192), (2048, 8192)),
        ("vllm", 1, EngineSettings(max_num_batched_tokens=512), (512, 512), (512, 512)),
        (
            "vllm",
            1,
            EngineSettings(max_num_seqs=4, max_model_len_tokens=1000),
            (4, 4000),
            (4, 4000),
        ),
    ],
)
def test_layout_and_speculation_change_what_a_rank_takes(
    engine: str,
    dp: int,
    settings: EngineSettings,
    options: tuple[int, int],
    of_a_rank: tuple[int, int],
) -> None:
    limits = batch_limits(deployment(engine, "h100-sxm-80gb", dp=dp, settings=settings))
    assert (limits.max_num_seqs, limits.max_num_batched_tokens) == options
    assert (limits.rank_sequences, limits.rank_tokens) == of_a_rank


def hybrid(
    engine: str = "vllm", *, settings: EngineSettings | None = None, dp: int = 1
) -> Deployment:
    """Qwen3.5-27B in FP8, whose 48 gated-delta layers keep a state beside 16 attention layers."""
    model = CATALOG.model("Qwen/Qwen3.5-27B-FP8")
    return Deployment(
        model=model,
        gpu=CATALOG.gpu("h100-sxm-80gb"),
        engine=CATALOG.engine(engine),
        tensor_parallel=1,
        data_parallel=dp,
        weights=weights_for(model, "native", CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
        settings=settings or EngineSettings(),
    )


@pytest.mark.parametrize("settings", [EngineSettings(), EngineSettings(max_num_seqs=1024)])
def test_sequences_stay_within_the_recurrent_state_blocks(settings: EngineSettings) -> None:
    deployment = hybrid(settings=settings)
    memory = memory_layout(deployment)
    page_bytes = memory.kv.block_tokens * memory.kv.growing_bytes_per_token
    blocks = memory.kv_pool_bytes // page_bytes
    assert blocks == pytest.approx(800, rel=0.05)  # what the engine starts with at 0.90
    limits = limits_within(deployment, memory)
    assert limits.max_num_seqs <= blocks
    assert replica_limits(deployment, memory).max_num_seqs == limits.max_num_seqs
    assert limits.max_num_seqs == memory.max_sequences(1)  # no capacity is given away


def test_fewer_sequences_than_the_states_allow_stay_as_set() -> None:
    deployment = hybrid(settings=EngineSettings(max_num_seqs=64))
    assert limits_within(deployment, memory_layout(deployment)).max_num_seqs == 64


@pytest.mark.parametrize(("caching", "slots"), [(True, 3), (False, 1)])
def test_sglang_divides_its_pool_between_states_and_cache(caching: bool, slots: int) -> None:
    deployment = hybrid("sglang", settings=EngineSettings(prefix_caching=caching))
    memory = memory_layout(deployment)
    states = memory.kv_pool_bytes * 0.9 / 1.9 / memory.kv.state_bytes_per_sequence
    limits = replica_limits(deployment, memory)
    assert limits.max_num_seqs == int(states) // slots
    assert limits.kv_pool_bytes == pytest.approx(memory.kv_pool_bytes / 1.9)
    assert limits.state_bytes == 0


def test_a_divided_option_covers_the_states_of_every_rank() -> None:
    one, two = hybrid("sglang"), hybrid("sglang", dp=2)
    alone, both = (limits_within(d, memory_layout(d)) for d in (one, two))
    assert both.max_num_seqs == 2 * both.rank_sequences
    assert both.rank_sequences <= alone.rank_sequences


def test_models_without_recurrent_layers_keep_their_limits() -> None:
    plain = deployment("vllm", "h200-sxm-141gb")
    assert limits_within(plain, memory_layout(plain)) == batch_limits(plain)


@pytest.mark.parametrize(("version", "sequences"), [("0.5.9", 2048), ("0.5.15", 256)])
def test_an_architecture_may_have_a_default_of_its_own(version: str, sequences: int) -> None:
    model = replace(CATALOG.model("deepseek-ai/DeepSeek-V3"), architecture="DeepseekV4ForCausalLM")
    requested = replace(deployment("sglang", "h200-sxm-141gb", version), model=model)
    assert batch_limits(requested).max_num_seqs == sequences
