"""What a plan signs for, and when it is paid: its holdings by month and its cash."""

from __future__ import annotations

from collections.abc import Iterable

from planner.catalog.offer import Term
from planner.money.ledger import Holding
from planner.money.ledger import ledger as ledger_of
from planner.plan.part import PlanPart
from planner.plan.rented_nodes import RentedNodes
from planner.units import HOURS_PER_MONTH


class Rental(RentedNodes):
    """Nodes of one offer held for ``months`` from ``from_month`` on (1 = the first of the horizon).

    ``count``: the most held at once; ``hours_per_month``: what one of them is paid for on average [h];
    ``upfront_share``: of each term's total, due when the term starts.
    """

    from_month: int
    months: int
    hours_per_month: float = HOURS_PER_MONTH
    upfront_share: float = 0.0

    @property
    def holding(self) -> Holding:
        """The same as plain numbers."""
        return Holding(
            nodes=self.count,
            usd_per_hour=self.usd_per_hour_each,
            from_month=self.from_month,
            months=self.months,
            hours_per_month=self.hours_per_month,
            term_months=Term(self.term).months,
            upfront_share=self.upfront_share,
        )


class Cash(PlanPart):
    """When the planned fleet is paid [USD]; never to be added to its accrued cost.

    ``by_month``: paid at the end of month 0 (signature) to the last payment of a contract, which may lie
    beyond the horizon; ``upfront_usd``: all payments ahead, whenever they fall due; ``horizon_usd``:
    paid until the horizon ends; ``accrued_usd``: what the horizon costs; ``owed_after_usd`` and
    ``paid_ahead_usd``: of contracts that outlast it, still to be paid and already paid.
    Exposure: ``committed_usd``, all that is signed for over the plan; ``exit_owed_usd`` and
    ``exit_unused_usd``, by month as in ``by_month``: were everything given up then, what the terms begun
    would still have to be paid, and what was paid upfront for months that are then not used.
    """

    by_month: tuple[float, ...]
    due_at_signature_usd: float
    upfront_usd: float
    horizon_usd: float
    accrued_usd: float
    owed_after_usd: float
    paid_ahead_usd: float
    committed_usd: float = 0.0
    exit_owed_usd: tuple[float, ...] = ()
    exit_unused_usd: tuple[float, ...] = ()

    @classmethod
    def of(cls, holdings: Iterable[Holding], months: int, *, ends: bool) -> Cash:
        """What holdings pay over a horizon of ``months``, and what they expose to."""
        holdings = tuple(holdings)
        ledger = ledger_of(holdings, months, ends=ends)
        by_month = ledger.by_month()
        owed, unused = [], []
        for month in range(len(by_month)):
            left = [(h, h.usd_per_month * h.exit_months(month)) for h in holdings]
            owed.append(sum(usd * (1 - h.upfront_share) for h, usd in left))
            unused.append(sum(usd * h.upfront_share for h, usd in left))
        return cls(
            by_month=by_month,
            due_at_signature_usd=ledger.due_at_signature_usd,
            upfront_usd=ledger.upfront_usd,
            horizon_usd=ledger.cash_usd(ledger.months),
            accrued_usd=ledger.cost_usd,
            owed_after_usd=ledger.owed_usd,
            paid_ahead_usd=sum(h.paid_ahead_usd for h in holdings),
            committed_usd=sum(h.signed_usd for h in holdings),
            exit_owed_usd=tuple(owed),
            exit_unused_usd=tuple(unused),
        )

    def until(self, month: int) -> float:
        """Paid until the end of a month, signature included [USD]."""
        return sum(self.by_month[: month + 1])
