"""Both ends of every input, each solved by itself; a price ladder by kind of provider."""

import plan_builder as build
import pytest
from findings_builder import purchase

from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.findings.ownership_terms import terms_of
from planner.findings.price_ladder import ladder
from planner.findings.tornado import swings


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def answer(question):
    """A plan that costs 1 USD/h for each request/s, prompt token of 1000, and price factor."""
    (service,) = question.services
    factor = question.prices.factors.get("h100-sxm-80gb", 1.0)
    misses = 1 - service.assumptions.prefix_hit_share
    hourly = service.rate * service.prompt_tokens.mean / 1000 * factor * misses
    return build.plan(question, nodes=(build.node(count=1, usd_per_hour_each=hourly),))


def test_each_pair_moves_its_own_input_and_the_widest_comes_first(catalog):
    plan = answer(build.scenario())
    planned = purchase("on-demand", 50.0, planned=True, low_usd=36 * 730 * 40.0,
                       high_usd=36 * 730 * 75.0)  # fmt: skip
    found = swings(plan, (planned,), terms_of(plan.scenario, catalog), answer)
    by_name = {s.input: s for s in found}
    month = 730 * 50
    ends = {
        "Price of the planned GPUs": (0.8, 1.5),
        "Demand": (0.8, 1.2),
        "Lengths": (0.8, 1.2),
        "Step time": (0.9, 1.1),
        "Prefix hits": (1.0, 0.7),
    }
    assert set(by_name) == set(ends)
    for name, (low, high) in ends.items():
        swing = by_name[name]
        assert swing.low_usd_per_month == pytest.approx(month * low), name
        assert swing.high_usd_per_month == pytest.approx(month * high), name
    assert next(s.input for s in found) == "Price of the planned GPUs"
    assert [s.width_usd for s in found] == sorted((s.width_usd for s in found), reverse=True)


def test_a_slower_step_is_more_load_under_shorter_targets(catalog):
    requested = []

    def solve(question):
        requested.append(question)
        return answer(question)

    plan = answer(build.scenario())
    swings(plan, (), terms_of(plan.scenario, catalog), solve)
    slower = max(
        requested, key=lambda q: q.services[0].rate / q.services[0].slo.target("ttft").seconds
    )
    factor = 1.1
    assert slower.services[0].rate == pytest.approx(50 * factor)
    assert slower.services[0].slo.target("ttft").seconds == pytest.approx(2 / factor)
    assert slower.services[0].slo.target("tpot").seconds == pytest.approx(0.1 / factor)


def test_an_end_without_a_fleet_has_no_cost(catalog):
    def solve(question):
        if question.services[0].rate > 50:
            raise InputError("no")
        return answer(question)

    plan = answer(build.scenario())
    found = {s.input: s for s in swings(plan, (), terms_of(plan.scenario, catalog), solve)}
    assert found["Demand"].high_usd_per_month is None
    assert found["Demand"].low_usd_per_month is not None


def test_a_rung_for_each_kind_of_provider_and_for_one_region(catalog):
    requested = {}

    def solve(question):
        requested[question.prices.tiers, question.prices.regions] = question.prices
        if question.prices.tiers == ("marketplace",):
            raise InputError("no offer is left to choose from")
        return answer(question)

    rungs = ladder(build.plan(), catalog, solve)
    names = [r.name.partition(" (")[0] for r in rungs]
    assert names == ["marketplace", "cloud", "hyperscaler", "one region"]
    assert rungs[0].usd_per_month is None
    assert "no offer" in rungs[0].what
    assert rungs[1].usd_per_gpu_hour == pytest.approx(50 / 8)
    assert rungs[1].usd_per_month == pytest.approx(50 * 730)
    one = next(p for p in requested.values() if p.regions != "all")
    assert len(one.regions) == len(one.providers) == 1
    assert "any" not in one.regions
