"""A plan as a spreadsheet that keeps calculating: change a price or a count and every total follows.

Inputs are coloured; whatever follows from them is a formula over named cells, with the plan's own
value stored beside it for readers that do not calculate. Text is always text, never a formula.
"""

from __future__ import annotations

import io

from planner.findings.schema import Findings
from planner.plan.labels import rented
from planner.plan.schema import Plan
from planner.reporting.document import Quantity
from planner.reporting.formats.workbook import Sheet, Workbook
from planner.reporting.optional_packages import need
from planner.reporting.plan import (
    spreadsheet_cash,
    spreadsheet_exposure,
    spreadsheet_inputs,
    spreadsheet_money,
)
from planner.reporting.plan.plan_document import headline


def render(findings: Findings) -> bytes:
    """The workbook's bytes. Raises OutputError when the report extra is missing."""
    xlsxwriter = need("xlsxwriter", "the spreadsheet report")
    buffer = io.BytesIO()
    plan = findings.plan
    book = Workbook(xlsxwriter.Workbook(buffer, {"in_memory": True}))
    book.made_at(plan.provenance.run.created_at)
    names = ("Summary", "Options", "Cash flow", "Exposure", "Break-even", "Sensitivity", "Other ways",
             "Assumptions", "Sources")  # fmt: skip
    sheets = tuple(book.sheet(n) for n in names)
    summary, options, flow, exposure, even, moved, others, assumptions, sources = sheets
    if plan.totals is not None:
        spreadsheet_inputs.write_inputs(assumptions, findings)
        rows = spreadsheet_money.write_order(summary, plan)
        spreadsheet_money.write_totals(summary, plan, rows)
        spreadsheet_money.write_options(options, plan)
        places = spreadsheet_cash.write_others(others, findings, rows)
        spreadsheet_cash.write_cash_flow(flow, findings, places)
        spreadsheet_cash.write_ways(options, findings)
        spreadsheet_exposure.write_exposure(exposure, plan, rows)
        spreadsheet_exposure.write_break_even(even, findings, places)
        spreadsheet_exposure.write_sensitivity(moved, findings)
    else:
        _infeasible(summary, plan)
    _texts(assumptions, plan)
    _sources(sources, plan, findings)
    book.close()
    return buffer.getvalue()


def _infeasible(sheet: Sheet, plan: Plan) -> None:
    sheet.title(headline(plan))
    if plan.infeasibility is None:
        return
    sheet.heads(
        2,
        ("Requirement", "Now", "Would be feasible at", "USD per hour then", "GPUs then"),
        numbers=(3, 4),
    )
    for i, r in enumerate(plan.infeasibility.relaxations):
        for column, text in enumerate((r.requirement, r.current, r.relaxed)):
            sheet.text(3 + i, column, text)
        if r.usd_per_hour is not None:
            sheet.number(3 + i, 3, r.usd_per_hour, Quantity.USD)
        if r.gpus is not None:
            sheet.number(3 + i, 4, r.gpus, Quantity.COUNT)
    sheet.widths(36, 22, 26, 20, 12)


def _texts(sheet: Sheet, plan: Plan) -> None:
    """Assumptions, warnings and evidence in words."""
    row = max(sheet.next_row, 2)
    for heading, lines in (
        ("Assumptions", plan.assumptions),
        ("Warnings", plan.warnings),
        (
            "Evidence",
            tuple(f"{g.label}: {g.evidence}" for g in plan.groups),
        ),
    ):
        if lines:
            sheet.text(row, 0, heading, strong=True)
            for line in lines:
                row += 1
                sheet.text(row, 0, line)
            row += 2


def _sources(sheet: Sheet, plan: Plan, findings: Findings) -> None:
    """Where every price comes from, and what reproduces the plan."""
    sheet.title("Prices and origin")
    sheet.heads(2, ("Price of", "USD per node-hour", "Date", "Confidence", "Source"), numbers=(1,))
    row = 3
    for n in rented(plan):
        sheet.text(row, 0, n.name)
        sheet.number(row, 1, n.usd_per_hour_each, Quantity.USD)
        for column, text in enumerate((n.price_as_of, n.price_confidence, n.price_source), 2):
            sheet.text(row, column, text)
        row += 1
    for p in findings.purchases:
        if p.source and not p.planned:
            for column, text in enumerate((p.way, "", p.as_of, p.confidence, p.source)):
                sheet.text(row, column, text)
            row += 1
    for level in findings.service_levels:
        texts = ("", level.as_of, level.confidence, f"{level.monthly_uptime} ({level.source})")
        for column, text in enumerate((f"Uptime promised by {level.provider}", *texts)):
            sheet.text(row, column, text)
        row += 1
    origin = plan.provenance
    for label, text in (
        ("Status", plan.status),
        ("Planner version", origin.planner_version),
        ("Scenario digest", origin.scenario_digest),
        ("Catalog digest", origin.catalog_digest),
        ("Calibration", origin.calibration),
        ("Solver", f"{plan.solver.name} {plan.solver.version}: {plan.solver.status}"),
    ):
        row += 1
        sheet.text(row, 0, label)
        sheet.text(row, 1, text)
    sheet.widths(48, 20, 14, 14, 80)
