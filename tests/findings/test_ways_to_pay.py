from functools import cache

import plan_builder as build
import pytest

from planner.catalog.store import load_catalog
from planner.findings.owned_servers import nodes_for
from planner.findings.price_ladder import ladder
from planner.findings.ways_to_pay import purchases
from planner.money.ownership import AddedServers
from planner.money.rates import CashFlow, present_value_usd
from planner.plan.money import Rental

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


def test_every_way_is_beside_the_plan(ways):
    assert list(ways) == ["on-demand", "spot", "1-year", "3-year", "owned", "API"]
    assert [w for w, p in ways.items() if p.planned] == ["on-demand"]


def test_rent_is_the_plan_over_the_horizon(ways):
    plan = ways["on-demand"]
    assert plan.usd_per_month == pytest.approx(60 * 730)
    assert plan.first_year_usd == pytest.approx(60 * 8760)
    assert plan.cost_usd == plan.cash_usd == pytest.approx(3 * 60 * 8760)
    assert (plan.upfront_usd, plan.left_usd, plan.owed_usd) == (0, 0, 0)
    assert plan.present_value_usd == pytest.approx(
        present_value_usd([CashFlow(m, 60 * 730, "") for m in range(1, 37)], RATE)
    )
    assert plan.cash_flow_usd == (0, *([pytest.approx(60 * 730)] * 36))


def test_ways_are_compared_over_the_plans_own_horizon():
    found = purchases(build.plan(build.scenario(horizon={"months": 24})), catalog(), RATE)
    assert found[0].cost_usd == pytest.approx(2 * 60 * 8760)
    assert len(found[0].cash_flow_usd) == 25


def test_each_term_gets_its_own_cheapest_fleet(ways):
    assert ways["spot"].first_year_usd == pytest.approx(30 * 8760)
    assert ways["spot"].break_even_month == 0
    assert "b200" in ways["1-year"].what


def test_what_nobody_offers_has_no_cost(ways):
    assert ways["3-year"].cost_usd is None
    assert ways["3-year"].what == "no fleet is feasible with what is on offer"
    unhosted = build.plan(build.scenario(model="openai-community/gpt2"))
    api = {p.way: p for p in purchases(unhosted, catalog(), RATE)}["API"]
    assert api.cost_usd is None
    assert "no API price" in api.what


def test_a_term_that_serves_less_is_no_way_to_pay_for_the_plan():
    """Where stock is short and priorities decide, a term with nothing on offer cost nothing."""

    def short(scenario):
        plan = solve(scenario)
        served = {"spot": 0.0, "1-year": 0.95}.get(scenario.prices.terms[0], 1.0)
        if plan.totals is None:
            return plan
        services = tuple(
            s.model_copy(update={"served_qps": served * s.served_qps}) for s in plan.services
        )
        return plan.model_copy(update={"services": services})

    plan = build.plan()
    found = {p.way: p for p in purchases(plan, catalog(), RATE, short)}
    assert found["spot"].cost_usd is None
    assert found["spot"].what == f"serves 0 requests/s, the plan {plan.services[0].served_qps:.3g}"
    assert found["1-year"].cost_usd is not None  # as near as the closed form is
    spot = plan.model_copy(update={"scenario": build.scenario(prices={"terms": ("spot",)})})
    assert {rung.usd_per_month for rung in ladder(spot, catalog(), short)} == {None}


def test_owned_servers_are_bought_and_keep_a_value_that_is_said(ways):
    owned = ways["owned"]
    assert "3 x hgx-h100-8" in owned.what  # five replicas of four GPUs fill three nodes of eight
    assert owned.upfront_usd == owned.due_at_signature_usd == pytest.approx(3 * 300_000)
    assert owned.cash_flow_usd[1] == pytest.approx(60 * 730)  # rented until delivery
    left = 0.3 ** (33 / 36)  # 30 % is paid for servers of 36 months; these are 33 months old
    assert owned.left_usd == pytest.approx(3 * 300_000 * left)
    assert f"worth ${3 * 300_000 * left:,.0f} at month 36 (33 % of the price)" in owned.what
    assert owned.cost_usd == pytest.approx(owned.cash_usd - owned.left_usd)


