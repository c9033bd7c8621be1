"""The context an engine is started with, where nobody pinned one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.sizing.context import POOL_SHARE, default_context
from planner.sizing.memory import memory_layout
from planner.sizing.precision import weights_for

CATALOG = load_catalog()


def deployment(engine: str = "vllm", version: str | None = None, gpu: str = "h100") -> Deployment:
    model = CATALOG.model("meta-llama/Llama-3.1-8B-Instruct")
    return Deployment(
        model=model,
        gpu=CATALOG.gpu(gpu),
        engine=CATALOG.engine(engine, version),
        tensor_parallel=1,
        weights=weights_for(model, "bf16", CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
    )


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_it_is_the_models_own_where_that_costs_nothing(engine: str) -> None:
    requested = deployment(engine)
    assert default_context(requested, memory_layout(requested), 1500) == 131_072


def test_one_request_leaves_half_of_a_small_pool() -> None:
    requested = deployment(gpu="l4")
    memory = memory_layout(requested)
    context = default_context(requested, memory, 1500)
    assert 1500 < context < 131_072
    assert context % requested.engine.kv_block_tokens == 0
    assert float(memory.kv.bytes_for(context)) <= POOL_SHARE * memory.kv_pool_bytes


@pytest.mark.parametrize(("engine", "version"), [("vllm", "0.6.6"), ("tensorrt-llm", "1.2.0")])
def test_engines_that_run_prompts_whole_keep_to_the_requests(engine: str, version: str) -> None:
    requested = deployment(engine, version)
    block = requested.engine.kv_block_tokens
    assert default_context(requested, memory_layout(requested), 1500) == -(-1500 // block) * block


def test_never_beyond_the_model_nor_below_the_requests() -> None:
    requested = deployment()
    memory = memory_layout(requested)
    assert default_context(requested, memory, 200_000) == 131_072
    empty = replace(memory, kv_pool_bytes=0.0)
    assert default_context(requested, empty, 1500) == 1504
