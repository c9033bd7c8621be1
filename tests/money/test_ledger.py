"""Cash and accrued cost of holdings, against arithmetic of its own."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.money.ledger import Holding, charged, ledger
from planner.money.rates import CashFlow, present_value_usd

HOLDINGS = st.builds(
    Holding,
    nodes=st.integers(1, 9),
    usd_per_hour=st.floats(0.01, 1e3),
    from_month=st.integers(1, 12),
    months=st.integers(1, 60),
    hours_per_month=st.floats(1, 730),
    term_months=st.sampled_from([0, 1, 12, 36]),
    upfront_share=st.sampled_from([0.0, 0.4, 1.0]),
)


def test_a_commitment_is_charged_pro_rata_and_its_rest_is_a_liability():
    held = Holding(1, 10.0, 1, 12, term_months=36)
    assert held.cost_usd(ends=False) == 10 * 730 * 12
    assert held.owed_usd == 10 * 730 * 24
    assert Holding(1, 10.0, 1, 40, term_months=36).owed_usd == 10 * 730 * 32


def test_a_commitment_is_charged_whole_where_the_need_ends():
    held = Holding(1, 10.0, 1, 6, term_months=36, upfront_share=1.0)
    assert held.cost_usd(ends=True) == 10 * 730 * 36
    (paid,) = held.flows()
    assert (paid.month, paid.usd) == (0, 10 * 730 * 36)
    assert charged(6, 36, ends=True) == 6.0
    assert charged(6, 36, ends=False) == charged(6, 0, ends=True) == 1.0


def test_each_renewal_pays_its_own_upfront():
    held = Holding(2, 1.0, 7, 18, term_months=12, upfront_share=0.5)
    assert [f.month for f in held.flows() if f.item == "upfront"] == [6, 18]
    assert held.months_beyond == 6


@given(held=st.lists(HOLDINGS, min_size=1, max_size=4), months=st.integers(1, 72))
def test_cash_and_accrued_cost_differ_by_what_is_paid_ahead_alone(held, months):
    held = [h for h in held if h.from_month + h.months - 1 == months]
    if not held:
        return
    goes_on, over = ledger(held, months, ends=False), ledger(held, months, ends=True)
    ahead = math.fsum(h.paid_ahead_usd for h in held)
    assert goes_on.cash_usd(months) == pytest.approx(over.cash_usd(months))
    assert goes_on.cost_usd == pytest.approx(goes_on.cash_usd(months) - ahead)
    assert over.cost_usd == pytest.approx(over.cash_usd(months) + over.owed_usd)
    for of, ends in ((goes_on, False), (over, True)):
        assert of.cost_usd == pytest.approx(math.fsum(h.cost_usd(ends=ends) for h in held))
        assert of.present_value_usd(0.0) == pytest.approx(of.cost_usd)
    assert math.fsum(over.by_month()) == pytest.approx(over.cost_usd)


def test_what_is_left_is_worth_less_today():
    held = Holding(1, 10.0, 1, 12, term_months=36, upfront_share=1.0)
    found = ledger([held], 12, ends=False).present_value_usd(0.1)
    paid, left = 10 * 730 * 36, 10 * 730 * 24
    assert found == pytest.approx(present_value_usd([CashFlow(0, paid, "")], 0.1) - left / 1.1)


def test_leaving_early_costs_the_rest_of_the_terms_begun():
    held = Holding(2, 1.0, 7, 18, term_months=12, upfront_share=0.5)
    assert [held.exit_months(m) for m in (0, 5, 6, 7, 17, 18, 19, 30)] == [
        0,
        0,
        12,
        11,
        1,
        12,
        11,
        0,
    ]
    assert held.signed_usd == 2 * 730 * 24
    assert Holding(1, 1.0, 1, 12).exit_months(3) == Holding(1, 1.0, 1, 12).signed_usd == 0
