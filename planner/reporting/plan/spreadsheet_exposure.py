"""What giving up would cost by month, when ways to pay break even, what moves the cost: all formulas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

from planner.findings.break_even import PaymentOption
from planner.findings.schema import Findings, Purchase
from planner.money.ledger import CashLedger
from planner.money.rates import discount
from planner.plan.schema import Plan
from planner.reporting.document import Quantity, letter
from planner.reporting.formats.workbook import Sheet
from planner.reporting.plan.spreadsheet_cash import (
    FLOW_TOP,
    SPARE_MONTHS,
    Places,
    known_ways,
    months_shown,
    present_value_row,
)
from planner.reporting.plan.spreadsheet_holdings import Rows
from planner.reporting.plan.spreadsheet_servers import orders_of, summed
from planner.units import HOURS_PER_MONTH

TOP = 5
NEVER = "never"


@dataclass(frozen=True, slots=True)
class _Written:
    """A way as the break-even sheet compares it, over ``months`` rows; way ``index`` of the cash sheet.

    ``rate``: of discounting, a year; ``horizon`` [months], at whose end the need ``ends`` or not.
    """

    way: Purchase
    index: int
    places: Places
    rate: float
    months: int
    ends: bool
    horizon: int

    def saved_against(self, base: _Written, *, counted: bool) -> list[float]:
        """What it has cost less than ``base`` by each month [USD]."""
        pairs = zip(base._spent(counted=counted), self._spent(counted=counted), strict=True)
        return [theirs - mine for theirs, mine in pairs]

    def formula(self, base: _Written, row: int, factors: str, *, counted: bool) -> str:
        """The same as a formula for the month in row ``row`` (counted from 0).

        ``factors``: the column of the cash sheet with the discount factors.
        """
        top, flow = FLOW_TOP + 1, FLOW_TOP + (row - TOP) + 1
        mine, theirs = self._column, base._column
        upto = (
            f"'Cash flow'!${theirs}${top}:${theirs}${flow}-'Cash flow'!${mine}${top}:${mine}${flow}"
        )
        cash = f"SUMPRODUCT(({upto})*'Cash flow'!${factors}${top}:${factors}${flow})"
        cash += self._sale_back(row)
        if not counted:
            return cash
        month = f"$A{row + 1}"
        left = "".join(
            f"{sign}{way._left(month)}*(1+Discount_rate)^(-{month}/12)"
            for sign, way in (("+", self), ("-", base))
            if way._left(month)
        )
        line = present_value_row(self.months)
        whole = f"'Cash flow'!${theirs}${line}-'Cash flow'!${mine}${line}"
        return f"IF({month}=Horizon_months,{whole},{cash}{left})"

    @property
    def _column(self) -> str:
        return letter(1 + self.index)

    def _sale_back(self, row: int) -> str:
        """What was received for servers at the horizon is no part of what was paid."""
        if self.way.owned is None:
            return ""
        worth = summed(o.worth_at_horizon for o in orders_of(self.way.owned))
        return (
            f"-IF(AND(Need_ends=1,$A{row + 1}>=Horizon_months),"
            f"{worth}*(1+Discount_rate)^(-Horizon_months/12),0)"
        )

    def _left(self, month: str) -> str:
        """A formula of what the way leaves at the month in a cell; empty where it never leaves anything."""
        if self.way.owned is not None:
            return summed(o.worth_in(month) for o in orders_of(self.way.owned))
        if not self.way.rentals:
            return ""
        return f"({self.places[self.way.rentals].exit_cost(month, unused=True)})"

    def _spent(self, *, counted: bool) -> list[float]:
        """Paid by each month less what is left, in present values [USD]."""
        flow = [*self.way.cash_flow_usd, *([0.0] * (self.months - len(self.way.cash_flow_usd)))]
        paid = list(accumulate(usd * discount(m, self.rate) for m, usd in enumerate(flow)))
        sold = self.way.sold_usd if self.way.owned is not None else 0.0
        paid = [usd + (sold if m >= self.horizon else 0.0) for m, usd in enumerate(paid)]
        if not counted:
            return paid
        holdings = tuple(r.holding for r in self.way.rentals)
        option = PaymentOption(CashLedger((), self.horizon, self.ends), holdings, self.way.owned)
        spent = [usd - option.left_usd(m) * discount(m, self.rate) for m, usd in enumerate(paid)]
        spent[self.horizon] = self.way.present_value_usd or 0.0
        return spent


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
    sheet.text(1, 0, "Committed in total", strong=True)
    sheet.formula(1, 1, f"={rows.signed()}", cash.committed_usd, Quantity.USD, name="Signed_for")
    most = max(
        (a + b for a, b in zip(cash.exit_owed_usd, cash.exit_unused_usd, strict=True)), default=0
    )
    sheet.text(2, 0, "Most that giving up may cost", strong=True)
    pair = f"D{TOP + 1}:D{end}+E{TOP + 1}:E{end}"
    sheet.formula(2, 1, f"=SUMPRODUCT(MAX({pair}))", most, Quantity.USD, name="Most_exposed")
    sheet.widths(30, 18, 18, 24, 22)
    sheet.freeze(TOP, 1)


def write_break_even(sheet: Sheet, findings: Findings, places: Places) -> None:
    """What each way has saved against the first by a month, in present values.

    By cash alone, and with what either way leaves at that month counted: servers sold, months paid ahead
    used later.
    """
    sheet.title("Break-even against the plan: saved so far, present values, USD")
    ways = known_ways(findings)
    if len(ways) < 2:
        return
    rate, months = findings.discount_rate or 0.0, months_shown(ways)
    horizon = findings.plan.scenario.horizon
    base = _Written(ways[0], 0, places, rate, months, ends=horizon.ends, horizon=horizon.months)
    columns = [
        (replace(base, way=way, index=index), counted)
        for index, way in enumerate(ways[1:], start=1)
        for counted in ((False, True) if way.leaves or way.owned else (False,))
    ]
    heads = ("Month", *(_head(mine.way, counted) for mine, counted in columns))
    sheet.heads(TOP - 1, heads, range(len(heads)))
    sheet.text(2, 0, "Breaks even at month", strong=True)
    factors = letter(1 + len(ways))
    for column, (mine, counted) in enumerate(columns, start=1):
        here = letter(column)
        saved = mine.saved_against(base, counted=counted)
        for month in range(months):
            formula = mine.formula(base, TOP + month, factors, counted=counted)
            sheet.formula(TOP + month, column, f"={formula}", saved[month], Quantity.USD)
        cells = f"{here}{TOP + 1}:{here}{TOP + months}"
        numbers = f"$A${TOP + 1}:$A${TOP + months}"
        lost = f"SUMPRODUCT(MAX(({cells}<-0.005)*({numbers}<=Horizon_months)*({numbers}+1)))"
        below = [m for m, usd in enumerate(saved[: horizon.months + 1]) if usd < -0.005]
        at = below[-1] + 1 if below else 0
        shown = f'=IF({lost}>Horizon_months,"{NEVER}",{lost})'
        sheet.formula(2, column, shown, NEVER if at > horizon.months else at, Quantity.COUNT)
    for month in range(months):
        sheet.number(TOP + month, 0, month, Quantity.COUNT)
    sheet.widths(30, *(24 for _ in columns))
    sheet.freeze(TOP, 1)


def _head(way: Purchase, counted: bool) -> str:
    if way.owned is not None:
        return f"{way.way}, sold then" if counted else f"{way.way}, nothing sold"
    if not way.leaves:
        return way.way
    return f"{way.way}, with what is left" if counted else f"{way.way}, cash alone"


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
