"""Fleets nearly as cheap as the closed form's choice are simulated too, so that cost rises with the rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pytest

from planner import api
from planner.catalog.store import Catalog
from planner.fleet.sized_before import SizedBefore
from planner.performance.factors import load_calibration
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario, Service
from planner.serving.placed import Placed
from planner.serving.simulation.service_simulation import SimulatedService
from planner.serving.simulation.simulation_result import TargetOutcome
from planner.serving.simulation.window import Window
from planner.solving import assured_simulation, kept_simulations, near_winners
from planner.solving import simulation_loop as checking

GPUS = ["l40s", "h100-sxm-80gb"]
HELD_QPS = {"l40s": 5.1, "h100-sxm-80gb": 20.6}  # more than the closed form promises a replica
MODEST_QPS = {"l40s": 3.2, "h100-sxm-80gb": 15.0}  # less than that


def scenario(rate: float, gpus: Sequence[str] = GPUS, **others: object) -> Scenario:
    return Scenario.model_validate(
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "rate": rate,
            "assurance": None,
            "prompt_tokens": 1000,
            "output_tokens": 300,
            "slo": {"ttft_p99": 2, "tpot_p99": 0.08},
            "search": {
                "gpus": list(gpus),
                "tensor_parallel": [1],
                "weights": ["bf16"],
                "kv_cache": ["bf16"],
            },
            "prices": {"providers": ["verda", "nebius", "runpod"]},
            **others,
        }
    )


@pytest.fixture(scope="module")
def sized(catalog: Catalog) -> SizedBefore:
    return SizedBefore(catalog, load_calibration(catalog, None))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulator that knows what each replica holds, and answers at once."""
    answers_at_once(monkeypatch, HELD_QPS)


