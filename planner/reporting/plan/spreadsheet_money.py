"""The money in a spreadsheet: the order, its totals and the options."""

from __future__ import annotations

from planner.findings.ways_to_pay import rentals_of
from planner.plan.schema import Plan, Totals
from planner.reporting.document import Quantity
from planner.reporting.formats.workbook import Sheet
from planner.reporting.plan.spreadsheet_holdings import WIDTHS, Rows, write_holdings
from planner.reporting.served import serves
from planner.units import HOURS_PER_MONTH, HOURS_PER_YEAR

_ORDER_TOP = 5
MOST_NAMED = 4


def write_order(sheet: Sheet, plan: Plan) -> Rows:
    """The decision, its cost, and the order: counts, prices and months are inputs."""
    assert plan.totals is not None
    sheet.live_title(*_decision(plan))
    sheet.text(1, 0, "Accrued cost per month", strong=True)
    sheet.formula(1, 1, "=Cost_per_month", plan.totals.usd_per_month, Quantity.USD)
    sheet.text(2, 0, "Coloured cells are inputs: change them and everything else follows.")
    horizon = plan.scenario.horizon
    rows = write_holdings(sheet, _ORDER_TOP, rentals_of(plan), horizon.months, ends=horizon.ends)
    sheet.widths(30, *WIDTHS[1:])
    return rows


def _decision(plan: Plan) -> tuple[str, str]:
    """The headline as a formula over the order's own cells, and what it says now."""
    assert plan.totals is not None
    rentals = rentals_of(plan)[:MOST_NAMED]
    texts, now = [], []
    for i, rental in enumerate(rentals):
        line = _ORDER_TOP + i + 1
        cells = f'G{line}&" x "&C{line}&" at "&A{line}&" ("&B{line}&", "&D{line}&")"'
        texts.append(cells)
        now.append(
            f"{rental.count} x {rental.instance_type} at {rental.provider} "
            f"({rental.region}, {rental.term})"
        )
    more = len(rentals_of(plan)) - len(rentals)
    rest = f" and {more} more" if more else ""
    names = '&" and "&'.join(texts)
    formula = f'={names}&"{rest}: "&TEXT(Cost_per_month,"#,##0")&" USD per month"'
    return formula, f"{' and '.join(now)}{rest}: {plan.totals.usd_per_month:,.0f} USD per month"


def write_totals(sheet: Sheet, plan: Plan, rows: Rows) -> None:
    """What follows from the order, each under a name of its own."""
    totals = plan.totals
    assert totals is not None
    top = rows.last + 1
    lines = _costs(totals, plan.scenario.horizon.months, rows)
    for i, (label, name, formula, value) in enumerate(lines):
        if value is None or (not totals.usd_per_hour and "million" in name):
            continue  # a free fleet does not tell how many tokens it serves
        sheet.text(top + i, 0, label, strong=True)
        unit = Quantity.USD_PER_HOUR if "million" in name else Quantity.USD
        sheet.formula(top + i, 1, formula, value, unit, name=name)
    after = top + len(lines)
    for i, (label, name, formula, count) in enumerate(
        (
            ("GPUs rented at once", "GPUs_rented", rows.gpus(), totals.gpus_rented),
            ("Nodes at once", "Nodes", rows.nodes(), totals.nodes),
        )
    ):
        sheet.text(after + i, 0, label, strong=True)
        if plan.varies:  # the most at any time, not the sum of the rows
            sheet.number(after + i, 1, count, Quantity.COUNT, is_input=True, name=name)
        else:
            sheet.formula(after + i, 1, f"={formula}", count, Quantity.COUNT, name=name)
    sheet.text(after + 2, 0, "GPUs in use", strong=True)
    sheet.number(after + 2, 1, totals.gpus, Quantity.COUNT)


def _costs(
    totals: Totals, months: int, rows: Rows
) -> tuple[tuple[str, str, str, float | None], ...]:
    """(label, name, formula, value) of each cost; None where the plan does not tell it."""
    hourly = f"={rows.cost()}/(Horizon_months*Hours_per_month)"
    horizon = months * totals.usd_per_month
    per_million = (
        ("input tokens", "Input_tokens", totals.usd_per_million_input_tokens),
        ("output tokens", "Output_tokens", totals.usd_per_million_output_tokens),
        ("tokens", "(Input_tokens+Output_tokens)", totals.usd_per_million_tokens),
    )
    return (
        ("Cost per hour", "Cost_per_hour", hourly, totals.usd_per_hour),
        (
            "Cost per month",
            "Cost_per_month",
            "=Cost_per_hour*Hours_per_month",
            totals.usd_per_month,
        ),
        ("Cost per year", "Cost_per_year", "=Cost_per_hour*Hours_per_year", totals.usd_per_year),
        ("Cost over the horizon", "Cost_over_horizon", "=Cost_per_month*Horizon_months", horizon),
        *(
            (
                f"Per million {what}",
                f"Cost_per_million_{what.replace(' ', '_')}",
                f"=Cost_per_hour/(Rate*3600*{tokens})*1000000",
                value,
            )
            for what, tokens, value in per_million
        ),
    )


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
    others = plan.not_chosen
    entries = [("This plan", plan.totals.gpus_rented, own, ""), *(
        (a.label, a.gpus, a.usd_per_hour, "; ".join(filter(None, (serves(a.served_qps), a.reason))))
        for a in others
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