def test_until_delivery_the_rent_is_that_on_demand_not_of_a_commitment():
    """A plan on 3-year terms cannot rent for three months at their rate."""
    three = build.node(term="3-year", usd_per_hour_each=8.0, upfront_share=1.0)

    def on_demand(scenario):
        if scenario.prices.terms != ("on-demand",):
            return build.infeasible_plan(scenario)
        return build.plan(scenario, nodes=(build.node(usd_per_hour_each=21.0),))

    found = {p.way: p for p in purchases(build.plan(nodes=(three,)), catalog(), RATE, on_demand)}
    assert found["owned"].cash_flow_usd[1:4] == pytest.approx([3 * 21 * 730] * 3)
    assert "on-demand is rented" in found["owned"].what


def test_without_solving_the_planned_nodes_are_rented_at_their_own_price_on_demand():
    rows = {(o.provider, o.region, o.instance_type, o.term): o for o in catalog().offers()}
    three = rows["aws", "us-east-1", "p5.48xlarge", "3-year"]
    hourly = rows["aws", "us-east-1", "p5.48xlarge", "on-demand"]
    node = build.node(
        provider="aws", region="us-east-1", instance_type="p5.48xlarge", term="3-year",
        usd_per_hour_each=three.usd_per_hour, upfront_share=three.upfront_share,
    )  # fmt: skip
    found = {p.way: p for p in purchases(build.plan(nodes=(node,)), catalog(), RATE)}
    assert found["owned"].cash_flow_usd[1] == pytest.approx(3 * hourly.usd_per_hour * 730)


def test_servers_without_a_rent_until_delivery_have_no_cost():
    unknown = build.node(term="3-year", upfront_share=1.0)
    found = {p.way: p for p in purchases(build.plan(nodes=(unknown,)), catalog(), RATE)}
    assert found["owned"].cost_usd is None
    assert "until delivery" in found["owned"].what


def test_an_api_is_priced_by_the_tokens_it_would_serve():
    model = catalog().api_prices()[0]
    question = build.scenario(model=model.model)
    found = {p.way: p for p in purchases(build.plan(question), catalog(), RATE)}
    same = [r for r in catalog().api_prices() if r.model == model.model]
    cheapest = min(1000 * r.input_usd_per_million + 500 * r.output_usd_per_million for r in same)
    assert found["API"].first_year_usd == pytest.approx(cheapest / 1e6 * 50 * 3600 * 8760)


def test_without_solving_only_what_the_plan_says_is_reported():
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
    three = build.node(term="3-year", count=2, usd_per_hour_each=10.0, upfront_share=1.0)
    hourly = build.node(count=1, usd_per_hour_each=7.0)
    (planned, *_) = purchases(build.plan(nodes=(three, hourly)), catalog(), RATE)
    assert planned.way == "3-year + on-demand"
    assert planned.upfront_usd == pytest.approx(20 * 3 * 8760)
    assert planned.cost_usd == pytest.approx(27 * 3 * 8760)
    assert planned.first_year_usd == pytest.approx(20 * 3 * 8760 + 7 * 8760)
    assert planned.cash_flow_usd[1] == pytest.approx(7 * 730)


def test_a_planned_year_is_owed_month_by_month_and_renewed():
    node = build.node(term="1-year", count=1, usd_per_hour_each=10.0)
    (planned, *_) = purchases(build.plan(nodes=(node,)), catalog(), RATE)
    assert planned.upfront_usd == 0
    assert planned.cost_usd == pytest.approx(10 * 3 * 8760)
    assert planned.owed_usd == 0


