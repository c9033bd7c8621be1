"""Which GPUs hold a model, which models a GPU holds; and a model's own figures."""

from __future__ import annotations

import pytest

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.sizing.cache.kv_cache import kv_bytes_per_token
from planner.sizing.fits import FitVerdict, gpus_that_fit, models_that_fit, question
from planner.sizing.model_memory import SizingLayout, model_memory
from planner.sizing.quick_answers import quick_answer


def test_more_gpus_never_hold_less(catalog: Catalog) -> None:
    ask = question(catalog)
    model = catalog.model("meta-llama/Llama-3.1-70B-Instruct")
    fits = gpus_that_fit(catalog, model, ask, counts=(1, 2, 4, 8))
    by_kind: dict[tuple[str, str], list[float]] = {}
    for fit in fits:
        by_kind.setdefault((fit.gpu, fit.precision), []).append(fit.tokens)
    assert all(tokens == sorted(tokens) for tokens in by_kind.values())


def test_the_70b_walk_through_by_precision(catalog: Catalog) -> None:
    ask = question(catalog, concurrency=8)
    model = catalog.model("meta-llama/Llama-3.1-70B-Instruct")
    gpu = catalog.gpu("h100-sxm-80gb")
    fits = gpus_that_fit(catalog, model, ask, gpus=(gpu,), counts=(1, 2, 4))
    verdicts = {(fit.precision, fit.gpus): fit.verdict for fit in fits}
    assert verdicts["bf16", 1] is FitVerdict.NOT
    assert verdicts["bf16", 2] is FitVerdict.TIGHT  # 65.7 GiB of weights a GPU leave some 3 GiB
    assert verdicts["bf16", 4] is FitVerdict.FITS
    assert verdicts["fp8", 2] is FitVerdict.FITS
    assert verdicts["int4", 1] is FitVerdict.FITS


def test_odd_counts_use_pipeline_stages(catalog: Catalog) -> None:
    model = catalog.model("Qwen/Qwen3-8B")
    fits = gpus_that_fit(
        catalog,
        model,
        question(catalog),
        gpus=(catalog.gpu("l4"),),
        counts=(2, 3),
        precisions=("bf16",),
    )
    assert [fit.layout for fit in fits] == ["TP2", "TP1 PP3"]


def test_a_longer_context_holds_fewer(catalog: Catalog) -> None:
    gpu = catalog.gpu("l40s")
    short = models_that_fit(
        catalog, gpu, question(catalog, context_tokens=1024), precisions=("bf16",)
    )
    long = models_that_fit(
        catalog, gpu, question(catalog, context_tokens=65536), precisions=("bf16",)
    )
    assert all(a.sequences >= b.sequences for a, b in zip(short, long, strict=True))
    assert sum(f.sequences for f in short) > sum(f.sequences for f in long)


def test_absurd_questions_are_refused(catalog: Catalog) -> None:
    with pytest.raises(InputError, match="context"):
        question(catalog, context_tokens=0)
    with pytest.raises(InputError, match="engine"):
        question(catalog, engine="nonsense")


def test_the_requested_cache_is_weighed_against_the_pool(catalog: Catalog) -> None:
    model = catalog.model("Qwen/Qwen3-8B")
    layout = SizingLayout(gpu=catalog.gpu("l4"))
    one = model_memory(catalog, model, layout=layout, context_tokens=4096)
    assert one.max_sequences is not None
    fits = model_memory(
        catalog, model, layout=layout, context_tokens=4096, concurrency=one.max_sequences
    )
    more = model_memory(
        catalog, model, layout=layout, context_tokens=4096, concurrency=one.max_sequences + 1
    )
    assert (fits.holds, more.holds) == (True, False)
    assert one.longest_context_tokens is not None
    assert one.layout is not None
    assert one.longest_context_tokens <= one.layout.kv_pool_tokens


def test_without_a_gpu_only_the_model_is_sized(catalog: Catalog) -> None:
    model = catalog.model("deepseek-ai/DeepSeek-V3")
    result = model_memory(catalog, model, context_tokens=1000, concurrency=3)
    assert (result.layout, result.holds, result.max_sequences) == (None, None, None)
    assert result.kv_bytes_per_token["bf16"] == 61 * 576 * 2
    assert result.kv_needed_bytes == 3 * 1000 * 61 * 576 * 2


def test_fp8_on_a_gpu_without_fp8_units_is_said(catalog: Catalog) -> None:
    layout = SizingLayout(gpu=catalog.gpu("a100-sxm-80gb"))
    result = model_memory(catalog, catalog.model("Qwen/Qwen3-8B"), weights="fp8", layout=layout)
    assert any("FP8" in warning for warning in result.warnings)


def test_windowed_models_say_what_grows(catalog: Catalog) -> None:
    model = catalog.model("google/gemma-2-9b")
    result = model_memory(catalog, model)
    every = kv_bytes_per_token(model, catalog.kv_format("bf16"))
    assert result.kv_bytes_per_token["bf16"] == every
    assert 0 < result.kv_growing_bytes_per_token < every


def test_the_rule_overrates_grouped_query_caches(catalog: Catalog) -> None:
    grouped = quick_answer(catalog, model=catalog.model("Qwen/Qwen3-8B"))
    assert grouped.exact is not None
    assert "4.0 times the exact" in grouped.notes[0]
    whole = quick_answer(catalog, model=catalog.model("meta-llama/Llama-2-7b-hf"))
    assert not any("times the exact" in note for note in whole.notes)
    assert whole.exact is not None
    assert whole.estimate.kv_gb == pytest.approx(whole.exact["kv_gb"])


def test_a_named_gpu_adds_the_pool_and_the_decision_tree(catalog: Catalog) -> None:
    answer = quick_answer(catalog, model=catalog.model("meta-llama/Llama-2-7b-hf"), gpu_gb=80)
    assert answer.pool is not None
    assert answer.pool.pool_gb == pytest.approx(80 * 0.9 - answer.estimate.weights_gb - 2)
    assert answer.pool.bytes_per_token == pytest.approx(524_288)
    assert answer.pool.sequences == int(answer.pool.tokens / 2048)
    assert [step.holds for step in answer.steps] == [True, True]
    small = quick_answer(catalog, model=catalog.model("meta-llama/Llama-2-7b-hf"), gpu_gb=10)
    assert [step.holds for step in small.steps] == [False, False]


def test_gpus_without_bfloat16_hold_models_in_float16(catalog: Catalog) -> None:
    ask = question(catalog)
    gpu, model = catalog.gpu("t4"), catalog.model("meta-llama/Llama-3.1-8B-Instruct")
    found = gpus_that_fit(catalog, model, ask, gpus=(gpu,), precisions=("bf16",), counts=(2,))
    assert [(f.weights, f.verdict) for f in found] == [("fp16", FitVerdict.FITS)]
