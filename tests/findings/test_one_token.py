"""Reports of services that answer with one token: scoring and routing have no time per token."""

from __future__ import annotations

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.findings.latency_curves import distributions, latency_curves
from planner.findings.sensitivity import questions
from planner.findings.tornado import _with_lengths
from planner.performance.factors import load_calibration
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario

SCENARIO = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 5,
    "prompt_tokens": 800,
    "output_tokens": 1,
    "slo": {"ttft_p99": "1s"},
    "search": {"gpus": ("l40s",), "tensor_parallel": (1,), "weights": ("bf16",)},
}


@pytest.fixture(scope="module")
def plan(catalog: Catalog) -> Plan:
    return solve(Scenario.model_validate(SCENARIO), verify="none", rivals=0, catalogs=catalog)


def test_there_is_no_curve_of_time_per_token(plan: Plan, catalog: Catalog) -> None:
    factors = load_calibration(catalog)
    assert latency_curves(plan, catalog, factors) == ()
    assert distributions(plan, catalog, factors) == ()


def test_answers_are_never_shorter_than_one_token(plan: Plan) -> None:
    lengths = {s.output_tokens.mean for q in questions(plan) for s in q.services}
    assert min(length for length in lengths if length is not None) == 1
    shorter = _with_lengths(plan.scenario, 0.8)
    assert shorter.services[0].output_tokens.mean == 1
    assert shorter.services[0].prompt_tokens.mean == 640
