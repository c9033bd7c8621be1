"""Cash by month for every way to pay, and what it accrues to: formulas over named inputs alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from planner.findings.schema import Findings, Purchase
from planner.money.rates import discount
from planner.plan.money import Rental
from planner.reporting.document import Quantity, letter
from planner.reporting.formats.workbook import Sheet
from planner.reporting.plan.spreadsheet_holdings import WIDTHS, Rows, write_holdings
from planner.reporting.plan.spreadsheet_servers import orders_of, summed

FLOW_TOP = 4
SPARE_MONTHS = 24
API_MONTH = (
    "Rate_first_month*(1+Growth_per_month)^({month}-1)*3600*Hours_per_month"
    "*(Input_tokens*API_input_price+Output_tokens*API_output_price)/1000000"
)

Places = dict[tuple[Rental, ...], Rows]


def write_others(sheet: Sheet, findings: Findings, planned: Rows) -> Places:
    """The nodes of every other way to pay, and those rented until servers arrive; where each stand."""
    sheet.title("Nodes of the other payment options")
    places: Places = {p.rentals: planned for p in findings.purchases if p.planned}
    row = 3
    horizon = findings.plan.scenario.horizon
    for label, rentals in _held(findings):
        if rentals and rentals not in places:
            sheet.text(row - 1, 0, label, strong=True)
            places[rentals] = write_holdings(
                sheet, row + 1, rentals, horizon.months, ends=horizon.ends
            )
            row += len(rentals) + 4
    sheet.widths(*WIDTHS)
    return places


def _held(findings: Findings) -> Iterator[tuple[str, tuple[Rental, ...]]]:
    for way in findings.purchases:
        yield way.way, way.rentals
        if way.owned is not None:
            yield "Until servers are delivered", way.owned.meanwhile


def write_cash_flow(sheet: Sheet, findings: Findings, places: Places) -> None:
    """Month by month for every way to pay, signature first; below, what the horizon costs."""
    sheet.title("Cash by month, USD; what the horizon costs below it")
    ways = known_ways(findings)
    if not ways:
        return
    months = months_shown(ways)
    heads = ("Month", *(w.way for w in ways), "Discount factor")
    sheet.heads(FLOW_TOP - 1, heads, range(len(heads)))
    rate = findings.discount_rate or 0.0
    for month in range(months):
        row = FLOW_TOP + month
        cell = f"$A{row + 1}"
        sheet.number(row, 0, month, Quantity.COUNT)
        for column, way in enumerate(ways, start=1):
            paid = way.cash_flow_usd[month] if month < len(way.cash_flow_usd) else 0.0
            sheet.formula(row, column, f"={_paid_in(way, cell, places)}", paid, Quantity.USD)
        factor = f"=(1+Discount_rate)^(-A{row + 1}/12)"
        sheet.formula(row, 1 + len(ways), factor, discount(month, rate), Quantity.NUMBER)
    _sums(sheet, ways, places, months)
    sheet.widths(34, *(18 for _ in ways), 16)
    sheet.freeze(FLOW_TOP, 1)


def known_ways(findings: Findings) -> list[Purchase]:
    """Every way whose cash is known, in the order of the sheet's columns."""
    return [p for p in findings.purchases if p.cash_flow_usd]


def months_shown(ways: list[Purchase]) -> int:
    """Rows of months: all that are paid in, and more for a horizon that is made longer."""
    return max((len(w.cash_flow_usd) for w in ways), default=0) + SPARE_MONTHS


def present_value_row(months: int) -> int:
    """The line of the sheet, counted from 1, with the present value of each way over ``months`` rows."""
    return _Rows(FLOW_TOP + months + 1).worth + 1


def _paid_in(way: Purchase, month: str, places: Places) -> str:
    """A formula of what a way pays at the end of the month in a cell."""
    if way.api is not None:
        within = f"AND({month}>0,{month}<=Horizon_months)"
        return f"IF({within},{API_MONTH.format(month=month)},0)"
    if way.owned is None and not way.rentals:
        return "0"
    if way.owned is None:
        return places[way.rentals].paid_in(month)
    meanwhile = places.get(way.owned.meanwhile)
    bridge = (
        f"+IF({month}<=MIN(Lead_time_months,Horizon_months),{meanwhile.paid_in(month)},0)"
        if meanwhile
        else ""
    )
    return "+".join(o.paid_in(month) for o in orders_of(way.owned)) + bridge


