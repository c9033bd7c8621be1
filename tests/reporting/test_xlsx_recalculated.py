"""The spreadsheet calculates: LibreOffice, headless, comes to the plan's numbers and follows inputs.

A converter keeps stored results unless an input changed, so each test changes one first.
"""

import io
import os

import openpyxl
import plan_builder as build
import pytest
from findings_builder import RATE, findings_for
from workbook_reader import SOFFICE, named, priced, recalculated, sums

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
    return openpyxl.load_workbook(io.BytesIO(xlsx.render(findings)))


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


def changed(findings, folder, **inputs):
    """The cash sheet's sums after named inputs were changed, calculated by LibreOffice."""
    folder.mkdir()
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(findings)))
    for name, value in inputs.items():
        book["Assumptions"][named(book, name).coordinate] = value
    return sums(recalculated(book, folder))


@pytest.mark.parametrize("horizon", [{}, {"need": "ends"}, {"growth_per_month": 0.05}])
def test_every_way_to_pay_is_calculated_from_named_inputs(tmp_path, horizon):
    findings = priced(**horizon)
    found = changed(findings, tmp_path / "same")
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
    found = changed(findings, tmp_path / "twice", Rate=100)
    assert found["Cost of the horizon"][3] == pytest.approx(2 * findings.purchases[3].cost_usd)
    assert found["Cost of the horizon"][0] == pytest.approx(findings.purchases[0].cost_usd)


def test_servers_follow_their_price_their_power_and_the_need(tmp_path):
    findings = priced()
    before = findings.purchases[2]
    dear = changed(findings, tmp_path / "dear", Server_price=400_000)
    assert dear["Due at signature"][2] == pytest.approx(2 * 400_000)
    a_kwh = changed(findings, tmp_path / "tariff", Tariff=0.3)["Cost of the horizon"][2]
    energy = 2 * (2 + 0.7 * 8) * 1.5 * 8760 / 12 * 21  # kWh of two servers in 21 months
    assert a_kwh - before.cost_usd == pytest.approx(energy * 0.2)
    over = changed(findings, tmp_path / "over", Need_ends=1)
    assert over["Cost of the horizon"][2] == pytest.approx(before.cost_usd)
    assert over["Left at the horizon"][2] == 0
    signed = 2 * 10.0 * 730 * 36
    assert over["Cost of the horizon"][0] == pytest.approx(signed)


def test_a_longer_horizon_is_calculated_as_if_it_had_been_requested_for(tmp_path):
    found = changed(priced(24), tmp_path / "longer", Horizon_months=36)
    expected = [p.cost_usd for p in priced(36).purchases]
    assert found["Cost of the horizon"] == pytest.approx(expected)


def test_no_formula_fails(hostile, tmp_path):
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(hostile)))
    fresh = recalculated(book, tmp_path)
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
    book = openpyxl.load_workbook(io.BytesIO(xlsx.render(findings_for(plan))))
    fresh = recalculated(book, tmp_path)
    assert named(fresh, "Cost_per_hour").value == pytest.approx(75.0)
