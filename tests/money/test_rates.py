import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.money.ledger import Holding
from planner.money.ownership import OwnedServer
from planner.money.rates import (
    CashFlow,
    break_even_rate_of_fixed_fleet_qps,
    break_even_rate_qps,
    levelised_usd_per_hour,
    monthly,
    present_value_usd,
    token_cost,
    usd_per_month,
    usd_per_year,
)
from planner.money.ways_to_pay import ApiPrice, Traffic, bought, called, held, side_by_side

MONEY = st.floats(0.01, 1e4)
RATE = st.floats(0.0, 0.5)


def test_a_month_is_730_hours_and_a_year_8760():
    assert usd_per_month(2.0) == 1460.0
    assert usd_per_year(2.0) == 17520.0


def test_token_cost_at_mean_demand():
    """36 $/h at 10 requests/s of 1000 + 250 tokens: 36 M prompt and 9 M output tokens an hour."""
    cost = token_cost(36.0, 10.0, 1000, 250)
    assert cost.input == pytest.approx(1.0)
    assert cost.output == pytest.approx(4.0)
    assert cost.blended == pytest.approx(36 / 45)


def test_no_tokens_have_no_cost_per_token():
    cost = token_cost(36.0, 0.0, 1000, 250)
    assert (cost.input, cost.output, cost.blended) == (None, None, None)


def test_present_value_of_a_payment_a_year_away():
    assert present_value_usd([CashFlow(12, 110.0, "x")], 0.10) == pytest.approx(100.0)


@given(price=MONEY, months=st.integers(1, 72), rate=RATE)
def test_levelised_price_of_a_constant_rent_is_the_rent(price, months, rate):
    flows = monthly(usd_per_month(price), months, "rent")
    assert levelised_usd_per_hour(flows, months, rate) == pytest.approx(price)


@given(c=MONEY, a=st.floats(1e-6, 1e-2))
def test_a_fixed_fleet_breaks_even_where_both_bills_are_equal(c, a):
    assert break_even_rate_of_fixed_fleet_qps(c, a) * a * 3600 == pytest.approx(c)


def test_a_stepped_fleet_breaks_even_only_where_it_stays_ahead():
    """10 $/h carries 2 requests/s: it wins on full replicas, loses just after each step."""

    def fleet(rate):
        return 10.0 * math.ceil(rate / 2)

    usd_per_request = 2.0 / 3600
    grid = [r / 2 for r in range(1, 81)]
    assert break_even_rate_qps(fleet, usd_per_request, grid) is None
    usd_per_request = 6.0 / 3600
    answer = break_even_rate_qps(fleet, usd_per_request, grid)
    assert answer is not None
    assert all(fleet(r) <= 6.0 * r for r in grid if r >= answer)
    assert fleet(answer - 0.5) > 6.0 * (answer - 0.5)


SERVER = OwnedServer(
    name="8x h100",
    gpu="h100",
    gpus=8,
    price_usd=300_000,
    life_years=5,
    residual_share=0.2,
    max_power_kw=10.0,
    idle_power_kw=2.0,
    pue=1.5,
    tariff_usd_per_kwh=0.10,
    colocation_usd_per_kw_month=200.0,
    maintenance_share_per_year=0.02,
    lead_time_months=3,
)
TRAFFIC = Traffic(rate_qps=10.0, prompt_tokens=1000, output_tokens=250)


def test_side_by_side_against_hand_arithmetic():
    months = 36
    by_the_hour = held("on demand", [Holding(1, 20.0, 1, months)], months, ends=False)
    committed = Holding(1, 12.0, 1, months, term_months=36, upfront_share=0.5)
    ways = [
        by_the_hour,
        held("3 years", [committed], months, ends=False),
        bought("own", SERVER, 1, months, utilisation=0.5, ends=False, meanwhile=by_the_hour.ledger),
        called(ApiPrice("api", 0.5, 1.5), TRAFFIC, months),
    ]
    rent, reserve, own, api = side_by_side(ways, TRAFFIC, months, 0.0)
    assert rent.usd_per_hour == pytest.approx(20.0)
    assert rent.saving_share == 0.0
    assert reserve.saving_share == pytest.approx(0.4)
    assert reserve.upfront_usd == reserve.due_at_signature_usd == pytest.approx(6 * 730 * 36)
    assert reserve.first_year_usd == pytest.approx(6 * 730 * (36 + 12))
    assert own.due_at_signature_usd == 300_000
    running = 6.0 * 1.5 * 0.10 * 730 + 10 * 200.0 + 300_000 * 0.02 / 12
    cash = 300_000 + 33 * running + 3 * 20 * 730
    left = 300_000 * 0.2 ** (33 / 60)
    assert own.cash_usd == pytest.approx(cash)
    assert own.left_usd == pytest.approx(left)
    assert own.cost_usd == own.present_value_usd == pytest.approx(cash - left)
    assert api.usd_per_hour == pytest.approx((1000 * 0.5 + 250 * 1.5) / 1e6 * 36_000)
    assert api.tokens.blended == pytest.approx(875 / 1250)


def test_what_a_server_is_worth_is_cash_only_where_it_is_sold():
    goes_on = bought("own", SERVER, 2, 24, utilisation=1.0, ends=False).ledger
    over = bought("own", SERVER, 2, 24, utilisation=1.0, ends=True).ledger
    worth = 2 * 300_000 * 0.2 ** (21 / 60)
    assert goes_on.by_month()[0] == over.by_month()[0] == 600_000
    assert goes_on.left_usd == pytest.approx(worth)
    assert over.left_usd == 0
    assert goes_on.by_month()[24] - over.by_month()[24] == pytest.approx(worth)
    assert goes_on.cost_usd == pytest.approx(over.cost_usd)


def test_growth_raises_what_an_api_costs():
    growing = Traffic(10.0, 1000, 250, growth_per_month=0.1)
    flows = called(ApiPrice("api", 0.5, 1.5), growing, 3).ledger.flows
    assert flows[2].usd == pytest.approx(flows[0].usd * 1.21)
    assert growing.mean_rate(3) == pytest.approx(10 * (1 + 1.1 + 1.21) / 3)