def _sums(sheet: Sheet, ways: list[Purchase], places: Places, months: int) -> None:
    """Under the months: cash at signature, by the horizon and after it; left; cost; present value."""
    first, last = FLOW_TOP + 1, FLOW_TOP + months
    numbers = f"$A${first}:$A${last}"
    factors = f"${letter(1 + len(ways))}${first}:${letter(1 + len(ways))}${last}"
    counted = f"((Need_ends=1)+({numbers}<=Horizon_months)>0)"
    at = _Rows(FLOW_TOP + months + 1)
    lines: tuple[tuple[str, int, Callable[[str, str, Purchase], str], str], ...] = (
        ("Due at signature", at.signature, lambda c, f, w: f"={c}{first}", "due_at_signature_usd"),
        (
            "Paid in the first 12 months",
            at.year,
            lambda c, f, w: f'=SUMIF({numbers},"<="&MIN(12,Horizon_months),{f})',
            "first_year_usd",
        ),
        (
            "Paid by the horizon",
            at.cash,
            lambda c, f, w: f'=SUMIF({numbers},"<="&Horizon_months,{f})',
            "cash_usd",
        ),
        (
            "Owed after the horizon",
            at.owed,
            lambda c, f, w: f'=SUMIF({numbers},">"&Horizon_months,{f})',
            "owed_usd",
        ),
        ("Left at the horizon", at.left, lambda c, f, w: f"={_left(w, places)}", "left_usd"),
        (
            "Cost of the horizon",
            at.cost,
            lambda c, f, w: f"=SUMPRODUCT({f}*{counted})-{c}{at.left + 1}",
            "cost_usd",
        ),
        (
            "Present value",
            at.worth,
            lambda c, f, w: (
                f"=SUMPRODUCT({f}*{counted}*{factors})"
                f"-{c}{at.left + 1}*(1+Discount_rate)^(-Horizon_months/12)"
            ),
            "present_value_usd",
        ),
    )
    for label, row, formula, field in lines:
        sheet.text(row, 0, label, strong=True)
        for column, way in enumerate(ways, start=1):
            c = letter(column)
            value: float = getattr(way, field)
            written = formula(c, f"{c}{first}:{c}{last}", way)
            sheet.formula(row, column, written, value, Quantity.USD)


class _Rows:
    """Where the sums stand, from row ``top`` (counted from 0) on."""

    def __init__(self, top: int) -> None:
        self.signature, self.year, self.cash, self.owed, self.left, self.cost, self.worth = range(
            top, top + 7
        )


def _left(way: Purchase, places: Places) -> str:
    """A formula of what a way leaves for the time after the horizon."""
    if way.api is not None:
        return "0"
    if way.owned is not None:
        worth = summed(o.worth_at_horizon for o in orders_of(way.owned))
        return f"IF(Need_ends=1,0,{worth})"
    if not way.rentals:
        return "0"
    return f"IF(Need_ends=1,0,{places[way.rentals].paid_ahead()})"


def write_ways(sheet: Sheet, findings: Findings) -> None:
    """Every way to pay, its figures taken from the cash sheet."""
    if not findings.purchases:
        return
    top = sheet.next_row
    sheet.text(top, 0, "Payment options", strong=True)
    heads = ("Way", "Cost of the horizon", "Mean per month", "Due at signature",
             "Paid in the first 12 months", "Owed after the horizon", "Present value", "What")  # fmt: skip
    sheet.heads(top + 1, heads, numbers=range(1, 7))
    known = known_ways(findings)
    at = _Rows(FLOW_TOP + months_shown(known) + 1)
    for i, way in enumerate(findings.purchases):
        row = top + 2 + i
        sheet.text(row, 0, f"{way.way} (planned)" if way.planned else way.way)
        sheet.text(row, 7, way.what)
        if way.cost_usd is None:
            sheet.text(row, 1, "-")
            continue
        column = letter(1 + known.index(way))
        cost = f"'Cash flow'!{column}{at.cost + 1}"
        sheet.formula(row, 1, f"={cost}", way.cost_usd, Quantity.USD)
        monthly = way.usd_per_month or 0.0
        name = "Owned_per_month" if way.owned is not None else None
        sheet.formula(row, 2, f"={cost}/Horizon_months", monthly, Quantity.USD, name=name)
        for place, line, value in (
            (3, at.signature, way.due_at_signature_usd),
            (4, at.year, way.first_year_usd),
            (5, at.owed, way.owed_usd),
            (6, at.worth, way.present_value_usd),
        ):
            formula = f"='Cash flow'!{column}{line + 1}"
            sheet.formula(row, place, formula, value or 0.0, Quantity.USD)
