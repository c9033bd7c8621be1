"""A plan as a spreadsheet that keeps calculating: change a price or a count and every total follows.

Inputs are coloured; whatever follows from them is a formula over named cells, with the plan's own
value stored beside it for readers that do not calculate. Text is always text, never a formula.
"""

from __future__ import annotations

import io

from planner.comparison.findings import Findings
from planner.comparison.naming import rented
from planner.plan import Plan
from planner.reporting.document import Quantity, letter
from planner.reporting.extras import need
from planner.reporting.plan_document import headline
from planner.reporting.workbook import Sheet, Workbook
from planner.units import HOURS_PER_MONTH, HOURS_PER_YEAR

_ORDER_TOP = 4
_FLOW_TOP = 4


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
        _order(summary, plan)
        _totals(summary, plan)
        _options(options, plan)
        _cash_flow(flow, findings)
        _ways(options, findings)
    else:
        _infeasible(summary, plan)
    _texts(assumptions, plan)
    _sources(sources, plan, findings)
    book.close()
    return buffer.getvalue()


def _order(sheet: Sheet, plan: Plan) -> None:
    """The order: count and price are inputs, the amount follows."""
    sheet.title(headline(plan))
    sheet.heads(
        _ORDER_TOP - 1,
        ("Provider", "Region", "Instance type", "Term", "GPU", "GPUs per node", "Nodes",
         "USD per node-hour", "Share of time", "USD per hour", "GPUs"),
    )  # fmt: skip
    for i, n in enumerate(rented(plan)):
        row = _ORDER_TOP + i
        for column, text in enumerate((n.provider, n.region, n.instance_type, n.term, n.gpu)):
            sheet.text(row, column, text)
        sheet.number(row, 5, n.gpus_per_node, Quantity.COUNT)
        sheet.number(row, 6, n.count, Quantity.COUNT, is_input=True)
        sheet.number(row, 7, n.usd_per_hour_each, Quantity.USD, is_input=True)
        sheet.number(row, 8, n.hours_share, Quantity.SHARE, is_input=True)
        line = row + 1
        sheet.formula(row, 9, f"=G{line}*H{line}*I{line}", n.usd_per_hour, Quantity.USD)
        sheet.formula(row, 10, f"=F{line}*G{line}", n.count * n.gpus_per_node, Quantity.COUNT)
    sheet.widths(26, 14, 22, 14, 20, 14, 10, 18, 14, 14, 8)


def _totals(sheet: Sheet, plan: Plan) -> None:
    totals = plan.totals
    assert totals is not None
    first, last = _ORDER_TOP + 1, _ORDER_TOP + len(rented(plan))
    top = last + 1
    lines = (
        ("Cost per hour", "Cost_per_hour", f"=SUM(J{first}:J{last})", totals.usd_per_hour),
        (
            "Cost per month",
            "Cost_per_month",
            "=Cost_per_hour*Hours_per_month",
            totals.usd_per_month,
        ),
        ("Cost per year", "Cost_per_year", "=Cost_per_hour*Hours_per_year", totals.usd_per_year),
        (
            "Cost over 3 years",
            "Cost_over_3_years",
            "=3*Cost_per_year",
            3 * totals.usd_per_year,
        ),
        (
            "Per million input tokens",
            "Cost_per_million_input_tokens",
            "=Cost_per_hour/(Rate*3600*Input_tokens)*1000000",
            totals.usd_per_million_input_tokens,
        ),
        (
            "Per million output tokens",
            "Cost_per_million_output_tokens",
            "=Cost_per_hour/(Rate*3600*Output_tokens)*1000000",
            totals.usd_per_million_output_tokens,
        ),
        (
            "Per million tokens",
            "Cost_per_million_tokens",
            "=Cost_per_hour/(Rate*3600*(Input_tokens+Output_tokens))*1000000",
            totals.usd_per_million_tokens,
        ),
    )
    for i, (label, name, formula, value) in enumerate(lines):
        if value is None or (not totals.usd_per_hour and "million" in name):
            continue  # a free fleet does not tell how many tokens it serves
        sheet.text(top + i, 0, label, strong=True)
        sheet.formula(top + i, 1, formula, value, Quantity.USD, name=name)
    after = top + len(lines)
    for i, (label, name, column, count) in enumerate(
        (
            ("GPUs rented", "GPUs_rented", "K", totals.gpus_rented),
            ("Nodes", "Nodes", "G", totals.nodes),
        )
    ):
        sheet.text(after + i, 0, label, strong=True)
        formula = f"=SUM({column}{first}:{column}{last})"
        sheet.formula(after + i, 1, formula, count, Quantity.COUNT, name=name)
    sheet.text(after + 2, 0, "GPUs in use", strong=True)
    sheet.number(after + 2, 1, totals.gpus, Quantity.COUNT)
    sheet.text(after + 4, 0, "Coloured cells are inputs: change them and the totals follow.")


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
    sheet.heads(2, ("Input", "Value", "Unit"))
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


