from functools import cache

import plan_builder as build
import pytest

from planner.catalog.store import load_catalog
from planner.comparison.owned import nodes_for
from planner.comparison.purchases import purchases
from planner.fleet.money import CashFlow, present_value_usd

RATE = 0.08
catalog = cache(load_catalog)


def solve(scenario):
    """Spot is half the price, 1-year needs another GPU, 3-year is not to be had."""
    (term,) = scenario.prices.terms
    if term == "spot":
        return build.plan(scenario, nodes=(build.node(term="spot", usd_per_hour_each=10.0),))
    if term == "1-year":
        return build.plan(scenario, nodes=(build.node(term="1-year", gpu="b200", count=2),))
    if term == "3-year":
        return build.infeasible_plan(scenario)
    return build.plan(scenario)


@pytest.fixture(scope="module")
def ways():
    found = purchases(build.plan(), catalog(), RATE, solve)
    return {p.way: p for p in found}


def test_every_way_stands_beside_the_plan(ways):
    assert list(ways) == ["on-demand", "spot", "1-year", "3-year", "owned", "API"]
    assert [w for w, p in ways.items() if p.planned] == ["on-demand"]


def test_rent_is_the_plan_over_the_horizon(ways):
    plan = ways["on-demand"]
    assert plan.usd_per_month == pytest.approx(60 * 730)
    assert plan.usd_one_year == pytest.approx(60 * 8760)
    assert plan.usd_three_years == pytest.approx(3 * 60 * 8760)
    assert plan.present_value_usd == pytest.approx(
        present_value_usd([CashFlow(m, 60 * 730, "") for m in range(1, 37)], RATE)
    )
    assert plan.cash_flow_usd == (0, *([pytest.approx(60 * 730)] * 36))


def test_each_term_gets_its_own_cheapest_fleet(ways):
    assert ways["spot"].usd_one_year == pytest.approx(30 * 8760)
    assert ways["spot"].break_even_month == 0
    assert "b200" in ways["1-year"].what


def test_what_nobody_offers_has_no_cost(ways):
    assert ways["3-year"].usd_three_years is None
    assert ways["3-year"].what == "no fleet is feasible with what is on offer"
    assert ways["API"].usd_three_years is None
    assert "no API price" in ways["API"].what


def test_owned_servers_are_bought_and_keep_a_residual_value(ways):
    owned = ways["owned"]
    assert "3 x hgx-h100-8" in owned.what  # five replicas of four GPUs fill three nodes of eight
    assert owned.upfront_usd == pytest.approx(3 * 300_000)
    assert owned.cash_flow_usd[-1] < 0  # the residual value comes back
    assert owned.cash_flow_usd[1] == pytest.approx(60 * 730)  # rented until delivery


def test_an_api_is_priced_by_the_tokens_it_would_serve():
    model = catalog().api_prices()[0]
    question = build.scenario(model=model.model)
    found = {p.way: p for p in purchases(build.plan(question), catalog(), RATE)}
    same = [r for r in catalog().api_prices() if r.model == model.model]
    cheapest = min(1000 * r.input_usd_per_million + 500 * r.output_usd_per_million for r in same)
    assert found["API"].usd_one_year == pytest.approx(cheapest / 1e6 * 50 * 3600 * 8760)


def test_without_solving_only_what_the_plan_says_is_told():
    found = purchases(build.plan(), catalog(), RATE)
    assert [p.way for p in found] == ["on-demand", "owned", "API"]


def test_an_infeasible_plan_has_nothing_to_pay():
    assert purchases(build.infeasible_plan(), catalog(), RATE, solve) == ()


@pytest.mark.parametrize(
    ("replicas", "per_replica", "node", "expected"),
    [(5, 4, 8, 3), (12, 2, 8, 3), (1, 8, 8, 1), (3, 3, 8, 2), (1, 8, 4, None), (10, 1, 1, 10)],
)
def test_nodes_are_filled_with_whole_replicas(replicas, per_replica, node, expected):
    group = build.group(replicas=replicas, gpus=replicas * per_replica)
    assert nodes_for([group], node) == expected


def test_a_planned_commitment_is_paid_as_committed():
    offer = next(o for o in catalog().offers() if o.term == "3-year" and o.upfront_share == 1)
    offered = {k: getattr(offer, k) for k in ("provider", "region", "instance_type")}
    three = build.node(**offered, term="3-year", count=2, usd_per_hour_each=10.0)
    hourly = build.node(count=1, usd_per_hour_each=7.0)
    (planned, *_) = purchases(build.plan(nodes=(three, hourly)), catalog(), RATE)
    assert planned.way == "3-year + on-demand"
    assert planned.upfront_usd == pytest.approx(20 * 3 * 8760)
    assert planned.usd_three_years == pytest.approx(27 * 3 * 8760)
    assert planned.usd_one_year == pytest.approx(27 * 8760)
    assert planned.cash_flow_usd[1] == pytest.approx(7 * 730)


def test_a_planned_year_is_owed_month_by_month_and_renewed():
    node = build.node(term="1-year", count=1, usd_per_hour_each=10.0)
    (planned, *_) = purchases(build.plan(nodes=(node,)), catalog(), RATE)
    assert planned.upfront_usd == 0
    assert planned.usd_three_years == pytest.approx(10 * 3 * 8760)
    assert planned.liability_usd == 0


def test_nodes_committed_for_part_of_the_time_are_paid_at_their_mean():
    node = build.node(term="3-year", count=1, usd_per_hour_each=10.0, hours_share=0.5)
    (planned, *_) = purchases(build.plan(nodes=(node,)), catalog(), RATE)
    assert planned.upfront_usd == 0
    assert planned.usd_one_year == pytest.approx(5 * 8760)
