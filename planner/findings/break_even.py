"""When one way to pay has cost no more than another: by cash alone, and with what is left counted.

Cumulative present values to the end of month ``m`` are compared:

    cash      paid so far
    counted   paid so far - left(m) / (1 + r)^(m / 12)

What is left: of commitments, what was paid ahead for months still to come, as the need goes on until the
horizon; of servers, what they could be sold for. At the horizon's end the counted value is that of the whole
ledger: where the need ends, what is still owed is in it. What servers are then sold for is no cash of these
months, but what is left of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from planner.findings.resale import worth_usd
from planner.findings.schema import OwnedFleet
from planner.money.ledger import SALE, CashLedger, Holding
from planner.money.rates import discount


@dataclass(frozen=True, slots=True)
class PaymentOption:
    """A way to pay month by month: its payments, and what they are for."""

    ledger: CashLedger
    holdings: tuple[Holding, ...] = ()
    owned: OwnedFleet | None = None

    def left_usd(self, month: int) -> float:
        """What is left at the end of a month [USD]."""
        ahead = math.fsum(
            h.usd_per_month * h.upfront_share * h.exit_months(month) for h in self.holdings
        )
        return ahead + (worth_usd(self.owned, month) if self.owned is not None else 0.0)

    @property
    def leaves(self) -> bool:
        """Whether anything is left, or owed where the need ends, at any month of the horizon."""
        months = self.ledger.months
        owes = self.ledger.ends and self.ledger.owed_usd > 0
        return owes or any(self.left_usd(m) for m in range(months + 1))

    def cash(self, annual_rate: float) -> list[float]:
        """Paid by the end of each month of the horizon, in present values [USD]."""
        months = self.ledger.months
        paid = [0.0] * (months + 1)
        for f in self.ledger.flows:
            if f.month < months or (f.month == months and f.item != SALE):
                paid[f.month] += f.usd * discount(f.month, annual_rate)
        return list(itertools.accumulate(paid))

    def counted(self, annual_rate: float) -> list[float]:
        """The same less what is left at each month; at the last, the cost of the horizon [USD]."""
        paid = self.cash(annual_rate)[:-1]
        within = [usd - self.left_usd(m) * discount(m, annual_rate) for m, usd in enumerate(paid)]
        return [*within, self.ledger.present_value_usd(annual_rate)]


def break_even_months(
    way: PaymentOption, baseline: PaymentOption, annual_rate: float
) -> tuple[int | None, int | None]:
    """The first month from which ``way`` has cost no more, to the end of the horizon: cash, and counted.

    0: at no month has it cost more. None where it never has cost less for good. ``annual_rate``: of
    discounting, per year.
    """
    cash, counted = (
        [b - w for w, b in zip(mine, other, strict=True)]
        for mine, other in (
            (way.cash(annual_rate), baseline.cash(annual_rate)),
            (way.counted(annual_rate), baseline.counted(annual_rate)),
        )
    )
    return _first_for_good(cash), _first_for_good(counted)


def _first_for_good(saved: Sequence[float]) -> int | None:
    """The first month from which nothing is lost any more."""
    tolerance = 1e-9 * max(abs(s) for s in saved)
    lost = [month for month, usd in enumerate(saved) if usd < -tolerance]
    first = lost[-1] + 1 if lost else 0
    return first if first < len(saved) else None
