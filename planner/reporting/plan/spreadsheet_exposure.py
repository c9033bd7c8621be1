"""What giving up would cost by month, when ways to pay break even, what moves the cost: all formulas."""

from __future__ import annotations

from itertools import accumulate

from planner.findings.resale import worth_usd
from planner.findings.schema import Findings, OwnedFleet, Purchase
from planner.money.rates import discount
from planner.plan.schema import Plan
from planner.reporting.document import Quantity, letter
from planner.reporting.formats.workbook import Sheet
from planner.reporting.plan.spreadsheet_cash import FLOW_TOP, SPARE_MONTHS, known_ways, months_shown
from planner.reporting.plan.spreadsheet_holdings import Rows
from planner.reporting.plan.spreadsheet_servers import orders_of, summed
from planner.units import HOURS_PER_MONTH

TOP = 5
NEVER = "never"


def write_exposure(sheet: Sheet, plan: Plan, rows: Rows) -> None:
    """Cash so far, and what the terms begun by a month still cost were everything given up then."""
    sheet.title("Exposure by month, USD")
    cash = plan.cash
    if cash is None:
        return
    sheet.heads(
        TOP - 1,
        ("Month", "Paid", "Paid so far", "Still owed if cancelled then", "Paid and unused then"),
        range(5),
    )
    last = len(cash.by_month)
    for month in range(last + SPARE_MONTHS):
        row, cell = TOP + month, f"$A{TOP + month + 1}"
        inside = month < last
        sheet.number(row, 0, month, Quantity.COUNT)
        paid = cash.by_month[month] if inside else 0.0
        sheet.formula(row, 1, f"={rows.paid_in(cell)}", paid, Quantity.USD)
        so_far = cash.until(min(month, last - 1))
        sheet.formula(row, 2, f"=SUM($B${TOP + 1}:B{row + 1})", so_far, Quantity.USD)
        for column, unused in ((3, False), (4, True)):
            values = cash.exit_unused_usd if unused else cash.exit_owed_usd
            value = values[month] if inside and values else 0.0
            formula = f"={rows.exit_cost(cell, unused=unused)}"
            sheet.formula(row, column, formula, value, Quantity.USD)
    end = TOP + last + SPARE_MONTHS
    sheet.text(1, 0, "Signed for in all", strong=True)
    sheet.formula(1, 1, f"={rows.signed()}", cash.committed_usd, Quantity.USD, name="Signed_for")
    most = max(
        (a + b for a, b in zip(cash.exit_owed_usd, cash.exit_unused_usd, strict=True)), default=0
    )
    sheet.text(2, 0, "Most that giving up may cost", strong=True)
    pair = f"D{TOP + 1}:D{end}+E{TOP + 1}:E{end}"
    sheet.formula(2, 1, f"=SUMPRODUCT(MAX({pair}))", most, Quantity.USD, name="Most_exposed")
    sheet.widths(30, 18, 18, 24, 22)
    sheet.freeze(TOP, 1)


def write_break_even(sheet: Sheet, findings: Findings) -> None:
    """What each way has saved against the first by a month, in present values; servers kept and sold."""
    sheet.title("Break-even against the plan: saved so far, present values, USD")
    ways = known_ways(findings)
    if len(ways) < 2:
        return
    rate, months = findings.discount_rate or 0.0, months_shown(ways)
    factors = letter(1 + len(ways))
    base = _discounted(ways[0], months, rate)
    columns = [
        (way, sold) for way in ways[1:] for sold in ((False, True) if way.owned else (False,))
    ]
    heads = ("Month", *(_head(way, sold) for way, sold in columns))
    sheet.heads(TOP - 1, heads, range(len(heads)))
    sheet.text(2, 0, "Breaks even at month", strong=True)
    horizon = findings.plan.scenario.horizon.months
    for column, (way, sold) in enumerate(columns, start=1):
        source, here = letter(1 + ways.index(way)), letter(column)
        saved = _saved(base, _discounted(way, months, rate), way, horizon)
        worth = [0.0] * months
        if sold and way.owned is not None:
            worth = [worth_usd(way.owned, m) * discount(m, rate) for m in range(months)]
        for month in range(months):
            row, flow = TOP + month, FLOW_TOP + month + 1
            kept = _kept("'Cash flow'!" + source, way)
            upto = f"'Cash flow'!$B${FLOW_TOP + 1}:$B${flow}-{kept}${FLOW_TOP + 1}:{source}${flow}"
            formula = (
                f"=SUMPRODUCT(({upto})*'Cash flow'!${factors}${FLOW_TOP + 1}:${factors}${flow})"
            )
            if way.owned is not None:
                formula += _sale_back(row, way.owned)
            if sold and way.owned is not None:
                formula += f"+{_worth(row, way.owned)}"
            sheet.formula(row, column, formula, saved[month] + worth[month], Quantity.USD)
        cells = f"{here}{TOP + 1}:{here}{TOP + months}"
        numbers = f"$A${TOP + 1}:$A${TOP + months}"
        lost = f"SUMPRODUCT(MAX(({cells}<-0.005)*({numbers}<=Horizon_months)*({numbers}+1)))"
        values = [s + w for s, w in zip(saved, worth, strict=True)][: horizon + 1]
        below = [m for m, usd in enumerate(values) if usd < -0.005]
        at = below[-1] + 1 if below else 0
        shown = f'=IF({lost}>Horizon_months,"{NEVER}",{lost})'
        sheet.formula(2, column, shown, NEVER if at > horizon else at, Quantity.COUNT)
    for month in range(months):
        sheet.number(TOP + month, 0, month, Quantity.COUNT)
    sheet.widths(30, *(20 for _ in columns))
    sheet.freeze(TOP, 1)


