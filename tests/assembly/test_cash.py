"""A plan's cash, GPUs and cost per token, from the price rows and the schedule alone.

Nothing of the product's arithmetic is used: prices are read from the tables, months are counted here.
"""

import csv
import functools
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

import planner
from planner.errors import InputError
from planner.scenario.reader import find_scenario
from planner.scenario.schema import Scenario

PRICES = Path(find_scenario("fleet_growth")).parents[1] / "catalogs" / "prices"
GROWTH = 1.05
MONTHS, STAGE = 24, 6


@functools.cache
def price_rows():
    rows = {}
    for path in PRICES.glob("offers_*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                key = (row["provider"], row["region"], row["instance_type"], row["term"])
                rows[key] = (float(row["usd_per_hour"]), float(row["upfront_share"] or 0))
    rows["existing", "own", "1x l40s", "owned"] = (0.2, 0.0)
    return rows


@functools.cache
def growth():
    return planner.solve("fleet_growth", verify="none", rivals=0)


@functools.cache
def paid():
    """Cash by month of the growth plan: its schedule times its price rows."""
    cash = defaultdict(float)
    started = set()
    for stage, period in enumerate(growth().periods):
        for key, nodes in period.nodes.items():
            offer, _, _ = key.partition(" from month ")
            term = offer.rpartition("/")[2]
            price, share = price_rows()[tuple(offer.split("/"))]
            if term in ("1-year", "3-year") and key not in started:
                started.add(key)
                cash[stage * STAGE] += nodes * price * share * 730 * int(term[0]) * 12
            monthly = price * (1 - share if term in ("1-year", "3-year") else 1)
            for month in range(stage * STAGE + 1, (stage + 1) * STAGE + 1):
                cash[month] += nodes * monthly * 730
    return cash


def test_the_growing_fleet_pays_its_upfronts_when_commitments_begin():
    cash = growth().cash
    for month in range(MONTHS + 1):
        assert cash.by_month[month] == pytest.approx(paid()[month]), month


def test_the_growing_fleets_upfront_is_not_zero():
    """As priced in 2026-07: $239,046, and $205,106 paid in the first 12 months."""
    total = sum(
        nodes * price_rows()[tuple(key.partition(" from ")[0].split("/"))][0] * 730 * 36
        for key, nodes in {k: n for p in growth().periods for k, n in p.nodes.items()}.items()
        if "/3-year" in key
    )
    assert growth().cash.upfront_usd == pytest.approx(total)
    assert total > 0


def test_gpus_are_those_that_stand_at_once():
    most = max(sum(p.nodes.values()) for p in growth().periods)
    assert growth().totals.gpus_rented == growth().totals.nodes == most
    used = max(sum(p.replicas.values()) for p in growth().periods)
    assert sum(n.idle_gpus for n in growth().nodes) == most - used


def test_a_token_costs_what_the_mean_of_all_months_says():
    tokens = sum(30 * GROWTH**m * 730 * 3600 * 300 for m in range(MONTHS))
    cost = growth().totals.usd_per_hour * MONTHS * 730
    assert growth().totals.usd_per_million_output_tokens == pytest.approx(cost / tokens * 1e6)


def short_need(**horizon):
    question = yaml.safe_load(find_scenario("rent_or_buy_70b").read_text(encoding="utf-8"))
    question["prices"] = {"terms": ["on-demand", "3-year"], "providers": ["aws"]}
    question["horizon"] = {"months": 6, **horizon}
    question["search"]["gpus"] = ["h200-sxm-141gb"]
    return Scenario.model_validate(question)


def test_months_beyond_the_horizon_are_not_free():
    """Six months of need never sign a prepayment of three years that costs more than renting."""
    plan = planner.solve(short_need(need="ends"), verify="none", rivals=0)
    assert {n.term for n in plan.nodes} == {"on-demand"}
    (node,) = plan.nodes
    price, _ = price_rows()[node.provider, node.region, node.instance_type, node.term]
    assert plan.cash.accrued_usd == pytest.approx(node.count * price * 730 * 6)
    assert plan.cash.horizon_usd == pytest.approx(plan.cash.accrued_usd)


def test_a_need_that_continues_signs_for_three_years_and_says_so():
    plan = planner.solve(short_need(need="continues"), verify="none", rivals=0)
    (node,) = plan.nodes
    price, share = price_rows()[node.provider, node.region, node.instance_type, "3-year"]
    assert share == 1
    signed = node.count * price * 730 * 36
    assert plan.cash.due_at_signature_usd == pytest.approx(signed)
    assert plan.cash.accrued_usd == pytest.approx(signed / 6)
    assert any(f"${signed * 30 / 36:,.0f} paid ahead" in w for w in plan.warnings)


def test_a_term_that_outlasts_the_horizon_needs_a_word_on_the_need():
    with pytest.raises(InputError, match="3-year commitment outlasts the horizon of 6 months"):
        planner.solve(short_need(), verify="none", rivals=0)
