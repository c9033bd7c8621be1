import pytest

from planner.assembly.commitments import liabilities
from planner.catalog.offer import Offer, Term
from planner.plan import NodeCount
from planner.scenario_fleet import Horizon


def node(term, count=2, hours_share=1.0):
    return NodeCount(
        provider="acme", region="here", instance_type="h100x8", term=term, gpu="h100-sxm-80gb",
        gpus_per_node=8, count=count, usd_per_hour_each=10.0, usd_per_hour=10.0 * count * hours_share,
        idle_gpus=0, price_as_of="2026-10-01", price_source="quote", hours_share=hours_share,
    )  # fmt: skip


def offer(term, upfront_share=0.0):
    return Offer(
        "acme", "here", "h100x8", "h100-sxm-80gb", 8, Term(term), 10.0, "2026-10-01", "quote",
        upfront_share=upfront_share,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("term", "months", "hours_share", "beyond"),
    [
        ("1-year", 12, 1.0, 0),
        ("3-year", 12, 1.0, 24),
        ("3-year", 24, 0.5, 24),
        ("1-year", 18, 1.0, 6),
    ],
)
def test_what_lies_beyond_the_horizon_is_owed(term, months, hours_share, beyond):
    told = list(
        liabilities([node(term, hours_share=hours_share)], [offer(term)], Horizon(months=months))
    )
    if beyond == 0:
        assert told == []
        return
    (warning,) = told
    assert f"{beyond} of them" in warning
    assert f"${beyond * 730 * 20:,.0f} still owed" in warning


def test_what_was_paid_upfront_is_not_owed():
    (warning,) = liabilities([node("3-year")], [offer("3-year", 0.5)], Horizon(months=12))
    assert f"${24 * 730 * 10:,.0f} still owed and ${24 * 730 * 10:,.0f} paid ahead" in warning
    (warning,) = liabilities([node("3-year")], [offer("3-year", 1.0)], Horizon(months=12))
    assert "owed" not in warning


def test_rent_by_the_hour_leaves_nothing_owed():
    assert list(liabilities([node("on-demand"), node("spot")], [], Horizon(months=12))) == []
