"""What owning costs as the scenario states it; break-even with the servers kept and sold; energy."""

import plan_builder as build
import pytest

from planner.catalog.store import load_catalog
from planner.errors import InputError
from planner.findings.energy import energy_of
from planner.findings.ownership_terms import terms_of
from planner.findings.resale import worth_usd
from planner.findings.schema import OwnedFleet
from planner.findings.ways_to_pay import purchases
from planner.money.ownership import AddedServers, OwnedServer
from planner.scenario.name_checks import check_names


@pytest.fixture(scope="module")
def catalog():
    return load_catalog()


def owned_of(catalog, **ownership):
    plan = build.plan(build.scenario(ownership=ownership) if ownership else None)
    ways = purchases(plan, catalog, 0.08)
    return next(w for w in ways if w.owned is not None)


def test_without_figures_of_its_own_a_scenario_takes_the_catalogs(catalog):
    way = owned_of(catalog)
    rows = {r.item: r.value for r in catalog.ownership()}
    assert way.owned.server.pue == rows["pue"]
    assert way.owned.server.tariff_usd_per_kwh == rows["tariff_usd_per_kwh"]
    assert way.low_usd < way.cost_usd < way.high_usd


def test_every_stated_figure_is_counted_with(catalog):
    way = owned_of(
        catalog, server="hgx-h100-8", server_price={"low": 200e3, "mid": 240e3, "high": 260e3},
        life=4, residual=0.1, resale=0.4, pue=1.2, tariff=0.07, colocation=99, network=0.02,
        maintenance=0.03, staff=1234, lead_time=5, utilization=0.33,
    )  # fmt: skip
    server = way.owned.server
    assert (server.price_usd, server.life_years, server.residual_share) == (240e3, 4, 0.1)
    assert (server.pue, server.tariff_usd_per_kwh) == (1.2, 0.07)
    assert server.colocation_usd_per_kw_month == 99
    assert (server.network_share_per_year, server.maintenance_share_per_year) == (0.02, 0.03)
    assert (server.staff_usd_per_year, server.lead_time_months) == (1234, 5)
    assert server.resale == ((36, 0.4),)
    assert way.owned.utilisation == 0.33
    # Of a price P, the part not got back and the network and maintenance shares of 31 months.
    share = 1 - 0.4 ** (31 / 36) + 0.05 * 31 / 12
    nodes = way.owned.servers
    assert way.high_usd - way.cost_usd == pytest.approx(nodes * 20e3 * share)
    assert way.cost_usd - way.low_usd == pytest.approx(nodes * 40e3 * share)


def test_the_discount_rate_is_the_scenarios(catalog):
    question = build.scenario(ownership={"discount_rate": {"low": 0.05, "mid": 0.1, "high": 0.2}})
    assert terms_of(question, catalog).value("discount_rate") == 0.1


@pytest.mark.parametrize(
    "ownership",
    [
        {"server_price": 1e5},
        {"pue": 0.9},
        {"residual": 1.2},
        {"tariff": {"low": 0.2, "mid": 0.1}},
        {"life": 0},
        {"tarif": 0.1},
    ],
)
def test_figures_that_cannot_be_are_refused(ownership):
    with pytest.raises(ValueError, match=r".+"):
        build.scenario(ownership=ownership)


def test_an_unknown_server_is_named(catalog):
    question = build.scenario(ownership={"server": "hgx-h100-9"})
    with pytest.raises(InputError, match="hgx-h100-9"):
        check_names(question, catalog)


SERVER = OwnedServer(
    "s", "h100", 8, 120_000, 5, 0.1, 10, 2, 1.0, 0.0, 0.0, lead_time_months=0, resale=((36, 0.4),)
)


def test_servers_are_worth_their_price_until_they_are_delivered():
    late = OwnedServer("s", "h100", 8, 100_000, 4, 0.2, 10, 2, 1.0, 0.0, 0.0, lead_time_months=3)
    fleet = OwnedFleet(late, 3, 0.5)
    assert worth_usd(fleet, 0) == worth_usd(fleet, 3) == 300_000
    assert worth_usd(fleet, 3 + 24) == pytest.approx(300_000 * 0.2**0.5)
    assert worth_usd(fleet, 3 + 48) == pytest.approx(60_000)


def test_servers_added_later_are_worth_nothing_until_they_are_ordered():
    late = OwnedServer("s", "h100", 8, 100_000, 4, 0.2, 10, 2, 1.0, 0.0, 0.0, lead_time_months=3)
    fleet = OwnedFleet(late, 3, 0.5, added=(AddedServers(2, 12),))
    aged = 0.2 ** (5 / 48)
    assert worth_usd(fleet, 8) == pytest.approx(300_000 * aged)
    assert worth_usd(fleet, 12) == pytest.approx(300_000 * 0.2 ** (9 / 48) + 200_000)


def test_energy_is_power_by_load_times_pue_and_carbon_its_grid(catalog):
    plan = build.plan(build.scenario(ownership={"pue": 1.25}))
    found = energy_of(plan, catalog)
    row = next(r for r in catalog.servers() if r.name == "hgx-h100-8")
    load = 0.917 * 20 / 24
    kw = 3 * (row.idle_power_kw + load * (row.max_power_kw - row.idle_power_kw))
    assert found.kwh_per_month == pytest.approx(kw * 1.25 * 730)
    assert found.kg_per_month == pytest.approx(found.kwh_per_month * 0.475)
    tokens = 50 * 1500 * 3600 * 730 / 1e6
    assert found.kwh_per_million_tokens == pytest.approx(found.kwh_per_month / tokens)
