"""Nodes held, as rows of a sheet: inputs, what each costs over the horizon, and its cash by month."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.plan.money import Rental
from planner.reporting.document import Quantity
from planner.reporting.formats.workbook import Sheet

HEADS = (
    "Provider", "Region", "Instance type", "Term", "GPU", "GPUs per node", "Nodes",
    "USD per node-hour", "From month", "Months held", "Hours per month", "Months of the term",
    "Share paid upfront", "Months signed", "USD over the horizon",
)  # fmt: skip
WIDTHS = (18, 14, 22, 14, 18, 10, 8, 14, 10, 10, 10, 12, 12, 10, 18)
NUMBERS = range(5, len(HEADS))


@dataclass(frozen=True, slots=True)
class Rows:
    """Where some holdings stand: ``first`` and ``last`` row as the spreadsheet counts, of ``sheet``."""

    sheet: str
    first: int
    last: int

    def column(self, letter: str) -> str:
        """The cells of one column, for a formula on any sheet."""
        return f"'{self.sheet}'!${letter}${self.first}:${letter}${self.last}"

    def paid_in(self, month: str) -> str:
        """A formula of what is paid at the end of a month, given the cell that holds its number.

        Monthly: nodes x price x hours x (1 - share), in the months signed. Upfront: the share of a whole
        term, at the end of the month before each term begins.
        """
        nodes, price, start, held, hours, term, share, signed = (self.column(c) for c in "GHIJKLMN")
        monthly = (
            f"SUMPRODUCT({nodes}*{price}*{hours}*(1-{share}*({term}>0))"
            f"*({month}>={start})*({month}<{start}+{signed}))"
        )
        length = f"({term}+({term}=0))"  # 1 where nothing is committed: no division by zero
        upfront = (
            f"SUMPRODUCT({nodes}*{price}*{hours}*{share}*{term}*({month}>={start}-1)"
            f"*({month}<{start}-1+{held})*(MOD({month}-{start}+1,{length})=0))"
        )
        return f"{monthly}+{upfront}"

    def signed(self) -> str:
        """A formula of all that the terms signed for cost."""
        nodes, price, hours, term, signed = (self.column(c) for c in "GHKLN")
        return f"SUMPRODUCT({nodes}*{price}*{hours}*{signed}*({term}>0))"

    def exit_cost(self, month: str, *, unused: bool) -> str:
        """A formula of what the terms begun by a month still cost, or were paid for and not used.

        Term ``k`` of ``N`` begins at ``start - 1 + k x length``; of the last one begun by then, the months
        left are its end less the month. What is still to come of it is owed, what was prepaid is unused.
        """
        nodes, price, start, hours, term, share, signed = (self.column(c) for c in "GHIKLMN")
        length = f"({term}+({term}=0))"
        begun = f"INT(({month}-{start}+1)/{length})"
        many = f"({signed}/{length})"
        last = f"({begun}*({begun}<{many})+({many}-1)*({begun}>={many}))"
        end = f"({start}-1+({last}+1)*{length}-{month})"
        part = share if unused else f"(1-{share})"
        return (
            f"SUMPRODUCT({nodes}*{price}*{hours}*{part}*({term}>0)*({month}>={start}-1)"
            f"*({end}>0)*{end})"
        )

    def paid_ahead(self) -> str:
        """A formula of what is paid upfront for months after those held."""
        nodes, price, held, hours, share, signed = (self.column(c) for c in "GHJKMN")
        return f"SUMPRODUCT({nodes}*{price}*{hours}*{share}*({signed}-{held}))"

    def cost(self) -> str:
        """A formula of the accrued cost over the horizon."""
        return f"SUM({self.column('O')})"

    def gpus(self) -> str:
        """A formula of the GPUs of all holdings together."""
        return f"SUMPRODUCT({self.column('F')}*{self.column('G')})"

    def nodes(self) -> str:
        """A formula of the nodes of all holdings together."""
        return f"SUM({self.column('G')})"


def write_holdings(
    sheet: Sheet, top: int, rentals: Sequence[Rental], months: int, *, ends: bool
) -> Rows:
    """Rows for ``rentals`` from row ``top`` (counted from 0) on, under heads in the row before.

    What lasts to the end of a horizon of ``months`` follows the horizon when that is changed.
    """
    sheet.heads(top - 1, HEADS, numbers=NUMBERS)
    for i, rental in enumerate(rentals):
        row, line, held = top + i, top + i + 1, rental.holding
        texts = (rental.provider, rental.region, rental.instance_type, rental.term, rental.gpu)
        for column, text in enumerate(texts):
            sheet.text(row, column, text)
        sheet.number(row, 5, rental.gpus_per_node, Quantity.COUNT)
        sheet.number(row, 6, rental.count, Quantity.COUNT, is_input=True)
        price = rental.usd_per_hour_each
        sheet.number(row, 7, price, Quantity.USD_PER_HOUR, is_input=True)
        sheet.number(row, 8, rental.from_month, Quantity.COUNT, is_input=True)
        if rental.from_month + rental.months - 1 == months:
            follows = f"=MAX(0,Horizon_months-I{line}+1)"
            sheet.formula(row, 9, follows, rental.months, Quantity.COUNT)
        else:
            sheet.number(row, 9, rental.months, Quantity.COUNT, is_input=True)
        sheet.number(row, 10, rental.hours_per_month, Quantity.NUMBER, is_input=True)
        sheet.number(row, 11, held.term_months, Quantity.COUNT, is_input=True)
        sheet.number(row, 12, rental.upfront_share, Quantity.SHARE, is_input=True)
        signed = held.months + held.months_beyond
        whole = f"=IF(L{line}>0,ROUNDUP(J{line}/MAX(L{line},1),0)*L{line},J{line})"
        sheet.formula(row, 13, whole, signed, Quantity.COUNT)
        cost = f"=G{line}*H{line}*K{line}*IF(Need_ends=1,N{line},J{line})"
        sheet.formula(row, 14, cost, held.cost_usd(ends=ends), Quantity.USD)
    return Rows(sheet.name, top + 1, top + len(rentals))
