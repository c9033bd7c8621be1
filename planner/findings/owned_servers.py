"""A fleet on servers of one's own: how many, what they cost, what is rented until they arrive."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from planner.catalog.money_rows import ServerRow
from planner.catalog.store import Catalog
from planner.findings.ownership_terms import OwnershipTerms, terms_of
from planner.findings.schema import OwnedFleet, Purchase
from planner.money.ledger import SALE, CashLedger
from planner.money.ownership import AddedServers, OwnedServer
from planner.money.ways_to_pay import WayToPay, bought
from planner.plan.money import Rental
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.units import dollars

ALL_AT_ONCE = "all bought at the start, for the last month's rate: horizon.stages buys in steps"
RESALE_AT_MONTHS = 36  # the age at which the catalog knows what servers are sold for


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What is rented by the hour until servers are delivered: in words, as nodes, in payments."""

    what: str
    rentals: tuple[Rental, ...]
    ledger: CashLedger


def buy(
    fleet: Plan, gpu: str, meanwhile: Meanwhile, catalog: Catalog, months: int, *, ends: bool
) -> Iterator[tuple[Purchase, WayToPay]]:
    """Each server type that could carry ``fleet`` over a horizon of ``months``.

    Prices and running costs are the scenario's own, else the catalog's.
    """
    groups = fleet.groups
    horizon = fleet.scenario.horizon
    load = sum(g.utilisation * g.gpus for g in groups) / sum(g.gpus for g in groups)
    terms = terms_of(fleet.scenario, catalog)
    for row in catalog.servers():
        servers = nodes_for(groups, row.gpus)
        if catalog.gpu(row.gpu).name != gpu or servers is None or not terms.admits(row):
            continue
        used = min(1.0, load) if terms.utilization is None else terms.utilization
        first, added = _in_steps(fleet, row.gpus, servers)
        price = terms.price(row)
        prices = (price.low, price.high)
        owned = OwnedFleet(_server(row, terms), first, used, meanwhile.rentals, added, prices)
        way = paid(owned, meanwhile.ledger, months, ends=ends)
        low, high = (
            paid(at_price(owned, usd), meanwhile.ledger, months, ends=ends).ledger.cost_usd
            for usd in prices
        )
        described = _text(owned, row, meanwhile, way.ledger)
        if horizon.growth_per_month > 0 and horizon.stages == 1:
            described = replace(described, what=f"{described.what}; {ALL_AT_ONCE}")
        yield replace(described, low_usd=low, high_usd=high), way


def paid(owned: OwnedFleet, meanwhile: CashLedger, months: int, *, ends: bool) -> WayToPay:
    """What the servers cost over a horizon of ``months``."""
    return bought(
        "owned",
        owned.server,
        owned.servers,
        months,
        utilisation=owned.utilisation,
        ends=ends,
        meanwhile=meanwhile,
        added=owned.added,
    )


def at_price(owned: OwnedFleet, usd: float) -> OwnedFleet:
    """The same servers at another price [USD]."""
    return replace(owned, server=replace(owned.server, price_usd=usd))


def _text(owned: OwnedFleet, row: ServerRow, meanwhile: Meanwhile, ledger: CashLedger) -> Purchase:
    """The purchase in words, what the servers are worth at the horizon among them."""
    price = owned.all_servers * owned.server.price_usd
    later = "".join(
        f", {more.servers} more by month {more.after_months + 1}" for more in owned.added
    )
    sold = -math.fsum(f.usd for f in ledger.flows if f.item == SALE and f.month == ledger.months)
    worth = sold if ledger.ends else ledger.left_usd
    each = " each" if owned.all_servers > 1 else ""
    return Purchase(
        way="owned",
        what=f"{owned.servers} x {row.name} at {dollars(owned.server.price_usd)}{each}{later}; for "
        f"{owned.server.lead_time_months} months until delivery {meanwhile.what}; "
        f"{'sold for' if ledger.ends else 'worth'} {dollars(worth)} at month {ledger.months} "
        f"({100 * worth / price:.0f} % of the price)",
        as_of=row.as_of,
        source=row.source,
        confidence=row.confidence,
        owned=owned,
    )


def _in_steps(fleet: Plan, gpus_per_node: int, most: int) -> tuple[int, tuple[AddedServers, ...]]:
    """The servers that the first stage needs, and those that each later one adds.

    ``most``: all of them, where the plan does not say what runs in each stage. Servers that a stage does
    not need any more are kept. A plan's periods are the same cycle in each stage.
    """
    horizon, periods = fleet.scenario.horizon, fleet.periods
    groups = {g.key(s.name): g for s in fleet.services for g in s.replica_groups}
    known = all(set(p.replicas) <= set(groups) for p in periods)
    if horizon.stages == 1 or not known or not periods or len(periods) % horizon.stages:
        return most, ()
    cycle = len(periods) // horizon.stages
    held, added = 0, []
    for stage in range(horizon.stages):
        of_stage = periods[stage * cycle : (stage + 1) * cycle]
        busiest = {k: max(p.replicas.get(k, 0) for p in of_stage) for k in groups}
        needed = _nodes(((g, busiest[k]) for k, g in groups.items()), gpus_per_node) or 0
        if needed > held:
            added.append(AddedServers(needed - held, stage * (horizon.months // horizon.stages)))
            held = needed
    first = sum(more.servers for more in added if not more.after_months)
    return first, tuple(more for more in added if more.after_months)


def nodes_for(groups: Iterable[ReplicaGroup], gpus_per_node: int) -> int | None:
    """Nodes of that size the groups' replicas fill; None when a replica does not fit in one."""
    return _nodes(((g, g.replicas) for g in groups), gpus_per_node)


def _nodes(running: Iterable[tuple[ReplicaGroup, int]], gpus_per_node: int) -> int | None:
    share = 0.0
    for group, replicas in running:
        per_replica = group.gpus // group.replicas
        if per_replica > gpus_per_node:
            return None
        share += replicas / (gpus_per_node // per_replica)
    return math.ceil(share - 1e-9)


def _server(row: ServerRow, terms: OwnershipTerms) -> OwnedServer:
    return OwnedServer(
        name=row.name,
        gpu=row.gpu,
        gpus=row.gpus,
        price_usd=terms.price(row).value,
        life_years=terms.value("life"),
        residual_share=terms.value("residual"),
        max_power_kw=row.max_power_kw,
        idle_power_kw=row.idle_power_kw,
        pue=terms.value("pue"),
        tariff_usd_per_kwh=terms.value("tariff"),
        colocation_usd_per_kw_month=terms.value("colocation"),
        network_share_per_year=terms.value("network"),
        maintenance_share_per_year=terms.value("maintenance"),
        staff_usd_per_year=terms.value("staff"),
        lead_time_months=round(terms.value("lead_time")),
        resale=((RESALE_AT_MONTHS, terms.value("resale")),),
    )
