import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.money.ownership import (
    AddedServers,
    OwnedServer,
    growing_ledger,
    ownership_cost,
    ownership_ledger,
)
from planner.money.rates import present_value_usd

SERVER = OwnedServer(
    name="8x h100", gpu="h100", gpus=8, price_usd=350_400, life_years=4, residual_share=0.25,
    max_power_kw=10.0, idle_power_kw=2.0, pue=1.5, tariff_usd_per_kwh=0.10,
    colocation_usd_per_kw_month=146.0, network_share_per_year=0.01,
    maintenance_share_per_year=0.02, staff_usd_per_year=8_760,
)  # fmt: skip


def test_every_part_against_hand_arithmetic():
    cost = ownership_cost(SERVER, utilisation=0.5, capital_rate=0.08)
    assert cost.depreciation == pytest.approx(350_400 * 0.75 / 4 / 8760)
    assert cost.capital == pytest.approx(0.08 * 350_400 * 1.25 / 2 / 8760)
    assert cost.energy == pytest.approx(6.0 * 1.5 * 0.10)
    assert cost.colocation == pytest.approx(10 * 146 / 730)
    assert cost.network == pytest.approx(0.4)
    assert cost.maintenance == pytest.approx(0.8)
    assert cost.staff == pytest.approx(1.0)
    assert cost.total == pytest.approx(sum(dataclasses.astuple(cost)))


def test_existing_stock_still_pays_to_run():
    owned = dataclasses.replace(SERVER, existing=True)
    new = ownership_cost(SERVER, utilisation=0.5, capital_rate=0.08)
    old = ownership_cost(owned, utilisation=0.5, capital_rate=0.08)
    assert (old.depreciation, old.capital) == (0, 0)
    assert old.total == pytest.approx(new.running)
    assert old.total > 0
    flows = ownership_ledger(owned, 3, 12, utilisation=0.5, ends=True).flows
    assert math.fsum(f.usd for f in flows) == pytest.approx(3 * 12 * 730 * new.running)


@given(lives=st.integers(1, 3), servers=st.integers(1, 9), lead=st.integers(0, 9))
def test_over_whole_lives_cash_is_the_hourly_cost_without_capital(lives, servers, lead):
    """Purchase less residual value is exactly straight-line depreciation over whole lives."""
    server = dataclasses.replace(SERVER, lead_time_months=lead)
    months = lead + 48 * lives
    paid = ownership_ledger(server, servers, months, utilisation=0.3, ends=False)
    hourly = ownership_cost(server, utilisation=0.3, capital_rate=0.0).total
    assert paid.left_usd == 0
    assert paid.cost_usd == pytest.approx(servers * hourly * 730 * 48 * lives)
    assert max(f.month for f in paid.flows) <= months


@given(months=st.integers(1, 120), lead=st.integers(0, 9))
def test_selling_at_the_end_costs_what_leaving_them_in_use_does(months, lead):
    server = dataclasses.replace(SERVER, lead_time_months=lead)
    goes_on, over = (
        ownership_ledger(server, 2, months, utilisation=0.3, ends=e) for e in (False, True)
    )
    assert goes_on.cost_usd == pytest.approx(over.cost_usd)
    assert over.left_usd == 0
    assert goes_on.cash_usd(months) == pytest.approx(over.cash_usd(months) + goes_on.left_usd)


@given(rate=st.floats(0.02, 0.15))
def test_capital_cost_approximates_discounting_over_a_life(rate):
    """Half the rate on the average balance against the exact levelised price: within 8 %."""
    flows = ownership_ledger(SERVER, 1, 48, utilisation=0.5, ends=True).flows
    months = present_value_usd(
        [dataclasses.replace(flows[0], month=m, usd=730.0) for m in range(1, 49)], rate
    )
    exact = present_value_usd(flows, rate) / months
    assert ownership_cost(SERVER, utilisation=0.5, capital_rate=rate).total == pytest.approx(
        exact, rel=0.08
    )


def test_resale_falls_by_a_constant_share_between_the_ages_it_is_known_at():
    assert SERVER.residual_usd(0) == 350_400
    assert SERVER.residual_usd(24) == pytest.approx(350_400 * 0.25**0.5)
    assert SERVER.residual_usd(48) == SERVER.residual_usd(480) == pytest.approx(350_400 * 0.25)


def test_a_server_of_three_years_is_worth_what_the_market_pays():
    """Straight line to 15 % after five years would be 49 % at month 36; 25 to 35 % is paid."""
    server = dataclasses.replace(
        SERVER, life_years=5, residual_share=0.15, resale=((36, 0.3),), lead_time_months=3
    )
    assert server.residual_usd(36) == pytest.approx(0.3 * 350_400)
    assert server.residual_usd(48) == pytest.approx(0.3 * 0.5**0.5 * 350_400)
    left = ownership_ledger(server, 1, 36, utilisation=0.5, ends=False).left_usd
    assert left == pytest.approx(0.3 ** (33 / 36) * 350_400)


def test_a_worthless_end_is_reached_in_a_straight_line():
    server = dataclasses.replace(SERVER, residual_share=0.0)
    assert server.residual_usd(24) == pytest.approx(0.5 * 350_400)


@given(after=st.integers(0, 30), lead=st.integers(0, 9), ends=st.booleans())
def test_servers_added_later_cost_what_they_would_over_the_months_that_are_left(after, lead, ends):
    server = dataclasses.replace(SERVER, lead_time_months=lead)
    more = AddedServers(3, after)
    ordered = max(0, after - lead)
    grown = growing_ledger(server, 2, [more], 48, utilisation=0.5, ends=ends)
    first = ownership_ledger(server, 2, 48, utilisation=0.5, ends=ends)
    later = ownership_ledger(server, 3, 48 - ordered, utilisation=0.5, ends=ends)
    assert grown.cost_usd == pytest.approx(first.cost_usd + later.cost_usd)
    assert grown.left_usd == pytest.approx(first.left_usd + later.left_usd)
    moved = [dataclasses.replace(f, month=f.month + ordered) for f in later.flows]
    for month in range(49):
        apart = sum(f.usd for f in (*first.flows, *moved) if f.month <= month)
        assert grown.cash_usd(month) == pytest.approx(apart)
