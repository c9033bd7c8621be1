"""Embeddings and scores: prefill alone, no language-model head, a cache only where layers keep one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from encoders import BERT_LARGE

from planner.catalog.pooling import is_encoder, pooling_model
from planner.deployment import Deployment
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.performance.factors import load_calibration
from planner.performance.model import step_model
from planner.performance.steps import StepBatch
from planner.scenario.schema import Scenario
from planner.serving.closed_form.capacity import ceiling_qps
from planner.serving.limits import replica_limits
from planner.sizing.context import default_context, runs_prompts_whole
from planner.sizing.memory import memory_layout
from planner.sizing.parameters import count_parameters
from planner.workload.lengths import lengths_of


def service(**changes):
    fields = {
        "model": "Qwen/Qwen3-Reranker-8B",
        "task": "rerank",
        "rate": 20,
        "prompt_tokens": 400,
        "slo": {"e2e_p99": "500ms"},
        "search": {
            "gpus": ["l40s"],
            "engines": ["vllm"],
            "tensor_parallel": [1],
            "weights": ["bf16"],
            "kv_cache": ["bf16"],
        },
    }
    return Scenario.model_validate({**fields, **changes}).services[0]


def deployment(catalog, model, engine="vllm"):
    return Deployment(
        model=model,
        gpu=catalog.gpu("l40s"),
        engine=catalog.engine(engine),
        tensor_parallel=1,
        weights=catalog.weight_format("bf16"),
        kv_cache=catalog.kv_format("bf16"),
    )


@pytest.fixture
def bert(catalog, tmp_path):
    path = tmp_path / "bert.json"
    path.write_text(json.dumps(BERT_LARGE))
    return catalog.model(str(path))


def test_the_language_model_head_is_not_loaded(catalog):
    model = catalog.model("Qwen/Qwen3-Reranker-8B")
    pooled = pooling_model(model, "score")
    head = model.vocab_size * model.hidden_size
    assert count_parameters(model).total - count_parameters(pooled).total == head
    saved = (
        memory_layout(deployment(catalog, model)).parts_bytes()["weights"]
        - memory_layout(deployment(catalog, pooled)).parts_bytes()["weights"]
    )
    assert saved == pytest.approx(2 * head, rel=2e-3)  # rows are padded


def test_a_tied_embedding_stays_and_multiplies_nothing(catalog):
    model = catalog.model("Qwen/Qwen3-0.6B")
    assert model.tied_embeddings
    pooled = pooling_model(model, "none")
    assert count_parameters(pooled).total == count_parameters(model).total
    calibration = load_calibration(catalog)
    batch = StepBatch(1.0, 0.0, 64.0, 1.0, 64.0 * 32, 64.0)
    generating, pooling = (
        step_model(deployment(catalog, m), calibration).step_seconds(batch) for m in (model, pooled)
    )
    assert pooling < generating


def test_a_model_with_measured_kernels_and_no_head_has_step_times(catalog, bert):
    steps = step_model(deployment(catalog, bert), load_calibration(catalog))
    assert (
        float(np.asarray(steps.step_seconds(StepBatch(0.0, 0.0, 512.0, 1.0, 512.0 * 256, 1.0)))) > 0
    )


def test_an_encoder_keeps_no_cache_caches_no_prefix_and_takes_prompts_whole(catalog, bert):
    one = deployment(catalog, bert)
    memory = memory_layout(one)
    limits = replica_limits(one, memory)
    assert is_encoder(bert)
    assert runs_prompts_whole(one)
    assert float(memory.kv.bytes_for(512)) == 0
    assert not limits.prefix_caching
    assert not limits.chunked
    assert default_context(one, memory, 512) == 512


def test_the_longest_text_may_fill_the_whole_context(catalog):
    text = {"mean": 300, "cv": 0.5, "max": 512}
    assert lengths_of(service(prompt_tokens=text)).max_total == 512
    assert lengths_of(service(prompt_tokens=text)).mean_written == 0


def test_the_ceiling_is_the_rate_at_which_full_steps_of_prompts_fill_the_time(catalog):
    """Closed form: 8192 / 400 prompts share a step that lasts ``step_seconds``; nothing decodes."""
    model = pooling_model(catalog.model("Qwen/Qwen3-Reranker-8B"), "score")
    one = deployment(catalog, model)
    steps = step_model(one, load_calibration(catalog))
    limits = replica_limits(one, memory_layout(one))
    tokens = float(limits.max_num_batched_tokens)
    prompts = tokens / 400
    full = StepBatch(0.0, 0.0, tokens, prompts, tokens * 200, prompts)
    expected = prompts / float(np.asarray(steps.step_seconds(full)))
    found = ceiling_qps(steps, limits, lengths_of(service()))
    assert found == pytest.approx(expected, rel=0.05)


def test_an_engine_without_a_pooling_endpoint_is_rejected_with_the_reason(catalog):
    engines = {"engines": ["tensorrt-llm"], "gpus": ["l40s"], "tensor_parallel": [1]}
    tried = enumerate_candidates(
        service(search=engines), catalog, catalog.offers(), load_calibration(catalog)
    )
    assert not tried.candidates
    assert any("only generates" in r.detail for r in tried.rejections)
