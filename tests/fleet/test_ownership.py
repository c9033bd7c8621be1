import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.fleet.money import present_value_usd
from planner.fleet.ownership import OwnedServer, ownership_cost, ownership_flows

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
    flows = ownership_flows(owned, 3, 12, utilisation=0.5)
    assert math.fsum(f.usd for f in flows) == pytest.approx(3 * 12 * 730 * new.running)


@given(months=st.integers(1, 120), servers=st.integers(1, 9), lead=st.integers(0, 9))
def test_undiscounted_flows_equal_the_hourly_cost_without_capital(months, servers, lead):
    """Purchase less residual value is exactly straight-line depreciation over the months in service."""
    server = dataclasses.replace(SERVER, lead_time_months=lead)
    in_service = months - lead
    flows = ownership_flows(server, servers, months, utilisation=0.3)
    if in_service <= 0:
        return
    hourly = ownership_cost(server, utilisation=0.3, capital_rate=0.0).total
    assert math.fsum(f.usd for f in flows) == pytest.approx(servers * hourly * 730 * in_service)
    assert max(f.month for f in flows) <= months


@given(rate=st.floats(0.02, 0.15))
def test_capital_cost_approximates_discounting_over_a_life(rate):
    """Half the rate on the average balance against the exact levelised price: within 8 %."""
    flows = ownership_flows(SERVER, 1, 48, utilisation=0.5)
    months = present_value_usd(
        [dataclasses.replace(flows[0], month=m, usd=730.0) for m in range(1, 49)], rate
    )
    exact = present_value_usd(flows, rate) / months
    assert ownership_cost(SERVER, utilisation=0.5, capital_rate=rate).total == pytest.approx(
        exact, rel=0.08
    )


def test_residual_value_falls_in_a_straight_line_to_its_share():
    assert SERVER.residual_usd(0) == 350_400
    assert SERVER.residual_usd(24) == pytest.approx(350_400 * (1 - 0.375))
    assert SERVER.residual_usd(48) == SERVER.residual_usd(480) == pytest.approx(350_400 * 0.25)
