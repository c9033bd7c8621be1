"""The cheapest fleet is the same whether all deployments are sized or those that could be part of it."""

from __future__ import annotations

import pytest

from planner.comparison import restriction
from planner.fleet.sources import Sources
from planner.plan.schema import Plan
from planner.scenario.fleet import Failures
from planner.scenario.schema import Scenario
from planner.session import Session
from planner.solving import pipeline
from planner.solving.cheapest import cheapest_alone
from planner.solving.options import BRIEF

READ = {"status", "objective_usd_per_hour", "services", "nodes", "rentals", "totals", "periods"}


def _read(plan: Plan) -> dict[str, object]:
    return plan.model_dump(mode="json", include=READ)


def _variants(scenario: Scenario) -> dict[str, Scenario]:
    rate = sum(s.rate for s in scenario.services)
    terms = ("on-demand", "1-year", "spot")
    return {
        "as stated": scenario,
        "few requests": restriction.with_rate(scenario, 0.1 * rate),
        "many requests": restriction.with_rate(scenario, 3.3 * rate),
        "a tight target": restriction.with_target(scenario, "ttft", 0.4),
        "a target nothing meets": restriction.with_target(scenario, "ttft", 1e-4),
        "a spare replica": scenario.model_copy(update={"failures": Failures(replicas=1)}),
        "a budget": scenario.model_copy(
            update={"limits": scenario.limits.model_copy(update={"max_cost_usd_per_hour": 0.5})}
        ),
        "other terms": scenario.model_copy(
            update={"prices": scenario.prices.model_copy(update={"terms": terms})}
        ),
    }


@pytest.mark.parametrize("name", ["chat_8b_small_gpus", "chat_8b_assured"])
def test_sizing_what_could_be_cheapest_gives_the_same_fleet(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, all_of_them = Session.open(options=BRIEF), Session.open(options=BRIEF)
    question = some.read(name)
    for words, scenario in _variants(question).items():
        fleet = _read(some.solve(scenario, for_cost=True))
        with monkeypatch.context() as patched:
            patched.setattr(pipeline, "cheapest_alone", lambda *_given: None)
            assert fleet == _read(all_of_them.solve(scenario, for_cost=True)), words


def test_most_deployments_are_not_sized(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session.open(options=BRIEF)
    plan = session.solve("llama70b_qps50", for_cost=True)
    full = Session.open(options=BRIEF).solve("llama70b_qps50")
    assert plan.totals == full.totals
    assert plan.solver.candidates < 0.1 * full.solver.candidates


def test_a_plan_in_full_sizes_everything() -> None:
    session = Session.open(options=BRIEF)
    brief = session.solve("chat_8b_small_gpus", for_cost=True)
    full = session.solve("chat_8b_small_gpus")
    assert len(full.rejections) >= len(brief.rejections)
    assert full == Session.open(options=BRIEF).solve("chat_8b_small_gpus").model_copy(
        update={"provenance": full.provenance}
    )


@pytest.mark.parametrize("name", ["fleet_short_stock", "nightly_batch", "llama70b_disaggregated"])
def test_where_it_is_not_proved_everything_is_sized(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session.open(options=BRIEF)
    scenario = session.read(name)
    monkeypatch.setattr("planner.solving.cheapest.ceilings_of", None)  # would raise
    sources = Sources(session.catalog, session.factors, known=session.known)
    assert cheapest_alone(scenario, (), sources, BRIEF) is None
