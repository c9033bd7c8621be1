"""A plan as a spreadsheet that keeps calculating: change a price or a count and every total follows.

Inputs are coloured; whatever follows from them is a formula over named cells, with the plan's own
value stored beside it for readers that do not calculate. Text is always text, never a formula.
"""

from __future__ import annotations

import io

from planner.comparison.findings import Findings
from planner.comparison.naming import rented
from planner.plan import Plan
from planner.reporting import xlsx_money
from planner.reporting.document import Quantity
from planner.reporting.extras import need
from planner.reporting.plan_document import headline
from planner.reporting.workbook import Sheet, Workbook
from planner.units import HOURS_PER_MONTH, HOURS_PER_YEAR


def render(findings: Findings) -> bytes:
    """The workbook's bytes. Raises OutputError when the report extra is missing."""
    xlsxwriter = need("xlsxwriter", "the spreadsheet report")
    buffer = io.BytesIO()
    plan = findings.plan
    book = Workbook(xlsxwriter.Workbook(buffer, {"in_memory": True}))
    book.made_at(plan.provenance.run.created_at)
    sheets = [book.sheet(n) for n in ("Summary", "Options", "Cash flow", "Assumptions", "Sources")]
    summary, options, flow, assumptions, sources = sheets
    if plan.totals is not None:
        _inputs(assumptions, plan, findings)
        xlsx_money.write_order(summary, plan)
        xlsx_money.write_totals(summary, plan)
        xlsx_money.write_options(options, plan)
        xlsx_money.write_cash_flow(flow, findings)
        xlsx_money.write_ways(options, findings)
    else:
        _infeasible(summary, plan)
    _texts(assumptions, plan)
    _sources(sources, plan, findings)
    book.close()
    return buffer.getvalue()


def _inputs(sheet: Sheet, plan: Plan, findings: Findings) -> None:
    """What the formulas refer to by name."""
    totals = plan.totals
    assert totals is not None
    rate = sum(s.served_qps for s in plan.services)

    def tokens(usd_per_million: float | None) -> float:
        """Mean tokens per request, from their share of the bill."""
        return totals.usd_per_hour / usd_per_million * 1e6 / 3600 / rate if usd_per_million else 0.0

    output_tokens = tokens(totals.usd_per_million_output_tokens)
    sheet.title("What the numbers rest on")
    sheet.heads(2, ("Input", "Value", "Unit"), numbers=(1,))
    rows = (
        ("Hours per month", "Hours_per_month", HOURS_PER_MONTH, "h", Quantity.COUNT),
        ("Hours per year", "Hours_per_year", HOURS_PER_YEAR, "h", Quantity.COUNT),
        ("Mean request rate", "Rate", rate, "requests/s", Quantity.NUMBER),
        (
            "Mean input tokens",
            "Input_tokens",
            tokens(totals.usd_per_million_tokens) - output_tokens,
            "tokens per request",
            Quantity.NUMBER,
        ),
        (
            "Mean output tokens",
            "Output_tokens",
            output_tokens,
            "tokens per request",
            Quantity.NUMBER,
        ),
        ("Discount rate", "Discount_rate", findings.discount_rate or 0.0, "a year", Quantity.SHARE),
    )
    for i, (label, name, value, unit, quantity) in enumerate(rows):
        sheet.text(3 + i, 0, label)
        sheet.number(3 + i, 1, value, quantity, is_input=True, name=name)
        sheet.text(3 + i, 2, unit)
    sheet.widths(44, 16, 22)


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
    row = 11
    for heading, lines in (
        ("Assumptions", plan.assumptions),
        ("Warnings", plan.warnings),
        (
            "Evidence",
            tuple(f"{g.label}: {g.evidence}" for s in plan.services for g in s.replica_groups),
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
        sheet.text(row, 0, f"{n.provider} {n.region} {n.instance_type} {n.term}")
        sheet.number(row, 1, n.usd_per_hour_each, Quantity.USD)
        for column, text in enumerate((n.price_as_of, n.price_confidence, n.price_source), 2):
            sheet.text(row, column, text)
        row += 1
    for p in findings.purchases:
        if p.source and not p.planned:
            for column, text in enumerate((p.way, "", p.as_of, p.confidence, p.source)):
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
