"""What servers of one's own are worth at a month, and what they are sold for when the horizon ends."""

from __future__ import annotations

from planner.findings.schema import OwnedFleet
from planner.money.ledger import SALE, CashLedger
from planner.money.ownership import AddedServers, OwnedServer
from planner.money.rates import discount


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
