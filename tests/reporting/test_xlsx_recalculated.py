"""The spreadsheet calculates: LibreOffice, headless, comes to the plan's numbers and follows inputs.

A converter keeps stored results unless an input changed, so each test changes one first.
"""

import io
import os
from dataclasses import replace

import openpyxl
import plan_builder as build
import pytest
from findings_builder import RATE, findings_for
from workbook_reader import (
    API,
    SERVER,
    SOFFICE,
    as_workbook,
    named,
    priced,
    recalculated,
    sums,
    sums_with,
)

from planner.money.ownership import AddedServers
from planner.money.rates import CashFlow, present_value_usd
from planner.reporting.plan import spreadsheet as xlsx

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        SOFFICE is None and os.environ.get("PLANNER_REQUIRE_OFFICE") != "1",
        reason="needs LibreOffice (apt install libreoffice-calc)",
    ),
]


@pytest.fixture
def workbook(findings):
    return as_workbook(findings)


def test_recalculation_comes_to_the_plan(workbook, findings, tmp_path):
    stored = openpyxl.load_workbook(io.BytesIO(xlsx.render(findings)), data_only=True)
    fresh = recalculated(workbook, tmp_path)
    compared = 0
    for sheet in workbook:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    value = fresh[sheet.title][cell.coordinate].value
                    kept = stored[sheet.title][cell.coordinate].value
                    where = f"{sheet.title}!{cell.coordinate}"
                    same = kept if isinstance(kept, str) else pytest.approx(kept, rel=1e-9)
                    assert value == same, where
                    compared += 1
    assert compared > 100
    totals = findings.plan.totals
    assert named(fresh, "Cost_per_month").value == pytest.approx(totals.usd_per_month)
    assert named(fresh, "Cost_per_million_output_tokens").value == pytest.approx(
        totals.usd_per_million_output_tokens
    )


def test_a_new_price_and_count_move_every_total(workbook, tmp_path):
    sheet = workbook["Summary"]
    nodes, price = (
        next(c for c in sheet[5] if c.value == head).column_letter
        for head in ("Nodes", "USD per node-hour")
    )
    sheet[f"{nodes}6"], sheet[f"{price}6"] = 5, 31.0
    workbook["Assumptions"][named(workbook, "Rate").coordinate] = 25
    fresh = recalculated(workbook, tmp_path)
    hourly = 5 * 31.0
    assert named(fresh, "Cost_per_hour").value == pytest.approx(hourly)
    assert named(fresh, "Cost_per_year").value == pytest.approx(hourly * 8760)
    assert named(fresh, "GPUs_rented").value == 40
    assert fresh["Summary"]["B2"].value == pytest.approx(hourly * 730)
    tokens = named(fresh, "Cost_per_million_output_tokens").value
    assert tokens == pytest.approx(hourly / (25 * 500 * 3600) * 1e6)
    flow = fresh["Cash flow"]
    assert flow["B6"].value == pytest.approx(hourly * 730)
    flows = [CashFlow(m, hourly * 730, "") for m in range(1, 37)]
    assert sums(fresh)["Cost of the horizon"][0] == pytest.approx(36 * hourly * 730)
    assert sums(fresh)["Present value"][0] == pytest.approx(present_value_usd(flows, RATE))


@pytest.mark.parametrize("horizon", [{}, {"need": "ends"}, {"growth_per_month": 0.05}])
def test_every_way_to_pay_is_calculated_from_named_inputs(tmp_path, horizon):
    findings = priced(**horizon)
    found = sums_with(findings, {"same": {"Rate": 50}}, tmp_path)["same"]
    for label, field in (
        ("Due at signature", "due_at_signature_usd"),
        ("Paid in the first 12 months", "first_year_usd"),
        ("Paid by the horizon", "cash_usd"),
        ("Owed after the horizon", "owed_usd"),
        ("Left at the horizon", "left_usd"),
        ("Cost of the horizon", "cost_usd"),
        ("Present value", "present_value_usd"),
    ):
        expected = [getattr(p, field) for p in findings.purchases]
        assert found[label] == pytest.approx(expected), label


