"""Workbooks recalculated by LibreOffice, and findings whose every way to pay is worked out."""

import io
import shutil
import subprocess
from dataclasses import replace

import openpyxl
import plan_builder as build
from findings_builder import RATE, rental

from planner.findings.schema import Findings, OwnedFleet, Purchase
from planner.findings.ways_to_pay import traffic_of
from planner.money.ownership import OwnedServer
from planner.money.ways_to_pay import ApiPrice, bought, called, held, side_by_side
from planner.reporting.plan import spreadsheet as xlsx

SOFFICE = shutil.which("soffice") or shutil.which("libreoffice")


def recalculated(book, folder):
    """The workbook's values after LibreOffice calculated every formula anew."""
    folder.mkdir(exist_ok=True)
    path = folder / "report.xlsx"
    book.save(path)  # drops stored results
    return openpyxl.load_workbook(_calculated([path], folder)[0], data_only=True)


def sums_with(findings, inputs, folder):
    """The cash sheet's sums with each set of named inputs, all in one run of the office.

    inputs: by a name of the set, which inputs are changed, and to what.
    """
    folder.mkdir(exist_ok=True)
    book, paths = as_workbook(findings), []
    for name, changed in inputs.items():
        cells = {book["Assumptions"][named(book, n).coordinate]: v for n, v in changed.items()}
        before = {cell: cell.value for cell in cells}
        for cell, value in cells.items():
            cell.value = value
        paths.append(folder / f"{name}.xlsx")
        book.save(paths[-1])
        for cell, value in before.items():
            cell.value = value
    found = _calculated(paths, folder)
    return {
        name: sums(openpyxl.load_workbook(path, data_only=True, read_only=True))
        for name, path in zip(inputs, found, strict=True)
    }


def as_workbook(findings):
    """The report of findings, with its formulas."""
    return openpyxl.load_workbook(io.BytesIO(xlsx.render(findings)))


def _calculated(paths, folder):
    out = folder / "out"
    subprocess.run(
        [
            SOFFICE or "soffice",
            "--headless",
            f"-env:UserInstallation=file://{folder}/profile",
            *("--convert-to", "xlsx", "--outdir", str(out), *map(str, paths)),
        ],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return [out / path.name for path in paths]


def named(book, name):
    sheet, _, cell = book.defined_names[name].attr_text.rpartition("!")
    return book[sheet.strip("'")][cell.replace("$", "")]


def sums(book):
    """What is under the months, by label: one figure for each way to pay."""
    rows = book["Cash flow"].iter_rows(min_row=40, values_only=True)
    return {r[0]: r[1:-1] for r in rows if isinstance(r[0], str)}


SERVER = OwnedServer(
    name="8x h100", gpu="h100", gpus=8, price_usd=300_000, life_years=5, residual_share=0.15,
    max_power_kw=10.0, idle_power_kw=2.0, pue=1.5, tariff_usd_per_kwh=0.10,
    colocation_usd_per_kw_month=150.0, network_share_per_year=0.017,
    maintenance_share_per_year=0.015, staff_usd_per_year=5_000, lead_time_months=3,
    resale=((36, 0.3),),
)  # fmt: skip
API = ApiPrice("API", 0.23, 0.4)


def priced(
    months=24, *, server=SERVER, servers=2, used=0.7, api=API, rate=RATE, fields=None, added=(),
    **horizon,
):  # fmt: skip
    """A plan under a commitment that begins late, with servers and an API beside it.

    used: of the servers' power; added: servers bought later; rate: of discount; fields: others of the
    scenario.
    """
    question = build.scenario(
        horizon={"months": months, "need": "continues", **horizon}, **(fields or {})
    )
    node = build.node(term="3-year", count=2, usd_per_hour_each=10.0, hours_share=0.75)
    late = rental(node).model_copy(
        update={"from_month": 7, "months": months - 6, "hours_per_month": 730, "upfront_share": 0.6}
    )
    hourly = rental(build.node(usd_per_hour_each=21.0, count=2)).model_copy(
        update={"months": months}
    )
    plan = build.plan(question, nodes=(node,), rentals=(late,))
    ends = question.horizon.ends
    ways = (
        held("3-year", [late.holding], months, ends=ends),
        held("on-demand", [hourly.holding], months, ends=ends),
    )
    own = bought(
        "owned", server, servers, months, utilisation=used, ends=ends, meanwhile=ways[1].ledger,
        added=added,
    )  # fmt: skip
    calls = called(api, traffic_of(plan), months)
    text = (
        Purchase("3-year", "", planned=True, rentals=(late,)),
        Purchase("on-demand", "", rentals=(hourly,)),
        Purchase("owned", "", owned=OwnedFleet(server, servers, used, (hourly,), added)),
        Purchase("API", "", api=api),
    )
    rows = side_by_side((*ways, own, calls), traffic_of(plan), months, rate)
    summed = ("cost_usd", "usd_per_month", "left_usd", "due_at_signature_usd", "upfront_usd",
              "first_year_usd", "cash_usd", "owed_usd", "present_value_usd")  # fmt: skip
    purchases = tuple(
        replace(
            purchase,
            cash_flow_usd=way.ledger.by_month(),
            **{f: getattr(row, f) for f in summed},
        )
        for purchase, row, way in zip(text, rows, (*ways, own, calls), strict=True)
    )
    return Findings(plan=plan, purchases=purchases, discount_rate=rate)
