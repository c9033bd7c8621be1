"""Derivations of services that pool prompts or are batch jobs: no tokens written, no target exceeded."""

from __future__ import annotations

from planner.api import solve
from planner.derivation.derive import derive
from planner.scenario.schema import Scenario

SEARCH = {
    "gpus": ["h100-sxm-80gb"],
    "tensor_parallel": [1],
    "weights": ["bf16"],
    "kv_cache": ["bf16"],
}
EMBED = {
    "model": "Qwen/Qwen3-0.6B",
    "task": "embed",
    "rate": 50,
    "prompt_tokens": 400,
    "slo": {"e2e_p50": "200ms", "e2e_p99": "700ms"},
    "search": SEARCH,
}
JOB = {
    "model": "Qwen/Qwen3-0.6B",
    "prompt_tokens": 400,
    "output_tokens": 50,
    "job": {"requests": "100k", "within": "4h"},
    "search": SEARCH,
}


def in_flight(scenario, catalog):
    plan = solve(Scenario.model_validate(scenario), catalogs=catalog, verify="none")
    rows = derive(plan, catalog)[0].rows
    return next(row for row in rows if row.topic == "Requests in flight")


def test_pooled_requests_may_take_what_their_loosest_target_allows(catalog):
    row = in_flight(EMBED, catalog)
    assert row.honest.note == "the targets allow up to 700 ms and 35 in flight"
    assert not row.textbook.note


def test_no_target_bounds_a_request_of_a_job(catalog):
    assert in_flight(JOB, catalog).honest.note == "no target bounds the time of a request"