def _options(sheet: Sheet, plan: Plan) -> None:
    """The plan and what lost, by hour, month and year, against the plan."""
    assert plan.totals is not None
    sheet.title("Options")
    sheet.heads(
        2,
        ("Option", "GPUs", "USD per hour", "USD per month", "USD per year", "More per month",
         "Against the plan", "Why not"),
    )  # fmt: skip
    own = plan.totals.usd_per_hour
    others = [*([plan.native_precision] if plan.native_precision else []), *plan.alternatives]
    entries = [("This plan", plan.totals.gpus_rented, own, ""), *(
        (a.label, a.gpus, a.usd_per_hour, a.reason) for a in others
    )]  # fmt: skip
    for i, (label, gpus, hourly, reason) in enumerate(entries):
        row, line = 3 + i, 4 + i
        sheet.text(row, 0, label)
        if i == 0:
            sheet.formula(row, 1, "=GPUs_rented", gpus, Quantity.COUNT)
            sheet.formula(row, 2, "=Cost_per_hour", hourly, Quantity.USD)
        else:
            sheet.number(row, 1, gpus, Quantity.COUNT, is_input=True)
            sheet.number(row, 2, hourly, Quantity.USD, is_input=True)
        per_month, per_year = hourly * HOURS_PER_MONTH, hourly * HOURS_PER_YEAR
        more = (hourly - own) * HOURS_PER_MONTH
        sheet.formula(row, 3, f"=C{line}*Hours_per_month", per_month, Quantity.USD)
        sheet.formula(row, 4, f"=C{line}*Hours_per_year", per_year, Quantity.USD)
        sheet.formula(row, 5, f"=D{line}-Cost_per_month", more, Quantity.USD)
        if own:
            sheet.formula(row, 6, f"=C{line}/Cost_per_hour-1", hourly / own - 1, Quantity.SHARE)
        sheet.text(row, 7, reason)
    sheet.widths(58, 10, 15, 15, 15, 15, 16, 60)
    sheet.below(3 + len(entries) + 1)


def _cash_flow(sheet: Sheet, findings: Findings) -> None:
    """Month by month for every way to pay; the plan's own column follows its cost."""
    sheet.title("Cash flow by month, USD")
    ways = [p for p in findings.purchases if p.cash_flow_usd]
    sheet.heads(_FLOW_TOP - 1, ("Month", *(p.way for p in ways), "Discount factor"))
    months = len(ways[0].cash_flow_usd) if ways else 0
    discount = letter(1 + len(ways))
    rate = findings.discount_rate or 0.0
    for month in range(months):
        row = _FLOW_TOP + month
        sheet.number(row, 0, month, Quantity.COUNT)
        for column, way in enumerate(ways, start=1):
            amount = way.cash_flow_usd[month]
            if way.planned and month:
                sheet.formula(row, column, "=Cost_per_month", amount, Quantity.USD)
            else:
                sheet.number(row, column, amount, Quantity.USD, is_input=True)
        factor = (1 + rate) ** (-month / 12)
        formula = f"=(1+Discount_rate)^(-A{row + 1}/12)"
        sheet.formula(row, 1 + len(ways), formula, factor, Quantity.NUMBER)
    first, last = _FLOW_TOP + 1, _FLOW_TOP + months
    for i, label in enumerate(("Over 3 years", "Present value, 3 years")):
        row = _FLOW_TOP + months + 1 + i
        sheet.text(row, 0, label, strong=True)
        for column, way in enumerate(ways, start=1):
            flow = f"{letter(column)}{first}:{letter(column)}{last}"
            total, worth = way.usd_three_years or 0.0, way.present_value_usd or 0.0
            if i == 0:
                sheet.formula(row, column, f"=SUM({flow})", total, Quantity.USD)
            else:
                weights = f"{discount}{first}:{discount}{last}"
                sheet.formula(row, column, f"=SUMPRODUCT({flow},{weights})", worth, Quantity.USD)
    sheet.widths(24, *(18 for _ in ways), 16)
    sheet.freeze(_FLOW_TOP, 1)


def _ways(sheet: Sheet, findings: Findings) -> None:
    """Every way to pay, its three years taken from the cash-flow sheet."""
    if not findings.purchases:
        return
    top = sheet.next_row
    sheet.text(top, 0, "Ways to pay", strong=True)
    sheet.heads(
        top + 1,
        (
            "Way",
            "",
            "Upfront",
            "Mean per month",
            "1 year",
            "3 years",
            "Present value, 3 years",
            "What",
        ),
    )
    known = [p for p in findings.purchases if p.cash_flow_usd]
    for i, way in enumerate(findings.purchases):
        row = top + 2 + i
        sheet.text(row, 0, f"{way.way} (planned)" if way.planned else way.way)
        sheet.text(row, 7, way.what)
        if way.usd_three_years is None or way.upfront_usd is None:
            sheet.text(row, 5, "-")
            continue
        column = letter(1 + known.index(way))
        end = _FLOW_TOP + len(way.cash_flow_usd)
        total = f"'Cash flow'!{column}{end + 2}"
        sheet.formula(
            row, 2, f"='Cash flow'!{column}{_FLOW_TOP + 1}", way.upfront_usd, Quantity.USD
        )
        sheet.formula(row, 3, f"={total}/36", way.usd_per_month or 0.0, Quantity.USD)
        if way.planned:
            sheet.formula(row, 4, "=Cost_per_year", way.usd_one_year or 0.0, Quantity.USD)
        else:
            sheet.number(row, 4, way.usd_one_year or 0.0, Quantity.USD, is_input=True)
        sheet.formula(row, 5, f"={total}", way.usd_three_years, Quantity.USD)
        worth = f"='Cash flow'!{column}{end + 3}"
        sheet.formula(row, 6, worth, way.present_value_usd or 0.0, Quantity.USD)


def _infeasible(sheet: Sheet, plan: Plan) -> None:
    sheet.title(headline(plan))
    if plan.infeasibility is None:
        return
    sheet.heads(2, ("Requirement", "Now", "Would be feasible at", "USD per hour then", "GPUs then"))
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
    sheet.heads(2, ("Price of", "USD per node-hour", "Date", "Confidence", "Source"))
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
