"""What nodes cost and when they are paid: accrued cost and cash, kept separate.

A holding is a number of nodes of one offer over some months. By the hour it is paid at each month's end:

    nodes x price x paid hours of the month

Under a term it is a contract: it runs for whole terms, renewed until the holding ends, and of each
term's total the ``upfront_share`` falls due when the term starts, the rest at each month's end:

    upfront  = nodes x price x 730 h x term x share
    monthly  = nodes x price x 730 h x (1 - share)

Cash is every one of these payments, also those after the horizon. The accrued cost of a horizon is

    need ends       all of them: what nobody uses is paid all the same
    need continues  those until the horizon less what is paid ahead for the months beyond it

Months count from 1; a payment at month 0 is due at signature.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from planner.money.rates import CashFlow, present_value_usd
from planner.units import HOURS_PER_MONTH

UPFRONT = "upfront"
COMMITMENT = "commitment"
RENT = "rent"
PURCHASE = "purchase"
SALE = "sale"
AHEAD = (UPFRONT, PURCHASE)  # what falls due before it is used


@dataclass(frozen=True, slots=True)
class Holding:
    """``nodes`` at ``usd_per_hour`` each, held for ``months`` from ``from_month`` on (1 = the first).

    ``hours_per_month``: what a node is paid for in a month [h]; ``term_months``: 0 where it is paid
    by the hour; ``upfront_share``: of a term's total, due when the term starts.
    """

    nodes: int
    usd_per_hour: float
    from_month: int
    months: int
    hours_per_month: float = HOURS_PER_MONTH
    term_months: int = 0
    upfront_share: float = 0.0

    @property
    def usd_per_month(self) -> float:
        """What the nodes cost in a month however it is paid [USD]."""
        return self.nodes * self.usd_per_hour * self.hours_per_month

    @property
    def terms(self) -> int:
        """How many terms are signed for; 0 where it is paid by the hour."""
        return math.ceil(self.months / self.term_months) if self.term_months else 0

    @property
    def months_beyond(self) -> int:
        """Months of the last term that lie beyond what is held."""
        return self.terms * self.term_months - self.months if self.term_months else 0

    @property
    def paid_ahead_usd(self) -> float:
        """Paid upfront for the months beyond [USD]."""
        return self.usd_per_month * self.upfront_share * self.months_beyond

    @property
    def owed_usd(self) -> float:
        """Still to be paid for the months beyond [USD]."""
        return self.usd_per_month * (1 - self.upfront_share) * self.months_beyond

    @property
    def signed_usd(self) -> float:
        """All that the terms signed for cost; 0 where it is paid by the hour [USD]."""
        return self.usd_per_month * self.terms * self.term_months

    def exit_months(self, month: int) -> int:
        """Months left of the terms that began by the end of ``month``, were it given up then."""
        begins = range(
            self.from_month - 1, self.from_month - 1 + self.months, self.term_months or 1
        )
        signed = [b for b in begins if b <= month] if self.term_months else []
        return max(0, signed[-1] + self.term_months - month) if signed else 0

    def cost_usd(self, *, ends: bool) -> float:
        """The accrued cost: of whole terms where the need ends, else of the months held [USD]."""
        return self.usd_per_month * (self.months + (self.months_beyond if ends else 0))

    def flows(self) -> tuple[CashFlow, ...]:
        """Every payment, to the end of the last term."""
        before = self.from_month - 1
        if not self.term_months:
            return tuple(
                CashFlow(before + m, self.usd_per_month, RENT) for m in range(1, self.months + 1)
            )
        ahead = self.usd_per_month * self.upfront_share * self.term_months
        starts = range(before, before + self.months, self.term_months)
        upfronts = (CashFlow(month, ahead, UPFRONT) for month in starts if ahead)
        recurring = self.usd_per_month * (1 - self.upfront_share)
        lasting = self.terms * self.term_months if recurring else 0
        monthly = (CashFlow(before + m, recurring, COMMITMENT) for m in range(1, lasting + 1))
        return tuple(sorted((*upfronts, *monthly), key=lambda f: f.month))


@dataclass(frozen=True, slots=True)
class CashLedger:
    """A way to pay over a horizon: every payment, and what is left of it when the horizon ends.

    ``flows``: cash, also beyond the horizon where contracts last longer; ``left_usd``: paid ahead for
    months beyond, or the value of servers still in use (only where the need continues).
    """

    flows: tuple[CashFlow, ...]
    months: int
    ends: bool
    left_usd: float = 0.0

    def cash_usd(self, months: int) -> float:
        """Paid until the end of a month, signature included [USD]."""
        return math.fsum(f.usd for f in self.flows if f.month <= months)

    @property
    def due_at_signature_usd(self) -> float:
        """Paid at month 0 [USD]."""
        return self.cash_usd(0)

    @property
    def upfront_usd(self) -> float:
        """All payments ahead and purchases, whenever they fall due [USD]."""
        return math.fsum(f.usd for f in self.flows if f.item in AHEAD)

    @property
    def owed_usd(self) -> float:
        """Still to be paid after the horizon [USD]."""
        return math.fsum(f.usd for f in self.flows if f.month > self.months)

    def within(self) -> tuple[CashFlow, ...]:
        """The payments of the horizon, and those after it where the need ends; nothing that is left."""
        return tuple(f for f in self.flows if self.ends or f.month <= self.months)

    def counted(self) -> tuple[CashFlow, ...]:
        """The payments that this horizon answers for; what is left of them comes back at its end."""
        left = (CashFlow(self.months, -self.left_usd, "left"),) if self.left_usd else ()
        return (*self.within(), *left)

    @property
    def cost_usd(self) -> float:
        """The accrued cost of the horizon [USD]."""
        return math.fsum(f.usd for f in self.counted())

    def present_value_usd(self, annual_rate: float) -> float:
        """What the horizon costs, each payment and what is left discounted to today [USD]."""
        return present_value_usd(self.counted(), annual_rate)

    def by_month(self) -> tuple[float, ...]:
        """Cash at the end of month 0 to the last payment, at least to the horizon [USD]."""
        last = max((self.months, *(f.month for f in self.flows)))
        paid = [0.0] * (last + 1)
        for flow in self.flows:
            paid[flow.month] += flow.usd
        return tuple(paid)


def ledger(holdings: Iterable[Holding], months: int, *, ends: bool) -> CashLedger:
    """The payments of holdings together over a horizon of ``months``."""
    holdings = tuple(holdings)
    flows = sorted((f for h in holdings for f in h.flows()), key=lambda f: (f.month, f.item))
    left = 0.0 if ends else math.fsum(h.paid_ahead_usd for h in holdings)
    return CashLedger(tuple(flows), months, ends, left)


def charged(months: int, term_months: int, *, ends: bool) -> float:
    """Months charged per month held: above 1 where whole terms outlast a need that ends."""
    if not ends or not term_months:
        return 1.0
    return math.ceil(months / term_months) * term_months / months
