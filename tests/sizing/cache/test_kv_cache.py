"""KV cache and state of a sequence: formulas, replication, windows, blocks, and logged sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.sizing.cache.kv_cache import kv_bytes_per_token, kv_layout, state_bytes_per_sequence
from planner.sizing.cache.layout import KvLayout

CATALOG = load_catalog()
GPU = CATALOG.gpu("h100-sxm-80gb")


def deployment(model, tp=1, kv="bf16", engine=("vllm", None), **degrees):
    return Deployment(
        CATALOG.model(model),
        GPU,
        CATALOG.engine(*engine),
        tp,
        CATALOG.weight_format("bf16"),
        CATALOG.kv_format(kv),
        **degrees,
    )


@pytest.mark.parametrize(
    ("model", "kv", "expected"),
    [
        ("meta-llama/Meta-Llama-3-70B-Instruct", "bf16", 327_680),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "bf16", 131_072),
        ("Qwen/Qwen2.5-7B-Instruct", "bf16", 57_344),
        ("meta-llama/Llama-2-7b-hf", "fp16", 524_288),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "fp8", 65_536),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "int8", 65_536),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "nvfp4", 36_864),
        ("deepseek-ai/DeepSeek-V3", "bf16", 70_272),
        ("google/gemma-3-27b-it", "bf16", 507_904),
        ("tiiuae/falcon-7b", "bf16", 8_192),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", "bf16", 24_576),
        ("google/gemma-4-26B-A4B", "bf16", 225_280),
        ("deepseek-ai/DeepSeek-V3.2", "fp8", 61 * (656 + 132)),
        ("deepseek-ai/DeepSeek-V3.2", "bf16", 61 * (1152 + 132)),
        ("zai-org/GLM-5.2", "fp8", 78 * 656 + 21 * 132),
        ("zai-org/GLM-5.3-Flash", "bf16", 11 * (1024 + 132 / 4)),
    ],
)
def test_bytes_per_token_of_the_whole_model(model, kv, expected):
    assert kv_bytes_per_token(CATALOG.model(model), CATALOG.kv_format(kv)) == expected


def test_kv_heads_split_and_then_replicate():
    per_rank = [
        kv_layout(deployment("llama-3-70b", tp)).growing_bytes_per_token for tp in (1, 2, 4, 8, 16)
    ]
    assert per_rank == [327_680, 163_840, 81_920, 40_960, 40_960]


def test_latent_cache_is_the_same_on_every_rank():
    assert kv_layout(deployment("deepseek-v3", 8)).growing_bytes_per_token == 70_272


def test_an_engine_version_pads_latent_rows():
    layout = kv_layout(deployment("deepseek-ai/DeepSeek-R1", 8, engine=("vllm", "0.7.3")))
    assert layout.growing_bytes_per_token == 61 * 640 * 2


def test_windows_stop_growing():
    layout = kv_layout(deployment("openai/gpt-oss-120b"))
    assert layout.windows == ((128, 36_864.0),)
    long, longer = layout.bytes_for(10_000), layout.bytes_for(20_000)
    assert longer - long == pytest.approx(36_864 * 10_000)


def test_layers_that_share_a_cache_store_none():
    layout = kv_layout(deployment("google/gemma-4-E2B-it"))
    assert layout.growing_bytes_per_token == 3 * 2 * 512 * 2
    assert layout.windows == ((512, 12 * 2 * 256 * 2),)


def test_compressed_attention_keeps_a_window_and_one_entry_per_ratio():
    layout = kv_layout(deployment("deepseek-ai/DeepSeek-V4-Flash", engine=("sglang", None)))
    assert layout.windows == ((128, 43 * 512 * 2),)
    indexed, coarse = 21, 20
    expected = indexed * (512 * 2 + 132) / 4 + coarse * 512 * 2 / 128
    assert layout.growing_bytes_per_token == pytest.approx(expected)


def test_compressed_attention_in_fp8_keeps_the_rotary_part():
    own = ("sglang", None)
    layout = kv_layout(deployment("deepseek-ai/DeepSeek-V4-Flash", kv="fp8", engine=own))
    assert layout.windows == ((128, 43 * 584),)


@pytest.mark.parametrize(
    ("model", "tp", "kv", "block"),
    [
        ("Qwen/Qwen3.5-27B", 4, "bf16", 784),
        ("Qwen/Qwen3.5-27B", 1, "bf16", 784),
        ("Qwen/Qwen3-Next-80B-A3B-Instruct", 2, "fp8", 1072),
    ],
)
def test_hybrid_blocks_grow_as_the_logs_say(model, tp, kv, block):
    assert kv_layout(deployment(model, tp, kv)).block_tokens == block


def test_state_is_constant_and_small_layers_hold_it():
    model = CATALOG.model("Qwen/Qwen3.5-27B")
    state = 48 * 128 * 128 * 4 + (2 * 16 * 128 + 48 * 128) * 3 * 2
    assert state_bytes_per_sequence(model) == 48 * state
    older = kv_layout(deployment("Qwen/Qwen3.5-27B", 4, engine=("vllm", "0.9.2")))
    assert older.state_bytes_per_sequence == 48 * state / 4
    assert older.block_tokens == 16


def test_pipeline_stages_share_the_layers():
    stages = [
        kv_layout(deployment("llama-3-70b", pipeline_parallel=3), stage).growing_bytes_per_token
        for stage in range(3)
    ]
    assert stages == [27 * 4096, 27 * 4096, 26 * 4096]
    assert kv_layout(deployment("llama-3-70b", pipeline_parallel=3)).growing_bytes_per_token == max(
        stages
    )


def test_whole_blocks_and_arrays():
    layout = KvLayout(100.0, ((64, 10.0),), 5.0, 16)
    assert layout.bytes_for(1) == 16 * 100 + 16 * 10 + 5
    assert layout.bytes_for(65) == 80 * 100 + 64 * 10 + 5
    many = layout.bytes_for(np.array([1.0, 65.0]))
    assert many.tolist() == [layout.bytes_for(1), layout.bytes_for(65)]


def test_tokens_in_inverts_bytes_for():
    layout = KvLayout(100.0, ((64, 10.0),), 5.0, 16)
    for context in (16, 64, 160, 1600):
        assert layout.tokens_in(layout.bytes_for(context)) == context
    assert layout.tokens_in(1.0) == 0


LAYOUTS = st.builds(
    KvLayout,
    st.floats(0, 1e6),
    st.lists(st.tuples(st.integers(1, 10_000), st.floats(0, 1e5)), max_size=2).map(tuple),
    st.floats(0, 1e8),
    st.sampled_from([1, 16, 784]),
)


@given(layout=LAYOUTS, context=st.floats(1, 1e6), more=st.floats(0, 1e5))
def test_bytes_never_fall_with_context(layout, context, more):
    assert layout.bytes_for(context + more) >= layout.bytes_for(context)


@given(
    tp=st.sampled_from([1, 2, 4, 8]),
    model=st.sampled_from(["llama-3-70b", "deepseek-v3", "gpt-oss-120b", "Qwen/Qwen3.5-27B"]),
)
def test_more_ranks_never_hold_more_per_rank(tp, model):
    one, cut = kv_layout(deployment(model)), kv_layout(deployment(model, tp))
    assert cut.bytes_for(8192) <= one.bytes_for(8192)


LOGGED = [
    # model, TP, KV format, logged bytes per token and GPU (vLLM and SGLang start-up logs)
    ("Qwen/Qwen2.5-3B", 1, "bf16", 36_863),
    ("meta-llama/Meta-Llama-3-8B-Instruct", 1, "bf16", 131_076),
    ("Qwen/Qwen3-30B-A3B", 1, "bf16", 98_297),
    ("Qwen/Qwen3-30B-A3B", 2, "bf16", 49_155),
    ("Qwen/Qwen3-32B", 8, "fp8", 16_358),
    ("meta-llama/Llama-2-13b-hf", 1, "fp16", 819_602),
    ("Qwen/Qwen3-4B", 1, "bf16", 147_468),
    ("Qwen/Qwen2.5-14B", 4, "bf16", 49_151),
    ("microsoft/Phi-3-mini-4k-instruct", 1, "fp16", 393_376),
    ("openai/gpt-oss-120b", 4, "bf16", 18_432),
    ("moonshotai/Kimi-K2-Thinking", 8, "bf16", 70_274),
    ("microsoft/phi-4", 1, "bf16", 204_792),
    ("meta-llama/Llama-3.2-3B", 1, "bf16", 114_494),
    ("Qwen/Qwen3-235B-A22B-FP8", 4, "bf16", 48_105),
]


@pytest.mark.parametrize(("model", "tp", "kv", "logged"), LOGGED)
def test_logged_bytes_per_token_within_half_a_percent(model, tp, kv, logged):
    layout = kv_layout(deployment(model, tp, kv))
    every_token = layout.growing_bytes_per_token + sum(b for _, b in layout.windows)
    assert every_token == pytest.approx(logged, rel=0.005)
