"""The layouts a search spans: what an expert would try where it leaves degrees open."""

from __future__ import annotations

import pytest

from planner.catalog.offer import Offer, Term
from planner.catalog.store import load_catalog
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.layouts import (
    ParallelLayout,
    deeper_layouts,
    degrees_allowed,
    layouts,
)
from planner.fleet.rejection_reason import RejectionReason
from planner.performance.factors import load_calibration
from planner.scenario.schema import Service
from planner.scenario.search.fields import Search

CATALOG = load_catalog()
CALIBRATION = load_calibration(CATALOG)


def cuts(model: str, **search: object) -> set[tuple[int, int, int, int]]:
    spanned = layouts(Search.model_validate(search), CATALOG.model(model))
    assert len(set(spanned)) == len(spanned)
    return {(x.tensor, x.pipeline, x.data, x.expert) for x in spanned}


def test_a_dense_model_is_cut_by_tensor_parallelism_alone() -> None:
    assert cuts("llama-3.1-8b-instruct") == {(n, 1, 1, 1) for n in (1, 2, 4, 8)}


def test_a_latent_cache_is_divided_by_attention_data_parallelism() -> None:
    found = cuts("deepseek-ai/DeepSeek-R1")
    assert found >= {(8, 1, 1, 1), (8, 1, 1, 8), (1, 1, 8, 1), (1, 1, 8, 8)}
    assert (2, 1, 4, 8) not in found  # TP would keep a copy of the cache on each of its ranks


def test_attention_data_parallelism_begins_where_kv_heads_end() -> None:
    assert cuts("Qwen/Qwen3-30B-A3B", tensor_parallel=[4, 8]) == {
        (4, 1, 1, 1), (4, 1, 1, 4), (4, 1, 2, 1), (4, 1, 2, 8), (8, 1, 1, 1), (8, 1, 1, 8),
    }  # fmt: skip


def test_degrees_that_are_named_are_tried_as_they_are() -> None:
    named = {"tensor_parallel": [8], "data_parallel": [1, 2], "expert_parallel": [4]}
    assert cuts("deepseek-ai/DeepSeek-R1", **named) == {(8, 1, 1, 4), (8, 1, 2, 4)}
    assert not deeper_layouts(Search(pipeline_parallel=(1,)), CATALOG.model("gpt2"))


@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-R1", "Qwen/Qwen3-30B-A3B", "gpt2"])
def test_what_is_spanned_is_what_is_allowed(model: str) -> None:
    search, spec = Search(), CATALOG.model(model)
    for cut in (*layouts(search, spec), *deeper_layouts(search, spec)):
        allowed = degrees_allowed(search, cut.tensor, cut.data)
        degrees = (cut.tensor, cut.pipeline, cut.data, cut.expert)
        for degree, (axis, values) in zip(degrees, allowed.items(), strict=True):
            assert degree in values, axis


def tried(gpu: str, gpus: int, model: str) -> tuple[set[ParallelLayout], set[str]]:
    """Layouts that can serve a model on nodes of ``gpus``, and why others cannot."""
    requested = Service.model_validate(
        {
            "model": model,
            "rate": 1.0,
            "prompt_tokens": 500,
            "output_tokens": 100,
            "slo": {"ttft_p99": "20s", "tpot_p99": "1s"},
            "search": {"weights": ["bf16"], "kv_cache": ["bf16"]},
        }
    )
    offer = Offer("p", "r", "i", gpu, gpus, Term.ON_DEMAND, 1.0, "2026-01-01", "list")
    found = enumerate_candidates(requested, CATALOG, [offer], CALIBRATION)
    held = {
        ParallelLayout(d.tensor_parallel, d.pipeline_parallel, d.data_parallel, d.expert_parallel)
        for d in (c.deployment for c in found.candidates)
    }
    return held, {r.reason for r in found.rejections}


def test_pipeline_stages_are_tried_where_no_single_stage_holds_the_model() -> None:
    held, reasons = tried("h100-sxm-80gb", 8, "meta-llama/Meta-Llama-3.1-405B")
    assert RejectionReason.NO_MEMORY in reasons
    assert held == {ParallelLayout(8, 2, 1, 1)}  # 810 GB of weights: two nodes, not four


def test_pipeline_stages_are_left_out_where_one_stage_holds_the_model() -> None:
    held, _ = tried("h100-sxm-80gb", 8, "meta-llama/Llama-3.1-70B-Instruct")
    assert {cut.pipeline for cut in held} == {1}