def _head(way: Purchase, sold: bool) -> str:
    if way.owned is None:
        return way.way
    return f"{way.way}, sold then" if sold else f"{way.way}, nothing sold"


def _kept(source: str, way: Purchase) -> str:
    sheet, _, column = source.rpartition("!")
    return f"{sheet}!${column}"


def _sale_back(row: int, owned: OwnedFleet) -> str:
    """What was received for servers at the horizon is no part of what was paid."""
    worth = summed(o.worth_at_horizon for o in orders_of(owned))
    return (
        f"-IF(AND(Need_ends=1,$A{row + 1}>=Horizon_months),"
        f"{worth}*(1+Discount_rate)^(-Horizon_months/12),0)"
    )


def _worth(row: int, owned: OwnedFleet) -> str:
    """Servers sold at a month, discounted."""
    worth = summed(o.worth_in(f"$A{row + 1}") for o in orders_of(owned))
    return f"{worth}*(1+Discount_rate)^(-$A{row + 1}/12)"


def _discounted(way: Purchase, months: int, rate: float) -> list[float]:
    flow = [*way.cash_flow_usd, *([0.0] * (months - len(way.cash_flow_usd)))]
    return [usd * discount(m, rate) for m, usd in enumerate(flow)]


def _saved(base: list[float], mine: list[float], way: Purchase, horizon: int) -> list[float]:
    """Cumulative saving by month; what servers were sold for at the horizon is left out."""
    saved = list(accumulate(a - b for a, b in zip(base, mine, strict=True)))
    sold = way.sold_usd
    return [s - (sold if m >= horizon else 0.0) for m, s in enumerate(saved)]


def write_sensitivity(sheet: Sheet, findings: Findings) -> None:
    """What other inputs would cost, against the plan's cost as it is in this workbook."""
    sheet.title("Sensitivity: solved answers beside the cost of this workbook")
    row = 3
    if findings.swings:
        heads = ("Input", "Low end", "High end", "Per month, low end", "Per month, high end",
                 "Low against the plan", "High against the plan", "Cost of")  # fmt: skip
        sheet.heads(2, heads, numbers=range(3, 7))
        owned = next((p for p in findings.purchases if p.owned is not None), None)
        for swing in findings.swings:
            for column, text in enumerate((swing.input, swing.low, swing.high)):
                sheet.text(row, column, text)
            sheet.text(row, 7, swing.of)
            own = swing.of == "owned" and owned is not None
            base = (owned.usd_per_month if own and owned is not None else None) or _month(findings)
            for column, usd in ((3, swing.low_usd_per_month), (4, swing.high_usd_per_month)):
                if usd is None:
                    sheet.text(row, column, "no fleet")
                    continue
                sheet.number(row, column, usd, Quantity.USD, is_input=True)
                against = "Owned_per_month" if own else "Cost_per_month"
                formula = f"={letter(column)}{row + 1}-{against}"
                sheet.formula(row, column + 2, formula, usd - base, Quantity.USD)
            row += 1
        row += 2
    if findings.what_ifs:
        moved = ("Input", "Changed to", "", "USD per hour", "USD per month", "Against the plan")
        sheet.heads(row - 1, moved, numbers=range(3, 6))
        for what_if in findings.what_ifs:
            sheet.text(row, 0, what_if.input)
            sheet.text(row, 1, what_if.change)
            hourly = what_if.usd_per_hour
            if hourly is None:
                sheet.text(row, 3, "no fleet")
            else:
                month = hourly * HOURS_PER_MONTH
                sheet.number(row, 3, hourly, Quantity.USD, is_input=True)
                sheet.formula(row, 4, f"=D{row + 1}*Hours_per_month", month, Quantity.USD)
                more = month - _month(findings)
                sheet.formula(row, 5, f"=E{row + 1}-Cost_per_month", more, Quantity.USD)
            row += 1
    sheet.widths(26, 22, 16, 18, 18, 20, 20, 14)


def _month(findings: Findings) -> float:
    totals = findings.plan.totals
    return totals.usd_per_month if totals is not None else 0.0