def test_twice_the_rate_is_twice_the_bill_of_the_api(tmp_path):
    findings = priced()
    found = sums_with(findings, {"twice": {"Rate": 100}}, tmp_path)["twice"]
    assert found["Cost of the horizon"][3] == pytest.approx(2 * findings.purchases[3].cost_usd)
    assert found["Cost of the horizon"][0] == pytest.approx(findings.purchases[0].cost_usd)


def test_servers_follow_their_price_their_power_and_the_need(tmp_path):
    findings = priced()
    before = findings.purchases[2]
    found = sums_with(
        findings,
        {"dear": {"Server_price": 400_000}, "a_kwh": {"Tariff": 0.3}, "over": {"Need_ends": 1}},
        tmp_path,
    )
    dear, over = found["dear"], found["over"]
    assert dear["Due at signature"][2] == pytest.approx(2 * 400_000)
    a_kwh = found["a_kwh"]["Cost of the horizon"][2]
    energy = 2 * (2 + 0.7 * 8) * 1.5 * 8760 / 12 * 21  # kWh of two servers in 21 months
    assert a_kwh - before.cost_usd == pytest.approx(energy * 0.2)
    assert over["Cost of the horizon"][2] == pytest.approx(before.cost_usd)
    assert over["Left at the horizon"][2] == 0
    signed = 2 * 10.0 * 730 * 36
    assert over["Cost of the horizon"][0] == pytest.approx(signed)


def test_a_longer_horizon_is_calculated_as_if_it_had_been_requested(tmp_path):
    found = sums_with(priced(24), {"longer": {"Horizon_months": 36}}, tmp_path)["longer"]
    expected = [p.cost_usd for p in priced(36).purchases]
    assert found["Cost of the horizon"] == pytest.approx(expected)


def test_no_formula_fails(hostile, tmp_path):
    fresh = recalculated(as_workbook(hostile), tmp_path)
    errors = [
        f"{sheet.title}!{c.coordinate} {c.value}"
        for sheet in fresh
        for row in sheet.iter_rows()
        for c in row
        if c.data_type == "e"
    ]
    assert errors == []


def test_several_orders_are_summed(tmp_path):
    plan = build.plan(nodes=(build.node(), build.node(term="spot", count=2, usd_per_hour_each=7.5)))
    fresh = recalculated(as_workbook(findings_for(plan)), tmp_path)
    assert named(fresh, "Cost_per_hour").value == pytest.approx(75.0)


MONTHS = 48  # longer than a resale is known for, and shorter than a life


def servers(**changes):
    """Findings whose servers are otherwise."""
    return priced(MONTHS, server=replace(SERVER, **changes))