def test_commitments_that_begin_later_are_paid_when_they_begin():
    held = Rental(
        provider="acme", region="us-east-1", instance_type="h100x8", term="3-year",
        gpu="h100-sxm-80gb", gpus_per_node=8, count=2, usd_per_hour_each=10.0, from_month=7,
        months=18, upfront_share=1.0,
    )  # fmt: skip
    question = build.scenario(horizon={"months": 24, "need": "continues"})
    node = build.node(term="3-year", count=2, usd_per_hour_each=10.0, hours_share=0.75)
    plan = build.plan(question, nodes=(node,), rentals=(held,))
    (planned, *_) = purchases(plan, catalog(), RATE)
    assert planned.due_at_signature_usd == 0
    assert planned.cash_flow_usd[6] == planned.upfront_usd == pytest.approx(20 * 730 * 36)
    assert planned.cost_usd == pytest.approx(20 * 730 * 18)
    assert planned.left_usd == pytest.approx(20 * 730 * 18)


def test_an_api_is_paid_for_the_demand_of_each_month():
    model = catalog().api_prices()[0].model
    horizon = {"months": 24, "growth_per_month": 0.05}
    question = build.scenario(model=model, horizon=horizon)
    mean = 50 * sum(1.05**m for m in range(24)) / 24
    plan = build.plan(question)
    served = plan.services[0].model_copy(update={"served_qps": mean})
    plan = plan.model_copy(update={"services": (served,)})
    api = {p.way: p for p in purchases(plan, catalog(), RATE)}["API"]
    assert api.cash_flow_usd[24] / api.cash_flow_usd[1] == pytest.approx(1.05**23)
    per_request = api.cash_flow_usd[1] / (50 * 3600 * 730)
    assert api.cost_usd == pytest.approx(mean * per_request * 3600 * 730 * 24)


def test_servers_of_a_single_stage_are_all_bought_at_the_start_and_say_so():
    for growth, said in ((0.05, True), (0.0, False)):
        horizon = {"months": 24, "growth_per_month": growth}
        found = purchases(build.plan(build.scenario(horizon=horizon)), catalog(), RATE)
        (owned,) = (p for p in found if p.way == "owned")
        assert ("all bought at the start" in owned.what) == said
        assert owned.owned.added == ()


def test_servers_for_a_growing_demand_are_ordered_a_lead_time_before_each_stage():
    """Five replicas of four GPUs at the end; stages of six months need 1, 1, 2 and 3 servers of eight."""
    horizon = {"months": 24, "stages": 4, "growth_per_month": 0.05}
    key = build.group().key("chat")
    running = [build.period(f"month {m}", {key: n}) for m, n in ((1, 1), (7, 2), (13, 4), (19, 5))]
    plan = build.plan(build.scenario(horizon=horizon), periods=tuple(running))
    (owned,) = (p for p in purchases(plan, catalog(), RATE) if p.way == "owned")
    assert owned.owned.servers == 1
    assert owned.owned.added == (AddedServers(1, 12), AddedServers(1, 18))
    price, lead = owned.owned.server.price_usd, owned.owned.server.lead_time_months
    assert owned.upfront_usd == pytest.approx(3 * price)
    assert owned.due_at_signature_usd == pytest.approx(price)
    ordered = [m for m, usd in enumerate(owned.cash_flow_usd) if usd > price]
    assert ordered == [12 - lead, 18 - lead]
    assert "1 more by month 13, 1 more by month 19" in owned.what


def test_servers_that_a_stage_does_not_need_any_more_are_kept():
    horizon = {"months": 24, "stages": 4, "growth_per_month": -0.02}
    key = build.group().key("chat")
    running = [build.period(f"month {m}", {key: n}) for m, n in ((1, 5), (7, 4), (13, 2), (19, 1))]
    plan = build.plan(build.scenario(horizon=horizon), periods=tuple(running))
    (owned,) = (p for p in purchases(plan, catalog(), RATE) if p.way == "owned")
    assert (owned.owned.servers, owned.owned.added) == (3, ())
