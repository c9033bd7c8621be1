"""A fleet on servers of one's own: how many, what they cost, what is rented until they arrive."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from planner.catalog.money_rows import ServerRow
from planner.catalog.store import Catalog
from planner.comparison.findings import Purchase
from planner.fleet.acquisition import WayToPay, bought
from planner.fleet.ownership import OwnedServer
from planner.plan import Plan, ReplicaGroup

Option = tuple[float, Purchase, Mapping[int, WayToPay]]


def buy(
    fleet: Plan, gpu: str, meanwhile: Plan, catalog: Catalog, horizons: Iterable[int]
) -> Iterator[Option]:
    """Each server type that could carry ``fleet``: its cost over the last horizon [USD], and flows.

    ``meanwhile``: the plan that is rented until delivery. Running costs are the catalog's defaults.
    """
    assert meanwhile.totals is not None
    groups = [g for s in fleet.services for g in s.replica_groups]
    load = sum(g.utilisation * g.gpus for g in groups) / sum(g.gpus for g in groups)
    defaults = {row.item: row.value for row in catalog.ownership()}
    for row in catalog.servers():
        servers = nodes_for(groups, row.gpus)
        if catalog.gpu(row.gpu).name != gpu or servers is None:
            continue
        server = _server(row, defaults)
        flows = {
            months: bought(
                "owned",
                server,
                servers,
                months,
                utilisation=min(1.0, load),
                bridge_usd_per_hour=meanwhile.totals.usd_per_hour,
            )
            for months in horizons
        }
        longest = max(flows)
        told = Purchase(
            way="owned",
            what=f"{servers} x {row.name} at {row.price_usd:,.0f} USD; "
            f"the plan is rented for {server.lead_time_months} months until delivery",
            as_of=row.as_of,
            source=row.source,
            confidence=row.confidence,
        )
        yield math.fsum(f.usd for f in flows[longest].flows), told, flows


def nodes_for(groups: Iterable[ReplicaGroup], gpus_per_node: int) -> int | None:
    """Nodes of that size the groups' replicas fill; None when a replica does not fit in one."""
    share = 0.0
    for group in groups:
        per_replica = group.gpus // group.replicas
        if per_replica > gpus_per_node:
            return None
        share += group.replicas / (gpus_per_node // per_replica)
    return math.ceil(share - 1e-9)


def _server(row: ServerRow, defaults: Mapping[str, float]) -> OwnedServer:
    return OwnedServer(
        name=row.name,
        gpu=row.gpu,
        gpus=row.gpus,
        price_usd=row.price_usd,
        life_years=defaults["life_years"],
        residual_share=defaults["residual_share"],
        max_power_kw=row.max_power_kw,
        idle_power_kw=row.idle_power_kw,
        pue=defaults["pue"],
        tariff_usd_per_kwh=defaults["tariff_usd_per_kwh"],
        colocation_usd_per_kw_month=defaults["colocation_usd_per_kw_month"],
        network_share_per_year=defaults["network_share_per_year"],
        maintenance_share_per_year=defaults["maintenance_share_per_year"],
        staff_usd_per_year=defaults["staff_usd_per_server_year"],
        lead_time_months=round(defaults["lead_time_months"]),
    )
