"""The spreadsheet calculates: LibreOffice, headless, comes to the plan's numbers and follows inputs.

A converter keeps stored results unless an input changed, so each test changes one first.
"""

import io
import os
import shutil
import subprocess

import openpyxl
import plan_builder as build
import pytest
from findings_builder import RATE, findings_for

from planner.fleet.money import CashFlow, present_value_usd
from planner.reporting import xlsx

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        SOFFICE is None and os.environ.get("PLANNER_REQUIRE_OFFICE") != "1",
        reason="needs LibreOffice (apt install libreoffice-calc)",
    ),
]


def recalculated(book, folder):
    """The workbook's values after LibreOffice calculated every formula anew."""
    path = folder / "report.xlsx"
    book.save(path)  # drops stored results
    out = folder / "out"
    subprocess.run(
        [
            SOFFICE or "soffice",
            "--headless",
            f"-env:UserInstallation=file://{folder}/profile",
            *("--convert-to", "xlsx", "--outdir", str(out), str(path)),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return openpyxl.load_workbook(out / "report.xlsx", data_only=True)


def named(book, name):
    sheet, _, cell = book.defined_names[name].attr_text.rpartition("!")
    return book[sheet.strip("'")][cell.replace("$", "")]


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
                    assert value == pytest.approx(kept, rel=1e-9), (
                        f"{sheet.title}!{cell.coordinate}"
                    )
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
        next(c for c in sheet[4] if c.value == head).column_letter
        for head in ("Nodes", "USD per node-hour")
    )
    sheet[f"{nodes}5"], sheet[f"{price}5"] = 5, 31.0
    workbook["Assumptions"][named(workbook, "Rate").coordinate] = 25
    fresh = recalculated(workbook, tmp_path)
    hourly = 5 * 31.0
    assert named(fresh, "Cost_per_hour").value == pytest.approx(hourly)
    assert named(fresh, "Cost_per_year").value == pytest.approx(hourly * 8760)
    assert named(fresh, "GPUs_rented").value == 40
    tokens = named(fresh, "Cost_per_million_output_tokens").value
    assert tokens == pytest.approx(hourly / (25 * 500 * 3600) * 1e6)
    flow = fresh["Cash flow"]
    assert flow["B6"].value == pytest.approx(hourly * 730)
    rows = {r[0].value: r[1].value for r in flow.iter_rows(min_row=40)}
    flows = [CashFlow(m, hourly * 730, "") for m in range(1, 37)]
    assert rows["Over 3 years"] == pytest.approx(36 * hourly * 730)
    assert rows["Present value, 3 years"] == pytest.approx(present_value_usd(flows, RATE))


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
