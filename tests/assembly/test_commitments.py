import pytest

from planner.assembly.commitments import liabilities
from planner.plan.money import Rental
from planner.scenario.fleet import Horizon


def rental(term, *, months, from_month=1, upfront_share=0.0, count=2):
    return Rental(
        provider="acme", region="here", instance_type="h100x8", term=term, gpu="h100-sxm-80gb",
        gpus_per_node=8, count=count, usd_per_hour_each=10.0, from_month=from_month, months=months,
        upfront_share=upfront_share,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("term", "horizon", "from_month", "beyond"),
    [
        ("1-year", 12, 1, 0),
        ("3-year", 12, 1, 24),
        ("3-year", 24, 13, 24),
        ("1-year", 18, 1, 6),
    ],
)
def test_what_lies_beyond_the_horizon_is_owed(term, horizon, from_month, beyond):
    held = rental(term, months=horizon - from_month + 1, from_month=from_month)
    text = list(liabilities([held], Horizon(months=horizon, need="continues")))
    if beyond == 0:
        assert text == []
        return
    (warning,) = text
    assert f"{beyond} of those months lie beyond the horizon of {horizon}, " in warning
    assert f"${beyond * 730 * 20:,.0f} still owed" in warning
    assert "not charged" in warning


def test_what_was_paid_upfront_is_not_owed():
    horizon = Horizon(months=12, need="continues")
    (warning,) = liabilities([rental("3-year", months=12, upfront_share=0.5)], horizon)
    assert f"${24 * 730 * 10:,.0f} still owed and ${24 * 730 * 10:,.0f} paid ahead" in warning
    (warning,) = liabilities([rental("3-year", months=12, upfront_share=1.0)], horizon)
    assert "owed" not in warning


def test_where_the_need_ends_the_months_beyond_are_charged():
    (warning,) = liabilities([rental("3-year", months=12)], Horizon(months=12, need="ends"))
    assert "all of it charged to this plan" in warning


def test_rent_by_the_hour_leaves_nothing_owed():
    held = [rental("on-demand", months=12), rental("spot", months=12)]
    assert list(liabilities(held, Horizon(months=12))) == []
