"""Chunks of prompts that find earlier tokens in the cache: what was measured, pairs, windows, recurrences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment
from planner.performance.factors import load_calibration
from planner.performance.kernels import lookup
from planner.performance.kernels.attended import EARLIER, over_attended, pairs_more, window_more
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.modules import module_key
from planner.performance.kernels.prompts import ATTENDED, NEW, PROMPT_SEQUENCES, PROMPTS
from planner.performance.kernels.summing import components
from planner.performance.kernels.table import kernel_table
from planner.performance.steps import StepBatch
from planner.sizing.precision import weights_for

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)


def built(model: str, gpu: str = "h200-sxm-141gb", tp: int = 8) -> Deployment:
    spec = CATALOG.model(model)
    return Deployment(
        model=spec,
        gpu=CATALOG.gpu(gpu),
        engine=CATALOG.engine("sglang"),
        tensor_parallel=tp,
        weights=weights_for(spec, "native", CATALOG.weight_format),
        kv_cache=CATALOG.kv_format("bf16"),
    )


def chunk(new: float, before: float, prompts: float = 1.0) -> StepBatch:
    """A step of nothing but chunks alike."""
    pairs = prompts * (new * before + new * (new + 1.0) / 2.0)
    return StepBatch(0.0, 0.0, prompts * new, prompts, pairs, prompts)


def attention_s(model: str, batch: StepBatch, tp: int = 8) -> float:
    """What prompts take in attention, attention modules and recurrences."""
    found = components(built(model, tp=tp), CATALOG.root)
    assert found is not None
    return float(found.seconds(batch)[4][0])


@pytest.mark.parametrize(
    ("model", "heads", "new", "before", "measured_ms"),
    [
        ("deepseek-ai/DeepSeek-V3.2", 16, 8192, 131072, 27.642 - 8.055),
        ("deepseek-ai/DeepSeek-V3.2", 16, 8192, 32768, 12.518 - 8.055),
        ("MiniMaxAI/MiniMax-M3", 16, 8192, 131072, 8.342 - 4.740),
        ("MiniMaxAI/MiniMax-M3", 16, 2048, 131072, 4.295 - 0.966),
    ],
)
def test_a_sparse_module_takes_more_for_earlier_tokens_as_measured(
    model: str, heads: int, new: int, before: int, measured_ms: float
) -> None:
    """SGLang on H200, FP8 KV cache: a chunk with earlier tokens less the same one without."""
    table = kernel_table(CATALOG.root, "h200-sxm-141gb", "sglang")
    spec = CATALOG.model(model)
    keys = [module_key(spec.hidden_size, layer.mixer) for layer in spec.layers]
    key = next(k for k in keys if k is not None)
    assert table is not None
    found = lookup.module(table, "later", "fp8", "fp8_block", key, heads)
    assert found is not None
    i, j = list(found[0][0]).index(new), list(EARLIER).index(before)
    assert np.exp(found[1][i, j]) / 1e6 == pytest.approx(measured_ms, rel=0.05)


def test_a_late_chunk_of_a_sparse_model_costs_little_more_than_an_early_one() -> None:
    """DeepSeek-V3.2 by 8: 61 modules took 8.1 ms first and 9.2 ms after 8,192 tokens, not twice as long."""
    first = attention_s("deepseek-ai/DeepSeek-V3.2", chunk(8192, 0))
    second = attention_s("deepseek-ai/DeepSeek-V3.2", chunk(8192, 8192))
    late = attention_s("deepseek-ai/DeepSeek-V3.2", chunk(8192, 131072))
    assert 1.0 < second / first < 1.3
    assert late - first == pytest.approx(61 * (27.642 - 8.055) * 1e-3, rel=0.05)


def test_full_attention_is_as_of_a_prompt_with_as_many_pairs() -> None:
    model = "meta-llama/Llama-3.1-70B-Instruct"
    as_long = float(np.sqrt(2 * (2048 * 6144 + 2048 * 2049 / 2)))
    late, whole = attention_s(model, chunk(2048, 6144)), attention_s(model, chunk(as_long, 0))
    assert late == pytest.approx(whole, rel=1e-3)


def test_a_recurrence_walks_new_tokens_alone() -> None:
    model = "Qwen/Qwen3.5-27B"
    found = components(built(model, tp=2), CATALOG.root)
    assert found is not None
    walked = found.prompt.by_tokens[list(NEW).index(8192), 6]
    first, late = (attention_s(model, chunk(8192, before), tp=2) for before in (0, 24576))
    pairs = found.prompt.by_pairs[0, list(PROMPTS).index(8192)]
    assert first == pytest.approx(walked + pairs, rel=0.01)
    assert late - walked == pytest.approx(7.0 * pairs, rel=0.15)  # pairs: 0.5 + 3, over 0.5


def test_pairs_within_a_window_are_counted_one_by_one() -> None:
    seconds = np.array([max(p * 1e-6, 1e-6) for p in PROMPTS])
    window = 1024
    rate = seconds[-1] / sum(min(i, window) for i in range(int(PROMPTS[-1])))
    found = window_more(seconds, window)
    for i, new in enumerate(NEW.astype(int)):
        for j, before in enumerate(EARLIER.astype(int)):
            more = sum(min(window, before + k) - min(window, k) for k in range(new))
            assert found[i, j] == pytest.approx(rate * more, rel=0.01, abs=1e-9)


@pytest.mark.parametrize("name", ["flat", "steep"])
def test_earlier_pairs_cost_what_they_do_in_a_longer_prompt(name: str) -> None:
    seconds: Floats = 1e-9 * PROMPTS ** (2.0 if name == "steep" else 1.5)
    found = pairs_more(seconds)
    new, before = NEW[7], EARLIER[2]
    power = 2.0 if name == "steep" else 1.5
    wanted = 1e-9 * ((new**2 + 2 * new * before) ** (power / 2) - new**power)
    assert found[7, 2] == pytest.approx(wanted, rel=0.02)


@pytest.mark.parametrize(
    "model",
    [
        "deepseek-ai/DeepSeek-V3",
        "deepseek-ai/DeepSeek-V3.2",
        "openai/gpt-oss-120b",
        "Qwen/Qwen3.5-27B",
    ],
)
def test_more_tokens_before_or_in_a_chunk_never_take_less(model: str) -> None:
    steps = CALIBRATION.kernel_steps(built(model))
    assert steps is not None
    for news, befores in ((NEW, [8192.0] * len(NEW)), ([1024.0] * 6, [0.0, *EARLIER])):
        line = [
            float(steps.step_seconds(chunk(new, before)))
            for new, before in zip(news, befores, strict=True)
        ]
        assert line == sorted(line)


@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-V3.2", "openai/gpt-oss-120b"])
def test_one_chunk_costs_what_it_costs_among_many(model: str) -> None:
    steps = CALIBRATION.kernel_steps(built(model))
    assert steps is not None
    cases = [chunk(8192, 0), chunk(300, 100), chunk(2048, 70_000), chunk(512, 9000, 3.0)]
    columns = [np.array([getattr(c, f) for c in cases]) for f in StepBatch.__dataclass_fields__]
    apart = [float(steps.step_seconds(case)) for case in cases]
    assert apart == pytest.approx(steps.step_seconds(StepBatch(*columns)))


def test_prompts_measured_together_attend_to_less_each() -> None:
    """One prompt of 4,096 tokens, 4 of 1,024 and 16 of 256: each cell is what was measured there."""
    rate = 1e-9 * PROMPT_SEQUENCES[:, None] * PROMPTS[None, :] * (1000.0 + PROMPTS[None, :])
    found = over_attended(rate, pairs_more(1e-9 * PROMPTS**2))
    row = found[list(NEW).index(4096)]
    for n, line in zip(PROMPT_SEQUENCES, rate, strict=True):
        each = 4096 / n
        at = float(np.exp(np.interp(np.log(each / 2), np.log(ATTENDED), np.log(row))))
        assert at == pytest.approx(line[list(PROMPTS).index(each)], rel=0.05)


@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-V3.2"])
def test_tokens_in_many_prompts_cost_no_more_than_in_one(model: str) -> None:
    """The simulator prices a step by its tokens and what they attend to, and adds a little a prompt."""
    steps = CALIBRATION.kernel_steps(built(model))
    assert steps is not None
    one, many = chunk(8192, 0), chunk(512, 0, 16.0)
    assert 0.4 < float(steps.step_seconds(many)) / float(steps.step_seconds(one)) <= 1.0
    fewer = replace(many, prefill_sequences=1.0)
    assert float(steps.step_seconds(fewer)) == pytest.approx(
        float(steps.step_seconds(many)), rel=0.05
    )
