"""When buying has cost less than renting: with the servers kept, and were they sold at that month.

Cumulative present values to the end of month ``m`` are compared with the first way's:

    kept   paid so far
    sold   paid so far - servers x value(age at m) / (1 + r)^(m / 12)

What is sold when the horizon ends is no part of either: ``value`` at that month represents it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from planner.findings.schema import OwnedFleet
from planner.money.ledger import SALE, CashLedger
from planner.money.ownership import AddedServers, OwnedServer
from planner.money.rates import CashFlow, discount


def break_even_months(
    owned: OwnedFleet, paid: CashLedger, baseline: CashLedger, annual_rate: float
) -> tuple[int | None, int | None]:
    """The first month of the horizon from which buying has cost no more: kept, and sold then.

    None where it never has.
    """
    months = paid.months
    kept = [f for f in paid.within() if not (f.item == SALE and f.month == months)]
    saved = [
        a - b
        for a, b in zip(
            _so_far(baseline.within(), months, annual_rate),
            _so_far(kept, months, annual_rate),
            strict=True,
        )
    ]
    worth = [worth_usd(owned, m) * discount(m, annual_rate) for m in range(months + 1)]
    sold = [s + w for s, w in zip(saved, worth, strict=True)]
    return _first_for_good(saved), _first_for_good(sold)


def sold_at_horizon_usd(paid: CashLedger, annual_rate: float) -> float:
    """Present value of what servers are sold for when the horizon ends [USD]."""
    sales = (f for f in paid.flows if f.item == SALE and f.month == paid.months)
    return -sum(f.usd * discount(f.month, annual_rate) for f in sales)


def worth_usd(owned: OwnedFleet, month: int) -> float:
    """What the servers can be sold for at the end of a month [USD]; new until they are delivered.

    One whose life ends is replaced by a new one in that month, unless it is the last of the horizon.
    """
    return sum(
        more.servers * owned.server.residual_usd(_age(owned.server, month - ordered))
        for more in (AddedServers(owned.servers, 0), *owned.added)
        if (ordered := more.ordered_at(owned.server.lead_time_months)) <= month
    )


def _age(server: OwnedServer, months: int) -> int:
    """Months in service of servers ordered so many months ago."""
    served = max(0, months - server.lead_time_months)
    age = served % server.life_months
    return server.life_months if served and not age else age


def _so_far(flows: Sequence[CashFlow], months: int, annual_rate: float) -> list[float]:
    paid = [0.0] * (months + 1)
    for f in flows:
        if f.month <= months:
            paid[f.month] += f.usd * discount(f.month, annual_rate)
    return list(itertools.accumulate(paid))


def _first_for_good(saved: Sequence[float]) -> int | None:
    """The first month from which nothing is lost any more."""
    tolerance = 1e-9 * max(abs(s) for s in saved)
    lost = [month for month, usd in enumerate(saved) if usd < -tolerance]
    first = lost[-1] + 1 if lost else 0
    return first if first < len(saved) else None
