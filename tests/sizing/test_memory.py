"""The memory of one GPU is a partition, and each engine's budget decides the KV pool."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from cli_files import LLAMA_8B
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.model import ModelSpec
from planner.catalog.model_config import parse_config
from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.errors import CatalogError
from planner.sizing.coefficients import memory_coefficients
from planner.sizing.memory import memory_fraction, memory_layout
from planner.sizing.precision import weights_for
from planner.units import GIB

CATALOG = load_catalog()
ENGINES = tuple((engine.name, engine.version) for engine in CATALOG.engines())


@cache
def llama(layers: int = 32) -> ModelSpec:
    config = {**LLAMA_8B, "num_hidden_layers": layers}
    return parse_config(config, name=f"llama-{layers}", where="test")


def deployment(**changes: Any) -> Deployment:
    base = Deployment(
        model=llama(),
        gpu=CATALOG.gpu("h100-sxm-80gb"),
        engine=CATALOG.engine("vllm"),
        tensor_parallel=1,
        weights=CATALOG.weight_format("bf16"),
        kv_cache=CATALOG.kv_format("bf16"),
    )
    return replace(base, **changes)


MODELS = (
    *(llama(layers) for layers in (1, 7, 32, 80)),
    *map(
        CATALOG.model,
        ("deepseek-ai/DeepSeek-V3", "google/gemma-2-9b", "Qwen/Qwen3-Next-80B-A3B-Instruct",
         "openai/gpt-oss-120b", "Qwen/Qwen2.5-VL-7B-Instruct"),
    ),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    model=st.sampled_from(MODELS),
    gpu=st.sampled_from(CATALOG.gpus()),
    engine=st.sampled_from(ENGINES),
    tensor_parallel=st.sampled_from([1, 2, 3, 4, 8, 16]),
    pipeline_parallel=st.sampled_from([1, 2, 5, 100]),
    data_parallel=st.sampled_from([1, 2, 8]),
    weights=st.sampled_from(["bf16", "fp8", "int4", "nvfp4"]),
    fraction=st.none() | st.floats(0.05, 0.99),
    sequences=st.none() | st.integers(1, 4096),
    longest=st.none() | st.integers(1, 1_000_000),
)
def test_the_parts_sum_to_the_visible_memory(
    model: ModelSpec,
    gpu: Any,
    engine: tuple[str, str],
    tensor_parallel: int,
    pipeline_parallel: int,
    data_parallel: int,
    weights: str,
    fraction: float | None,
    sequences: int | None,
    longest: int | None,
) -> None:
    layout = memory_layout(
        deployment(
            model=model,
            gpu=gpu,
            engine=CATALOG.engine(*engine),
            tensor_parallel=tensor_parallel,
            pipeline_parallel=pipeline_parallel,
            data_parallel=data_parallel,
            weights=CATALOG.weight_format(weights),
            settings=EngineSettings(
                memory_fraction=fraction, max_num_seqs=sequences, max_model_len_tokens=longest
            ),
        )
    )
    parts = layout.parts_bytes()
    assert sum(parts.values()) == pytest.approx(gpu.visible_bytes, rel=1e-9)
    assert layout.total_bytes == gpu.visible_bytes
    assert all(v >= 0 for k, v in parts.items() if k != "outside_budget")
    assert layout.fits is (not layout.reasons)
    assert not layout.fits or (layout.kv_pool_bytes > 0 and layout.kv_pool_tokens >= 0)


def test_vllm_pool_is_the_budget_less_everything_inside_it() -> None:
    layout = memory_layout(deployment())
    inside = layout.weights_bytes + layout.activations_bytes + layout.context_bytes
    budget = 0.9 * layout.total_bytes
    assert layout.kv_pool_bytes == pytest.approx(budget - inside - layout.adapters_bytes)
    assert layout.outside_budget_bytes == pytest.approx(
        0.1 * layout.total_bytes - layout.cuda_graphs_bytes
    )
    assert layout.kv_pool_tokens == layout.kv_pool_bytes // (131072 * 16) * 16


def test_newer_vllm_counts_graphs_inside_its_budget() -> None:
    layout = memory_layout(deployment(engine=CATALOG.engine("vllm", "0.21.0")))
    assert layout.outside_budget_bytes == pytest.approx(0.08 * layout.total_bytes)


def test_sglang_pool_is_its_fraction_of_what_was_free_less_the_weights() -> None:
    chosen = EngineSettings(memory_fraction=0.88)
    layout = memory_layout(deployment(engine=CATALOG.engine("sglang"), settings=chosen))
    free = layout.total_bytes - layout.context_bytes
    loaded = layout.weights_bytes + layout.adapters_bytes
    assert layout.kv_pool_bytes == pytest.approx(0.88 * free - loaded)


def test_sglang_reserves_ten_gigabytes_on_large_gpu() -> None:
    sglang = CATALOG.engine("sglang", "0.5.9")
    reserve_mib = 512 + 1.5 * 8192 + 2 * 256 + 128
    h100 = memory_fraction(deployment(engine=sglang))
    assert h100 == round(1 - reserve_mib / 81559, 3)
    rtx_4090 = deployment(engine=sglang, gpu=CATALOG.gpu("rtx-4090"))
    assert memory_fraction(rtx_4090) == 0.847  # 512 + 1.5 x 2048 + 2 x 24 + 128 MiB of 24,564
    wide = memory_fraction(deployment(engine=sglang, tensor_parallel=4))
    assert wide == round(1 - (512 + 1.5 * 8192 + 2 * 512 + 4 * 128) / 81559, 3)
    small = EngineSettings(max_num_batched_tokens=2048)
    assert memory_fraction(deployment(engine=sglang, settings=small)) == round(1 - 10240 / 81559, 3)


def test_tensorrt_llm_pool_is_a_fraction_of_what_loading_leaves() -> None:
    layout = memory_layout(deployment(engine=CATALOG.engine("tensorrt-llm")))
    assert layout.kv_pool_bytes == pytest.approx(9 * layout.outside_budget_bytes)


def test_weights_that_do_not_fit_leave_no_pool_and_say_by_how_much() -> None:
    layout = memory_layout(deployment(gpu=CATALOG.gpu("rtx-3060")))
    assert not layout.fits
    assert layout.kv_pool_bytes == 0
    assert layout.outside_budget_bytes < 0
    assert "GiB are missing" in layout.reasons[0]


def test_an_illegal_tensor_parallel_degree_is_a_reason() -> None:
    layout = memory_layout(deployment(tensor_parallel=3))
    assert not layout.fits
    assert any("do not divide by tensor parallel 3" in reason for reason in layout.reasons)


def test_a_model_length_beyond_the_pool_is_refused_as_the_engine_refuses_it() -> None:
    requested = EngineSettings(max_model_len_tokens=29_000, memory_fraction=0.9)
    engine = CATALOG.engine("vllm", "0.6.6")
    device = CATALOG.gpu("rtx-3090")
    layout = memory_layout(deployment(gpu=device, engine=engine, settings=requested))
    assert not layout.fits
    assert "one request of 29,000 tokens needs 3.54 GiB" in layout.reasons[0]
    assert layout.kv_pool_bytes > 0


def test_the_sampler_warm_up_sets_the_activation_peak_of_a_large_gpu() -> None:
    older = deployment(engine=CATALOG.engine("vllm", "0.10.2"))
    assert memory_layout(older).activations_bytes == pytest.approx(38.9 * 1024 * 128256)
    few = replace(older, settings=EngineSettings(max_num_seqs=8))
    forward = 2 * 8192 * (3 * 4096 + 3 * 14336)
    assert memory_layout(few).activations_bytes == forward


def test_an_unchunked_profile_grows_with_the_model_length() -> None:
    engine = CATALOG.engine("vllm", "0.6.6")
    layouts = [
        memory_layout(
            deployment(
                engine=engine,
                settings=EngineSettings(max_model_len_tokens=length, max_num_seqs=1),
            )
        ).activations_bytes
        for length in (4_000, 16_000, 32_000, 64_000)
    ]
    assert layouts[0] < layouts[1] < layouts[2]
    assert layouts[3] < layouts[0]  # longer prompts are chunked again


def test_pipeline_parallelism_takes_the_stage_that_holds_fewest_tokens() -> None:
    one = memory_layout(deployment())
    two = memory_layout(deployment(pipeline_parallel=2))
    assert two.weights_bytes < one.weights_bytes
    assert two.kv_pool_tokens > 2 * one.kv_pool_tokens


def test_attention_data_parallelism_adds_pools() -> None:
    one = memory_layout(deployment())
    four = memory_layout(deployment(data_parallel=4))
    assert four.kv_ranks == 4
    assert four.kv_pool_tokens == pytest.approx(4 * one.kv_pool_tokens, rel=0.05)
    assert four.max_sequences(1024) == pytest.approx(4 * one.max_sequences(1024), rel=0.05)


def test_longest_sequence_and_sequences_agree() -> None:
    layout = memory_layout(deployment())
    longest = layout.longest_sequence_tokens()
    assert layout.max_sequences(longest) == 1
    assert layout.max_sequences(longest + 16) == 0


def test_lora_adapters_take_rank_times_both_sides_of_every_linear_layer() -> None:
    none = memory_layout(deployment()).adapters_bytes
    chosen = EngineSettings(lora_adapters=4, lora_rank=16)
    held = memory_layout(deployment(settings=chosen)).adapters_bytes - none
    heads, kv, mlp = 4096, 1024, 14336
    sides = (4096 + heads) + 2 * (4096 + kv) + (heads + 4096) + 3 * (4096 + mlp)
    assert held == 4 * 2 * 16 * 32 * sides
    split = memory_layout(deployment(settings=chosen, tensor_parallel=4)).adapters_bytes - none
    assert split == held * (1 + 1 / 4) / 2


def test_adapters_that_leave_no_kv_cache_are_named() -> None:
    layout = memory_layout(deployment(settings=EngineSettings(lora_adapters=2000, lora_rank=64)))
    (said,) = layout.reasons
    assert re.match(
        r"weights of [0-9.]+ GiB a GPU and 625.0 GiB of LoRA adapters leave no KV", said
    )


def test_a_missing_or_unknown_coefficient_is_named() -> None:
    engine = CATALOG.engine("vllm")
    broken = {**dict(engine.memory), "nonsense": 1.0}
    del broken["context_gib"]
    with pytest.raises(CatalogError, match="coefficients") as caught:
        memory_coefficients(replace(engine, memory=tuple(broken.items())))
    assert caught.value.found == "context_gib, nonsense"


def test_logged_start_ups_are_met() -> None:
    """Llama-3-8B on one H200: vLLM 0.11.2 printed 105.97 GiB of KV cache, 868,080 tokens."""
    engine = CATALOG.engine("vllm", "0.11.2")
    settings_ = EngineSettings(max_model_len_tokens=1024, max_num_batched_tokens=2048)
    layout = memory_layout(
        deployment(gpu=CATALOG.gpu("h200-sxm-141gb"), engine=engine, settings=settings_)
    )
    assert layout.kv_pool_bytes / GIB == pytest.approx(105.97, rel=0.01)
    assert layout.kv_pool_tokens == pytest.approx(868_080, rel=0.01)


def test_deepseek_r1_on_eight_h200_with_sglang() -> None:
    """SGLang at mem_fraction_static 0.82 held about 509,000 tokens (ai-dynamo/aisimulate, PR 263)."""
    model = CATALOG.model("deepseek-ai/DeepSeek-R1")
    layout = memory_layout(
        deployment(
            model=model,
            gpu=CATALOG.gpu("h200-sxm-141gb"),
            engine=CATALOG.engine("sglang"),
            tensor_parallel=8,
            weights=weights_for(model, "native", CATALOG.weight_format),
            settings=EngineSettings(memory_fraction=0.82),
        )
    )
    assert layout.kv_pool_tokens == pytest.approx(509_000, rel=0.02)
