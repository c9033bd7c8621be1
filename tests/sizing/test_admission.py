"""A plan is never more generous than what the engine prints: requests are counted as it counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import EngineSettings
from planner.sizing.boot_log.check import BootCheck, Overrides, check_boot_log
from planner.sizing.boot_log.reader import read_boot_log
from planner.sizing.model_memory import ModelMemory, SizingLayout, model_memory
from planner.units import GIB

CATALOG = load_catalog()
LOGS = Path(__file__).with_name("logs")
MILLION = 1_048_576


def checked(name: str, given: Overrides) -> BootCheck:
    return check_boot_log(CATALOG, read_boot_log(LOGS / f"{name}.log"), given)


def sequences(check: BootCheck) -> tuple[float, float]:
    part = next(part for part in check.parts if part.part.startswith("sequences of"))
    assert part.planned is not None
    assert part.printed is not None
    return part.planned, part.printed


def planned(
    model: str, gpu: str, version: str, *, context: int, kv: str = "bf16", **degrees: int
) -> ModelMemory:
    settings = EngineSettings(
        max_num_batched_tokens=8192,
        max_num_seqs=256 if kv == "fp8" else None,
        memory_fraction=0.95 if kv == "fp8" else None,
    )
    layout = SizingLayout(
        gpu=CATALOG.gpu(gpu), engine_version=version, settings=settings, **degrees
    )
    return model_memory(
        CATALOG, CATALOG.model(model), kv_cache=kv, layout=layout, context_tokens=context
    )


def test_the_chunk_beside_each_window_is_counted_in_the_plan_and_in_the_check() -> None:
    """Gemma 4 31B on an H200: 2.39 requests of 262,144 tokens, 27.06 GiB each."""
    plan = planned("google/gemma-4-31B-it", "h200", "0.24.0", context=262_144)
    check = checked(
        "vllm_0.24_gemma4_31b_h200",
        Overrides(gpu=CATALOG.gpu("h200")),
    )
    ours, printed = sequences(check)
    assert printed == 2.39
    assert ours == pytest.approx(printed, rel=0.005)
    assert plan.layout is not None
    assert plan.layout.reserved_bytes(262_144) / GIB == pytest.approx(27.06, rel=0.002)
    assert plan.max_sequences == 2
    assert plan.sequences_held == pytest.approx(2.39, rel=0.03)


def test_a_cache_with_a_scale_per_token_and_head() -> None:
    """Qwen 27B over four RTX 3090 with MTP and cached prefixes: 6.66 requests of 262,144 tokens."""
    check = checked(
        "vllm_0.22_qwen_27b_int8_token_head",
        Overrides(
            model=CATALOG.model("Qwen/Qwen3.5-27B"), gpu=CATALOG.gpu("rtx-3090"), weights="int4"
        ),
    )
    assert check.deployment.kv_cache.name == "int8_per_token_head"
    ours, printed = sequences(check)
    assert printed == 6.66
    assert ours == pytest.approx(printed, rel=0.01)


def test_compressed_attention_takes_whole_pages_of_one_pool() -> None:
    """DeepSeek-V4-Flash on eight B200: 20.43 requests of 1,048,576 tokens with TP, 156.9 with DP."""
    model = "deepseek-ai/DeepSeek-V4-Flash"
    check = checked("vllm_0.25_deepseek_v4_flash_tp8", Overrides(gpu=CATALOG.gpu("b200")))
    ours, printed = sequences(check)
    assert printed == 20.43
    assert ours == pytest.approx(printed, rel=0.015)
    degrees = {"kv": "fp8", "context": MILLION}
    cut = planned(model, "b200", "0.25.0", tensor_parallel=8, expert_parallel=8, **degrees)
    assert cut.sequences_held == pytest.approx(20.43, rel=0.015)
    assert cut.layout is not None
    assert cut.layout.weights_bytes / GIB == pytest.approx(19.2, rel=0.01)
    apart = planned(model, "b200", "0.25.0", data_parallel=8, expert_parallel=8, **degrees)
    assert apart.sequences_held == pytest.approx(156.9, rel=0.015)


def test_windows_are_counted_without_a_gpu() -> None:
    """Gemma 3 27B at 131,072 tokens: 10.41 GiB, and not the 62 GiB of full attention in every layer."""
    model = CATALOG.model("google/gemma-3-27b-it")
    alone = model_memory(CATALOG, model, context_tokens=131_072)
    placed = model_memory(
        CATALOG, model, context_tokens=131_072, layout=SizingLayout(gpu=CATALOG.gpu("h100"))
    )
    assert alone.kv_needed_bytes / GIB == pytest.approx(10.41, abs=0.01)
    assert placed.kv_needed_bytes == pytest.approx(alone.kv_needed_bytes)
