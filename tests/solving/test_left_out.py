"""What the search leaves out is priced, and "cheapest" says of what."""

from __future__ import annotations

from typing import Any

import pytest

from planner.api import solve
from planner.catalog.store import Catalog
from planner.fleet.program.problem import Solution
from planner.plan.alternatives import LeftOut
from planner.plan.schema import Plan
from planner.reporting.plan.decision_text import searched_line
from planner.scenario.schema import Scenario
from planner.solving.left_out import priced
from planner.verification.check import Verdict
from planner.verification.compare import left_out_checks

R1: dict[str, Any] = {
    "model": "deepseek-ai/DeepSeek-R1",
    "rate": 5,
    "prompt_tokens": 1000,
    "output_tokens": 4000,
    "slo": {"ttft_p99": "3s", "tpot_p99": "60ms"},
    "search": {"gpus": ["h200"]},
}
GPT_OSS: dict[str, Any] = {
    "model": "openai/gpt-oss-120b",
    "rate": 20,
    "prompt_tokens": 2000,
    "output_tokens": 800,
    "slo": {"ttft_p99": "1.5s", "tpot_p99": "30ms"},
}


def planned(catalog: Catalog, requested: dict[str, Any], **more: object) -> Plan:
    rivals = more.pop("rivals", 5)
    scenario = Scenario.model_validate({**requested, **more})
    return solve(scenario, catalogs=catalog, verify="none", rivals=int(str(rivals)))


def cost(plan: Plan) -> float:
    assert plan.totals is not None
    return plan.totals.usd_per_hour


@pytest.fixture(scope="module")
def r1(catalog: Catalog) -> Plan:
    return planned(catalog, R1)


def test_a_mixture_is_sized_with_attention_data_parallelism_by_default(
    r1: Plan, catalog: Catalog
) -> None:
    plain = {"gpus": ["h200"], "data_parallel": [1], "expert_parallel": [1]}
    tensor_alone = planned(catalog, R1, search=plain, rivals=0)
    assert cost(r1) < 0.8 * cost(tensor_alone)
    assert r1.services[0].replica_groups[0].data_parallel > 1


def test_other_engines_are_priced_as_if_they_were_requested(r1: Plan, catalog: Catalog) -> None:
    left_out = {o.name: o.usd_per_hour for o in r1.left_out}
    assert {"sglang", "tensorrt-llm", "int4 weights, if permitted"} <= set(left_out)
    search = {"gpus": ["h200"], "engines": ["sglang"]}
    assert left_out["sglang"] == pytest.approx(cost(planned(catalog, R1, search=search, rivals=0)))


def test_the_line_names_what_was_searched_and_what_was_not(r1: Plan) -> None:
    line = searched_line(r1)
    assert line.startswith("Searched: vllm ")
    assert "1 GPU type, TP 1/2/4/8 DP 1/2/4/8 EP 1/2/4/8, weights fp8_block or bf16." in line
    assert "sglang: $" in line
    assert "int4 weights, if permitted: $" in line


def test_the_checkpoints_own_format_is_always_tried(catalog: Catalog) -> None:
    plan = planned(catalog, GPT_OSS)
    (group,) = plan.services[0].replica_groups
    assert group.weights == "mxfp4"
    requantised = planned(
        catalog, GPT_OSS, search={"weights": ["int4"]}, allow_lower_precision=True, rivals=0
    )
    assert cost(plan) < cost(requantised)


BINDS = {**GPT_OSS, "rate": 15, "assurance": "none"}


def test_a_default_that_binds_is_named(catalog: Catalog) -> None:
    named = {o.name: o.usd_per_hour for o in planned(catalog, BINDS).left_out}
    assert named["max_deployments 2"] is not None
    mixed = planned(catalog, BINDS, max_deployments=2, rivals=0)
    assert named["max_deployments 2"] >= cost(mixed) * (1 - 1e-6)
    again = planned(catalog, BINDS, max_deployments=2)
    assert not any(o.name.startswith("max_deployments") for o in again.left_out)


