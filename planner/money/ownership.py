"""What an owned server costs per hour, and when it is paid.

Per year, for one server [USD/year]:

    (price - residual) / life                depreciation, straight line
    + rate x (price + residual) / 2          capital tied up on average
    + average power x PUE x 8,760 h x tariff energy
    + provisioned power x colocation x 12    space, cooling and power delivery
    + price x network share                  switches, optics, cables
    + price x maintenance share              vendor support
    + staff

Existing stock has no purchase left to pay: depreciation and capital are zero, the rest remains.
In cash flows the purchase falls due when the server is ordered, and the discount rate replaces the
capital cost. A server that leaves at the end of its life is sold; what one is worth at the horizon is
either its sale (the need ends) or left in its further use. Resale falls by a constant share a month
between the ages at which it is known:

    value(a) = value(a0) x (value(a1) / value(a0)) ^ ((a - a0) / (a1 - a0))
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from planner.money.ledger import PURCHASE, SALE, CashLedger
from planner.money.rates import CashFlow, monthly, usd_per_month
from planner.units import HOURS_PER_YEAR

MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True)
class OwnedServer:
    """One server and the terms it is run on.

    gpu, gpus: accelerator type and count; price_usd: purchase; life_years: depreciation life;
    residual_share: of the price, left at the end of life; ``resale``: shares of the price that servers of
    an age [months] are sold for; max_power_kw, idle_power_kw: draw of the
    whole server; pue: facility over IT power; tariff_usd_per_kwh; colocation_usd_per_kw_month: per kW
    of provisioned power; network_share_per_year, maintenance_share_per_year: of the price;
    staff_usd_per_year: per server; lead_time_months: order to service; ``existing``: already paid.
    """

    name: str
    gpu: str
    gpus: int
    price_usd: float
    life_years: float
    residual_share: float
    max_power_kw: float
    idle_power_kw: float
    pue: float
    tariff_usd_per_kwh: float
    colocation_usd_per_kw_month: float
    network_share_per_year: float = 0.0
    maintenance_share_per_year: float = 0.0
    staff_usd_per_year: float = 0.0
    lead_time_months: int = 0
    existing: bool = False
    resale: tuple[tuple[int, float], ...] = ()

    def average_power_kw(self, utilisation: float) -> float:
        """Draw at a mean utilisation in [0, 1]: linear between idle and maximum [kW]."""
        return self.idle_power_kw + utilisation * (self.max_power_kw - self.idle_power_kw)

    @property
    def life_months(self) -> int:
        """Depreciation life in whole months, at least one."""
        return max(1, round(self.life_years * MONTHS_PER_YEAR))

    def value_points(self) -> tuple[tuple[int, float], ...]:
        """Age [months] and share of the price: new, where resale is known, and at the end of life."""
        known = ((m, share) for m, share in sorted(self.resale) if 0 < m < self.life_months)
        return ((0, 1.0), *known, (self.life_months, self.residual_share))

    def residual_usd(self, age_months: float) -> float:
        """What the server is worth at an age [USD]; its residual share once its life ends."""
        if age_months >= self.life_months:
            return self.price_usd * self.residual_share
        for (a0, v0), (a1, v1) in itertools.pairwise(self.value_points()):
            if a0 <= age_months <= a1:
                part = (age_months - a0) / (a1 - a0)
                share = v0 * (v1 / v0) ** part if v0 > 0 and v1 > 0 else v0 + part * (v1 - v0)
                return self.price_usd * share
        return self.price_usd


@dataclass(frozen=True, slots=True)
class OwnershipCost:
    """Hourly cost of one server by part [USD/h]."""

    depreciation: float
    capital: float
    energy: float
    colocation: float
    network: float
    maintenance: float
    staff: float

    @property
    def total(self) -> float:
        """Sum of the parts [USD/h]."""
        parts: tuple[float, ...] = dataclasses.astuple(self)
        return math.fsum(parts)

    @property
    def running(self) -> float:
        """What is paid for as long as the server stands: all but depreciation and capital [USD/h]."""
        return self.total - self.depreciation - self.capital


def ownership_cost(
    server: OwnedServer, *, utilisation: float, capital_rate: float
) -> OwnershipCost:
    """The formula above for one server [USD/h].

    ``utilisation``: mean share of the power range in use, in [0, 1]; ``capital_rate``: annual cost
    of capital.
    """
    residual = server.price_usd * server.residual_share
    bought = 0.0 if server.existing else 1.0
    per_year = {
        "depreciation": bought * (server.price_usd - residual) / server.life_years,
        "capital": bought * capital_rate * (server.price_usd + residual) / 2,
        "energy": server.average_power_kw(utilisation)
        * server.pue
        * HOURS_PER_YEAR
        * server.tariff_usd_per_kwh,
        "colocation": server.max_power_kw * server.colocation_usd_per_kw_month * MONTHS_PER_YEAR,
        "network": server.price_usd * server.network_share_per_year,
        "maintenance": server.price_usd * server.maintenance_share_per_year,
        "staff": server.staff_usd_per_year,
    }
    return OwnershipCost(**{part: usd / HOURS_PER_YEAR for part, usd in per_year.items()})


def ownership_ledger(
    server: OwnedServer, servers: int, horizon_months: int, *, utilisation: float, ends: bool
) -> CashLedger:
    """Cash paid for ``servers`` over the horizon, from the order at month 0 [USD], and what is left.

    Running costs start after the lead time. A server whose life ends within the horizon is sold and
    replaced at its price. At the horizon the last ones are sold where the need ends, and left otherwise.
    utilisation: mean share of full load, for power.
    """
    running = ownership_cost(server, utilisation=utilisation, capital_rate=0.0).running
    start = server.lead_time_months
    flows = [
        CashFlow(f.month + start, f.usd, f.item)
        for f in monthly(
            servers * usd_per_month(running), max(horizon_months - start, 0), "running cost"
        )
    ]
    if server.existing:
        return CashLedger(tuple(flows), horizon_months, ends)
    left = 0.0
    for bought in range(0, max(horizon_months - start, 1), server.life_months):
        age = min(server.life_months, max(horizon_months - start - bought, 0))
        worth = servers * server.residual_usd(age)
        flows.append(CashFlow(bought, servers * server.price_usd, PURCHASE))
        if ends or age == server.life_months:
            flows.append(CashFlow(min(bought + start + age, horizon_months), -worth, SALE))
        else:
            left = worth
    return CashLedger(
        tuple(sorted(flows, key=lambda f: (f.month, f.item))), horizon_months, ends, left
    )


@dataclass(frozen=True, slots=True)
class AddedServers:
    """``servers`` that are needed once ``after_months`` have passed, and ordered a lead time before."""

    servers: int
    after_months: int

    def ordered_at(self, lead_time_months: int) -> int:
        """Months from now to the order; 0 where they are needed sooner than they can be had."""
        return max(0, self.after_months - lead_time_months)


def growing_ledger(
    server: OwnedServer,
    servers: int,
    added: Sequence[AddedServers],
    horizon_months: int,
    *,
    utilisation: float,
    ends: bool,
) -> CashLedger:
    """Cash of ``servers`` ordered at month 0 and of those added, each order as in ``ownership_ledger``.

    utilisation: mean share of full load, for power.
    """
    flows: list[CashFlow] = []
    left = 0.0
    for more in (AddedServers(servers, 0), *added):
        ordered = more.ordered_at(server.lead_time_months)
        own = ownership_ledger(
            server, more.servers, horizon_months - ordered, utilisation=utilisation, ends=ends
        )
        flows += (replace(f, month=f.month + ordered) for f in own.flows)
        left += own.left_usd
    ordered_flows = sorted(flows, key=lambda f: (f.month, f.item))
    return CashLedger(tuple(ordered_flows), horizon_months, ends, left)