@pytest.fixture
def modest(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where replicas hold less than the closed form promises."""
    answers_at_once(monkeypatch, MODEST_QPS)


def answers_at_once(monkeypatch: pytest.MonkeyPatch, held_qps: Mapping[str, float]) -> None:
    def held(placed: Sequence[Placed]) -> float:
        return sum(p.replicas * held_qps[p.deployment.gpu.name] for p in placed)

    def check(_service: Service, placed: Sequence[Placed], **more: Any) -> SimulatedService:
        rate = sum(p.rate_qps for p in placed) * more.get("rate_scale", 1.0)
        met = 1.0 if rate <= held(placed) else 0.5
        outcome = TargetOutcome("ttft_p99", 0.99, met, met, met)
        window = Window(1.0, 1.0, 1.0)
        return SimulatedService(met == 1.0, (outcome,), {}, rate, window, False, 0.0, 0.0, 1, ())

    def share(
        _service: Service, placed: Sequence[Placed], *_first: SimulatedService, **_more: Any
    ) -> float:
        return min(1.0, held(placed) / sum(p.rate_qps for p in placed))

    monkeypatch.setattr(kept_simulations, "check_service", check)
    for module in (checking, near_winners):
        monkeypatch.setattr(module, "simulate_assured", check)
    monkeypatch.setattr(assured_simulation, "held_share", share)
    monkeypatch.setattr(checking, "guard_latency", lambda *_args: None)


def solved(requested: Scenario, catalog: Catalog, sized: SizedBefore) -> Plan:
    return api.solve(requested, catalogs=catalog, sized=sized, rivals=0, explain=False)


def usd(plan: Plan) -> float:
    assert plan.totals is not None
    return plan.totals.usd_per_hour


def rises(rates: Sequence[float], catalog: Catalog, sized: SizedBefore) -> None:
    costs = [usd(solved(scenario(rate), catalog, sized)) for rate in rates]
    assert all(now <= later + 1e-9 for now, later in pairwise(costs)), costs


@pytest.mark.usefixtures("quick")
def test_cost_rises_with_the_rate(catalog: Catalog, sized: SizedBefore) -> None:
    rises(range(1, 201, 23), catalog, sized)


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_cost_rises_with_every_rate_up_to_200(catalog: Catalog, sized: SizedBefore) -> None:
    rises(range(1, 201), catalog, sized)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("rate", [5, 33, 76, 77, 150])
def test_a_wider_search_never_costs_more(rate: float, catalog: Catalog, sized: SizedBefore) -> None:
    wide = usd(solved(scenario(rate), catalog, sized))
    for gpu in GPUS:
        assert wide <= usd(solved(scenario(rate, [gpu]), catalog, sized)) + 1e-9


@pytest.mark.usefixtures("quick")
def test_the_cheapest_that_holds_is_found_on_another_gpu(
    catalog: Catalog, sized: SizedBefore
) -> None:
    plan = solved(scenario(10), catalog, sized)
    (group,) = plan.services[0].replica_groups
    assert (group.gpu, group.replicas) == ("l40s", 2)
    assert group.capacity_qps == pytest.approx(5.0, rel=1e-6)


def test_a_fleet_the_closed_form_leaves_out_is_simulated(
    catalog: Catalog, sized: SizedBefore
) -> None:
    plan = solved(scenario(9.5), catalog, sized)
    assert usd(plan) <= usd(solved(scenario(9.5, ["l40s"]), catalog, sized)) + 1e-9
    assert len({r.deployment for r in plan.verification.rounds}) > 1


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("rate", [10, 33, 76, 100])
def test_what_is_left_after_a_loss_was_simulated_at_the_whole_rate(
    rate: float, lost: int, catalog: Catalog, sized: SizedBefore
) -> None:
    requested = scenario(rate).model_dump(mode="json") | {"failures": {"replicas": lost}}
    plan = solved(Scenario.model_validate(requested), catalog, sized)
    (group,) = plan.services[0].replica_groups
    assert group.capacity_qps <= HELD_QPS[group.gpu] * (1 + 1e-6)
    assert (group.replicas - lost) * group.capacity_qps >= rate * (1 - 1e-9)
    assert usd(plan) >= usd(solved(scenario(rate), catalog, sized)) - 1e-9


@pytest.mark.usefixtures("modest")
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("rate", [10, 33, 76])
@pytest.mark.parametrize("sort", ["replicas", "nodes"])
def test_a_fleet_is_confirmed_with_what_is_left_after_a_loss(
    sort: str, rate: float, lost: int, catalog: Catalog, sized: SizedBefore
) -> None:
    """With every replica alive it holds; what is left holds less than the closed form says it does."""
    requested = scenario(rate).model_dump(mode="json") | {"failures": {sort: lost}}
    plan = solved(Scenario.model_validate(requested), catalog, sized)
    (group,) = plan.services[0].replica_groups
    each = group.replicas if sort == "replicas" else sum(n.count for n in plan.nodes)
    held = MODEST_QPS[group.gpu] * group.replicas * (each - lost) / each
    assert held >= rate * (1 - 1e-6)
    last = [r for r in plan.verification.rounds if r.holds][-1]
    assert "after a loss" in last.note


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("rate", [9.5, 41, 150])
@pytest.mark.parametrize("gpus", [["l40s"], GPUS])
def test_a_limit_that_the_plan_itself_keeps_changes_nothing(
    rate: float, gpus: list[str], catalog: Catalog, sized: SizedBefore
) -> None:
    free = solved(scenario(rate, gpus), catalog, sized)
    assert free.totals is not None
    for limits in (
        {"max_cost_usd_per_hour": usd(free)},
        {"max_cost_usd_per_hour": usd(free) * 1.01},
        {"max_gpus": free.totals.gpus},
    ):
        requested = scenario(rate, gpus).model_dump(mode="json") | {"limits": limits}
        limited = solved(Scenario.model_validate(requested), catalog, sized)
        assert usd(limited) == pytest.approx(usd(free)), limits


def test_a_budget_that_the_simulated_plan_fits_is_not_called_infeasible(
    catalog: Catalog, sized: SizedBefore
) -> None:
    requested = {
        "model": "meta-llama/Llama-3.1-70B-Instruct",
        "rate": 10,
        "prompt_tokens": 1000,
        "output_tokens": 300,
        "slo": {"ttft_p99": "2s", "tpot_p99": "60ms"},
        "allow_lower_precision": True,
        "search": {"gpus": ["gh200-96gb", "b200-sxm-180gb"], "tensor_parallel": [1, 2]},
    }
    free = solved(Scenario.model_validate(requested), catalog, sized)
    limited = requested | {"limits": {"max_cost_usd_per_hour": usd(free)}}
    assert usd(solved(Scenario.model_validate(limited), catalog, sized)) == usd(free)


def test_fewer_choices_are_never_cheaper_in_a_large_fleet(
    catalog: Catalog, sized: SizedBefore
) -> None:
    def requested(degrees: list[int]) -> Scenario:
        return Scenario.model_validate(
            {
                "model": "meta-llama/Llama-3.1-70B-Instruct",
                "rate": 500,
                "prompt_tokens": 1000,
                "output_tokens": 200,
                "slo": {"ttft_p99": "2s", "tpot_p99": "50ms"},
                "search": {"gpus": ["b200-sxm-180gb"], "tensor_parallel": degrees},
            }
        )

    wide = usd(solved(requested([1, 2, 4]), catalog, sized))
    assert wide <= min(usd(solved(requested([n]), catalog, sized)) for n in (1, 2, 4)) + 1e-9


@pytest.mark.parametrize("rate", [15, 40])
@pytest.mark.parametrize("assurance", [None, 0.8])
def test_with_hours_to_spare_every_confirmed_fleet_keeps_up(
    rate: float, assurance: float | None, catalog: Catalog, sized: SizedBefore
) -> None:
    """A queue that grew all through the simulation missed no target of three hours, and cost less."""
    prompts = {"mean": 3000, "cv": 1, "max": 16000}
    slo = {"ttft_p99": "3h"}
    loose = scenario(rate, prompt_tokens=prompts, slo=slo, assurance=assurance, prices={})
    plan = solved(loose, catalog, sized)
    held = [r for r in plan.verification.rounds if r.holds]
    assert held
    assert all(r.simulated_qps <= r.closed_form_qps * 1.01 for r in held)
    (group,) = plan.services[0].replica_groups
    assert group.utilisation < 1


def test_where_the_fleet_found_carries_far_more_than_predicted_others_may_too(
    catalog: Catalog, sized: SizedBefore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H100s hold 1.3 times what the closed form promises; L40S, dearer by it, 1.75 times, and cost less."""
    answers_at_once(monkeypatch, {"l40s": 0.29, "h100-sxm-80gb": 1.03})
    slow = {"prompt_tokens": 24_000, "output_tokens": 100, "slo": {"ttft_p99": 10, "tpot_p99": 0.3}}
    plan = solved(scenario(10, **slow), catalog, sized)
    assert plan.services[0].replica_groups[0].gpu == "l40s"
    assert usd(plan) < usd(solved(scenario(10, ["h100-sxm-80gb"], **slow), catalog, sized))