def test_nothing_is_priced_where_no_alternatives_are_requested(catalog: Catalog) -> None:
    plan = planned(catalog, R1, rivals=0)
    assert plan.left_out == ()
    assert searched_line(plan) == f"Searched: {plan.searched}."


RERANK: dict[str, Any] = {
    "model": "Qwen/Qwen3-4B",
    "task": "rerank",
    "rate": "20 calls/s",
    "prompts_per_call": 25,
    "prompt_tokens": 300,
    "slo": {"e2e_p95": "450ms"},
    "search": {"gpus": ["l40s"], "weights": ["native", "fp8"], "kv_cache": ["bf16"]},
}


def test_what_the_closed_form_sized_is_compared_with_what_it_sized(catalog: Catalog) -> None:
    """Calls of many prompts are overestimated until they are simulated: by the same form on both sides."""
    plan = solve(Scenario.model_validate(RERANK), catalogs=catalog)
    closed = planned(catalog, RERANK, rivals=0)
    assert cost(plan) < cost(closed)
    (fp8,) = [o for o in plan.left_out if o.name.startswith("fp8")]
    assert fp8.against_usd_per_hour == pytest.approx(cost(closed))
    assert (
        f"priced by the closed form (${cost(closed):.2f}/h for what was searched): "
        in searched_line(plan)
    )
    assert fp8.usd_per_hour is not None
    assert cost(plan) < fp8.usd_per_hour < cost(closed)


def test_prompts_and_answers_apart_are_priced_where_they_are_searched(catalog: Catalog) -> None:
    search = {"gpus": ["h100"], "tensor_parallel": [2, 4], "weights": ["native"]}
    chat = {**GPT_OSS, "rate": 2, "search": {**search, "disaggregation": {"ratios": ["1P1D"]}}}
    plan = planned(catalog, chat)
    assert all(g.prefill is None for g in plan.services[0].replica_groups)
    (apart,) = [a for a in plan.alternatives if a.restricted_to == "prefill and decode apart"]
    assert "1P (" in apart.label
    assert apart.usd_per_hour >= cost(plan)


def test_what_is_left_out_costs_the_same_among_all_deployments(
    catalog: Catalog, r1: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planner.solving.left_out.cheapest_alone", lambda *_given, **_more: None)
    assert planned(catalog, R1).left_out == r1.left_out
    assert r1.left_out


def test_what_the_time_did_not_suffice_to_prove_is_no_price(r1: Plan) -> None:
    """An incumbent of a busy machine was printed as what FP8 costs: $51.26/h, where $7.11/h is the least."""
    found = (
        LeftOut(name="a", usd_per_hour=51.26, status="feasible"),
        LeftOut(name="b", usd_per_hour=None, status="unknown"),
        LeftOut(name="c", usd_per_hour=None),
    )
    line = searched_line(r1.model_copy(update={"left_out": found}))
    assert line.endswith(
        "a: at most $51.26/h (not proven in its time); b: none found in its time; c: no fleet."
    )
    open_ = Solution("feasible", 51.26, 7.0, 6.3)
    assert priced("a", open_) == found[0]
    assert priced("b", Solution("unknown", None, 7.0, None)) == found[1]
    assert priced("c", Solution("infeasible", None, None, None)) == found[2]
    assert "status" not in found[2].model_dump()


def test_verification_compares_what_was_left_out_as_far_as_it_was_proved(r1: Plan) -> None:
    first, *rest = r1.left_out

    def verdicts(other: LeftOut) -> list[Verdict]:
        again = r1.model_copy(update={"left_out": (other, *rest)})
        return [c.verdict for c in left_out_checks(r1, again)]

    assert set(verdicts(first)) == {Verdict.HOLDS}
    dearer = first.model_copy(update={"usd_per_hour": 1e3})
    assert verdicts(dearer)[0] == Verdict.FAILS
    assert verdicts(dearer.model_copy(update={"status": "feasible"}))[0] == Verdict.SKIPPED
