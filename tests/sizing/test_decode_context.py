"""Contexts divided over the ranks that hold the same KV heads: memory, what is legal, time, launch files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.api import solve
from planner.deploy.engines.checkpoint import LoadedWeights
from planner.deploy.sized import launch_lines, sized_launch
from planner.deployment import Deployment, EngineSettings
from planner.evidence import Evidence
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.performance.replica_steps import replica_steps
from planner.performance.steps import StepBatch
from planner.sizing.cache.kv_cache import kv_layout
from planner.sizing.legality import legal_reasons
from planner.sizing.memory import memory_layout
from planner.verification.verify import failures, verify

DEEPSEEK = "deepseek-ai/DeepSeek-V3"
QWEN = "Qwen/Qwen3-235B-A22B"  # four KV heads


def deployment(catalog, degree, model=DEEPSEEK, engine="vllm", tp=8, **settings):
    spec = catalog.model(model)
    return Deployment(
        model=spec,
        gpu=catalog.gpu("h200-sxm-141gb"),
        engine=catalog.engine(engine),
        tensor_parallel=tp,
        weights=catalog.weight_format(spec.native_weights),
        kv_cache=catalog.kv_format("bf16"),
        settings=EngineSettings(decode_context_parallel=degree, **settings),
    )


@pytest.mark.parametrize(("model", "degree"), [(DEEPSEEK, 8), (DEEPSEEK, 2), (QWEN, 2)])
def test_the_pool_holds_so_many_times_the_tokens(model, degree, catalog):
    one, divided = deployment(catalog, 1, model), deployment(catalog, degree, model)
    per_token = kv_layout(one).growing_bytes_per_token
    assert kv_layout(divided).growing_bytes_per_token == pytest.approx(per_token / degree)
    assert kv_layout(divided).block_tokens == degree * kv_layout(one).block_tokens
    before, after = (memory_layout(d) for d in (one, divided))
    assert after.parts_bytes() == before.parts_bytes()
    assert after.kv_pool_tokens == pytest.approx(degree * before.kv_pool_tokens, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"degree": 3}, "does not divide tensor parallel 8"),
        ({"degree": 4, "model": QWEN}, "exceeds the 2 copies of each KV head"),
        ({"degree": 2, "model": "meta-llama/Llama-3.3-70B-Instruct"}, "exceeds the 1 copies"),
        ({"degree": 2, "engine": "sglang"}, "is not known to divide contexts of latent attention"),
        ({"degree": 2, "engine": "tensorrt-llm"}, "is not known to divide contexts"),
        ({"degree": 2, "draft_tokens": 1}, "not known to go with drafts"),
        ({"degree": 2, "model": "openai/gpt-oss-120b"}, "known of full attention alone"),
        ({"degree": 2, "model": "deepseek-ai/DeepSeek-V3.2"}, "known of full attention alone"),
    ],
)
def test_what_an_engine_cannot_divide_is_named(changes, words, catalog):
    assert any(words in reason for reason in legal_reasons(deployment(catalog, **changes)))


def test_an_engine_version_that_can_is_taken(catalog):
    newer = replace(deployment(catalog, 2), engine=catalog.engine("sglang", "0.5.15"))
    assert not legal_reasons(newer)
    assert not legal_reasons(deployment(catalog, 8))


def test_long_contexts_are_read_sooner_and_short_ones_exchanged_longer(catalog):
    calibration = load_calibration(catalog)
    one, divided = (replica_steps(deployment(catalog, degree), calibration) for degree in (1, 8))
    short, long = (StepBatch(32.0, 32.0 * tokens) for tokens in (200.0, 100_000.0))
    assert divided.step_seconds(short) > one.step_seconds(short)
    assert divided.step_seconds(long) < 0.5 * one.step_seconds(long)
    times = divided.step_times(long)
    assert times.total_s == pytest.approx(float(divided.step_seconds(long)))
    assert times.collectives_s > one.step_times(long).collectives_s
    assert divided.evidence is Evidence.MODELLED
    prompts = StepBatch(0.0, 0.0, 4096.0, 1.0, 4096.0 * 2048, 1.0)
    assert divided.step_seconds(prompts) == one.step_seconds(prompts)
    many = StepBatch(np.array([0.0, 8.0]), np.array([0.0, 8e4]))
    assert np.shape(divided.step_seconds(many)) == (2,)


def test_a_degree_of_one_is_the_plain_model(catalog):
    calibration = load_calibration(catalog)
    assert (
        type(replica_steps(deployment(catalog, 1), calibration)).__name__ == "CalibratedStepModel"
    )


def test_the_engine_is_told(catalog):
    loaded = LoadedWeights(DEEPSEEK)
    text = "\n".join(launch_lines(sized_launch(catalog, deployment(catalog, 4), loaded, 8192)))
    assert "--decode-context-parallel-size 4" in text
    plain = "\n".join(launch_lines(sized_launch(catalog, deployment(catalog, 1), loaded, 8192)))
    assert "context-parallel" not in plain


SCENARIO = """
name: divided
model: deepseek-ai/DeepSeek-V3
rate: 2
prompt_tokens: {mean: 60000, cv: 0.3, max: 120000}
output_tokens: {mean: 2000, cv: 0.5, max: 8000}
slo: {ttft_p99: 60s, tpot_p99: 400ms}
search:
  gpus: [h200-sxm-141gb]
  tensor_parallel: [8]
  data_parallel: [1]
  expert_parallel: [1]
  weights: [fp8]
  kv_cache: [bf16]
  settings: {decode_context_parallel: DEGREE}
"""


def test_where_the_pool_binds_fewer_replicas_do(tmp_path, catalog):
    plans = {}
    for degree in ("1", "8"):
        path = tmp_path / f"{degree}.yaml"
        path.write_text(SCENARIO.replace("DEGREE", degree))
        plans[degree] = solve(path, catalogs=catalog, verify="none")
    assert plans["8"].totals.usd_per_hour < 0.7 * plans["1"].totals.usd_per_hour
    assert any("divides each context over 8" in a for a in plans["8"].assumptions)
    (group,) = plans["8"].services[0].replica_groups
    assert group.settings["decode_context_parallel"] == 8
    assert "decode_context_parallel" not in plans["1"].services[0].replica_groups[0].settings
    offers = admitted_offers(plans["8"].scenario.prices, catalog)
    assert not failures(verify(plans["8"], catalog, load_calibration(catalog), offers))


@pytest.mark.parametrize("other", ["disaggregation: true", "disaggregation: {ratios: [1P1D]}"])
def test_units_of_two_pools_do_not_divide(other, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO.replace("DEGREE", "2") + f"  {other}\n")
    with pytest.raises(Exception, match=r"leave search\.settings\.decode_context_parallel out"):
        solve(path, verify="none")