# each named input: its new value, and the findings that the product comes to with it
INPUTS = {
    "API_input_price": (0.5, lambda: priced(MONTHS, api=replace(API, usd_per_million_input=0.5))),
    "API_output_price": (0.9, lambda: priced(MONTHS, api=replace(API, usd_per_million_output=0.9))),
    "Colocation": (210.0, lambda: servers(colocation_usd_per_kw_month=210.0)),
    "Discount_rate": (0.13, lambda: priced(MONTHS, rate=0.13)),
    "Growth_per_month": (0.02, lambda: priced(MONTHS, growth_per_month=0.02)),
    "Horizon_months": (54, lambda: priced(54)),
    "Idle_power_kW": (3.5, lambda: servers(idle_power_kw=3.5)),
    "Input_tokens": (1500, lambda: priced(MONTHS, fields={"prompt_tokens": 1500})),
    "Lead_time_months": (6, lambda: servers(lead_time_months=6)),
    "Life_months": (48, lambda: servers(life_years=4)),
    "Maintenance_share": (0.03, lambda: servers(maintenance_share_per_year=0.03)),
    "Max_power_kW": (12.0, lambda: servers(max_power_kw=12.0)),
    "Need_ends": (1, lambda: priced(MONTHS, need="ends")),
    "Network_share": (0.05, lambda: servers(network_share_per_year=0.05)),
    "Output_tokens": (700, lambda: priced(MONTHS, fields={"output_tokens": 700})),
    "PUE": (1.2, lambda: servers(pue=1.2)),
    "Resale_share_36_months": (0.45, lambda: servers(resale=((36, 0.45),))),
    "Residual_share": (0.05, lambda: servers(residual_share=0.05)),
    "Server_price": (410_000, lambda: servers(price_usd=410_000)),
    "Servers": (3, lambda: priced(MONTHS, servers=3)),
    "Staff_per_server": (9_000, lambda: servers(staff_usd_per_year=9_000)),
    "Tariff": (0.25, lambda: servers(tariff_usd_per_kwh=0.25)),
    "Utilization": (0.4, lambda: priced(MONTHS, used=0.4)),
}
NOT_CHANGED = {
    "Hours_per_month",
    "Hours_per_year",
    "Rate",
}  # the two conventions; Rate has its test


STEPS = (AddedServers(1, 2), AddedServers(3, 18), AddedServers(2, 30))


def in_steps(**changes):
    """Findings whose servers are bought in steps, the first of which comes too soon for its lead time."""
    given = {"added": STEPS, **changes}
    server = replace(SERVER, **given.pop("server", {}))
    return priced(given.pop("months", MONTHS), server=server, **given)


# the same of what concerns servers that are bought in steps
STEP_INPUTS = {
    "Servers_2": (4, lambda: in_steps(added=(AddedServers(4, 2), *STEPS[1:]))),
    "Servers_4": (1, lambda: in_steps(added=(*STEPS[:2], AddedServers(1, 30)))),
    "Needed_after_3": (9, lambda: in_steps(added=(STEPS[0], AddedServers(3, 9), STEPS[2]))),
    "Lead_time_months": (7, lambda: in_steps(server={"lead_time_months": 7})),
    "Life_months": (24, lambda: in_steps(server={"life_years": 2})),
    "Horizon_months": (60, lambda: in_steps(months=60)),
    "Need_ends": (1, lambda: in_steps(need="ends")),
    "Server_price": (410_000, lambda: in_steps(server={"price_usd": 410_000})),
}


def test_every_named_input_moves_the_sums_as_the_product_does(tmp_path):
    plain = as_workbook(priced(MONTHS))
    inputs = {n for n in plain.defined_names if named(plain, n).data_type == "n"}
    assert inputs == INPUTS.keys() | NOT_CHANGED
    follows(INPUTS, priced(MONTHS), tmp_path / "inputs")


def test_servers_bought_in_steps_follow_their_inputs_too(tmp_path):
    findings = in_steps()
    (way,) = (p for p in findings.purchases if p.owned)
    bought = {m: usd for m, usd in enumerate(way.cash_flow_usd) if usd > 300_000}
    assert bought.keys() == {0, 15, 27}
    follows(STEP_INPUTS, findings, tmp_path / "steps")


def follows(inputs, findings, folder):
    """Each named input is changed by itself, and the sums become those that the product comes to."""
    changed = {name: {name: value} for name, (value, _) in inputs.items()}
    fresh = sums_with(findings, {"unchanged": {}, **changed}, folder)
    before = fresh["unchanged"]
    for name, (_, findings) in inputs.items():
        found, expected = fresh[name], findings().purchases
        assert found != before, name
        for label, field in (
            ("Due at signature", "due_at_signature_usd"),
            ("Paid in the first 12 months", "first_year_usd"),
            ("Left at the horizon", "left_usd"),
            ("Cost of the horizon", "cost_usd"),
            ("Present value", "present_value_usd"),
        ):
            values = [getattr(p, field) for p in expected]
            assert found[label] == pytest.approx(values), f"{name}: {label}"
