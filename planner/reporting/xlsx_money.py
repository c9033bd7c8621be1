"""The money in a spreadsheet: the order, its totals, the options, cash flow by month."""

from __future__ import annotations

from planner.comparison.findings import Findings
from planner.comparison.naming import rented
from planner.plan import Plan
from planner.reporting.document import Quantity, letter
from planner.reporting.plan_document import headline
from planner.reporting.workbook import Sheet
from planner.units import HOURS_PER_MONTH, HOURS_PER_YEAR

_ORDER_TOP = 4
_FLOW_TOP = 4


def write_order(sheet: Sheet, plan: Plan) -> None:
    """The order: count and price are inputs, the amount follows."""
    sheet.title(headline(plan))
    sheet.heads(
        _ORDER_TOP - 1,
        ("Provider", "Region", "Instance type", "Term", "GPU", "GPUs per node", "Nodes",
         "USD per node-hour", "Share of time", "USD per hour", "GPUs"),
        numbers=range(5, 11),
    )  # fmt: skip
    for i, n in enumerate(rented(plan)):
        row = _ORDER_TOP + i
        for column, text in enumerate((n.provider, n.region, n.instance_type, n.term, n.gpu)):
            sheet.text(row, column, text)
        sheet.number(row, 5, n.gpus_per_node, Quantity.COUNT)
        sheet.number(row, 6, n.count, Quantity.COUNT, is_input=True)
        sheet.number(row, 7, n.usd_per_hour_each, Quantity.USD_PER_HOUR, is_input=True)
        sheet.number(row, 8, n.hours_share, Quantity.SHARE, is_input=True)
        line = row + 1
        sheet.formula(row, 9, f"=G{line}*H{line}*I{line}", n.usd_per_hour, Quantity.USD)
        sheet.formula(row, 10, f"=F{line}*G{line}", n.count * n.gpus_per_node, Quantity.COUNT)
    sheet.widths(26, 14, 22, 14, 20, 14, 10, 18, 14, 14, 8)


def write_totals(sheet: Sheet, plan: Plan) -> None:
    """What follows from the order, each under a name of its own."""
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
        unit = Quantity.USD_PER_HOUR if "million" in name else Quantity.USD
        sheet.formula(top + i, 1, formula, value, unit, name=name)
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


def write_options(sheet: Sheet, plan: Plan) -> None:
    """The plan and what lost, by hour, month and year, against the plan."""
    assert plan.totals is not None
    sheet.title("Options")
    sheet.heads(
        2,
        ("Option", "GPUs", "USD per hour", "USD per month", "USD per year", "More per month",
         "Against the plan", "Why not"),
        numbers=range(1, 7),
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


def write_cash_flow(sheet: Sheet, findings: Findings) -> None:
    """Month by month for every way to pay; the plan's own column follows its cost."""
    sheet.title("Cash flow by month, USD")
    ways = [p for p in findings.purchases if p.cash_flow_usd]
    sheet.heads(
        _FLOW_TOP - 1, ("Month", *(p.way for p in ways), "Discount factor"), range(len(ways) + 2)
    )
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


def write_ways(sheet: Sheet, findings: Findings) -> None:
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
        numbers=range(2, 7),
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
