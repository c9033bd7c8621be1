"""Signed as planned, demand turns out otherwise: sunk commitments, and the rest by the hour."""

import plan_builder as build
import pytest

from planner.findings.regret import regrets
from planner.findings.schema import WhatIf
from planner.findings.sensitivity import RATE, RATE_FACTORS
from planner.plan.money import Rental

SIGNED = Rental(
    provider="acme", region="us-east-1", instance_type="h100x8", term="3-year",
    gpu="h100-sxm-80gb", gpus_per_node=8, count=3, usd_per_hour_each=10.0, from_month=1, months=36,
)  # fmt: skip
HOURS = 36 * 730


def signed_plan(*rentals):
    question = build.scenario(prices={"terms": ("on-demand", "3-year")})
    return build.plan(
        question, nodes=(build.node(term="3-year", usd_per_hour_each=10.0),)
    ).model_copy(update={"rentals": rentals})


def by_the_hour(scenario):
    """A node at 20 USD/h for every 17 requests/s beyond what the signed nodes carry (51)."""
    (standing,) = scenario.existing
    assert (standing.nodes, standing.usd_per_hour, standing.region) == (3, 0, "signed")
    assert scenario.prices.terms == ("on-demand",)
    missing = max(0.0, sum(s.rate for s in scenario.services) - 17 * standing.nodes)
    nodes = (build.node(count=1, usd_per_hour_each=20.0 * missing / 17),) if missing else ()
    return build.plan(scenario, nodes=nodes)


def test_what_is_signed_is_paid_whatever_happens():
    best = [20.0, 25.0, 40.0, 50.0, 60.0]
    what_ifs = [WhatIf(RATE, "", usd, 8, ()) for usd in best]
    found = regrets(signed_plan(SIGNED), what_ifs, by_the_hour)
    assert [r.factor for r in found] == list(RATE_FACTORS)
    sunk = 3 * 10.0 * HOURS
    half, *_, twice = found
    assert half.signed_usd == pytest.approx(sunk)
    assert half.regret_usd == pytest.approx(sunk - 20 * HOURS)
    assert twice.signed_usd == pytest.approx(sunk + 20 * (100 - 51) / 17 * HOURS)


def test_hindsight_is_never_dearer_than_what_was_signed():
    """A fleet of whole years alone may cost more than what is signed and a few nodes by the hour."""
    what_ifs = [WhatIf(RATE, "", 500.0, 8, ()) for _ in RATE_FACTORS]
    found = regrets(signed_plan(SIGNED), what_ifs, by_the_hour)
    assert [r.regret_usd for r in found] == [0.0] * len(RATE_FACTORS)


def test_where_nothing_is_signed_there_is_nothing_to_regret():
    assert regrets(build.plan(), [], by_the_hour) == ()


def test_commitments_that_begin_later_are_not_signed_yet():
    later = SIGNED.model_copy(update={"from_month": 7, "months": 30})
    assert regrets(signed_plan(later), [], by_the_hour) == ()
