"""A plan's fleet under every way to pay for it: as planned, reserved, bought, or through an API.

The replicas stay as planned; only how their GPUs (or their tokens) are paid for changes. Commitments
and servers are taken whole and paid around the clock. Prices come from the catalog, each with its
date, source and confidence in the notes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from planner.catalog.money_rows import ServerRow
from planner.catalog.offer import Offer, Term
from planner.catalog.store import Catalog
from planner.fleet.acquisition import (
    ApiPrice,
    PaymentRow,
    Traffic,
    WayToPay,
    bought,
    called,
    rented,
    reserved,
    side_by_side,
)
from planner.fleet.money import (
    CashFlow,
    Commitment,
    break_even_rate_of_fixed_fleet_qps,
    usd_per_month,
)
from planner.fleet.ownership import OwnedServer
from planner.plan import Plan, ReplicaGroup
from planner.scenario import Prices
from planner.serving.lengths import lengths_of

TERM_MONTHS = {Term.ONE_YEAR: 12, Term.THREE_YEAR: 36}


@dataclass(frozen=True, slots=True)
class Procurement:
    """Ways to pay for one plan over ``months`` at ``annual_rate``; the plan's own way comes first.

    ``rows`` and ``notes`` run parallel to ``ways``; ``notes`` say what is bought, and from which
    price. ``missing``: ways that could not be priced, and why. ``api_break_even_qps``: the rate from
    which this fleet is cheaper than the cheapest API, None without an API price or when that rate is
    beyond what the fleet can carry (``capacity_qps``).
    """

    months: int
    annual_rate: float
    ways: tuple[WayToPay, ...]
    rows: tuple[PaymentRow, ...]
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    capacity_qps: float
    api_usd_per_request: float | None
    api_break_even_qps: float | None


def procurement(
    plan: Plan,
    catalog: Catalog,
    *,
    months: int = 36,
    annual_rate: float | None = None,
    growth_per_month: float = 0.0,
) -> Procurement | None:
    """Compare the ways to pay for ``plan`` over ``months``; None for a plan without a fleet.

    ``annual_rate``: discount rate, by default the catalog's cost of capital. ``growth_per_month``
    raises what an API costs; the fleet is kept as planned.
    """
    if plan.totals is None:
        return None
    costs = {row.item: row.value for row in catalog.ownership()}
    rate = costs["capital_rate_per_year"] if annual_rate is None else annual_rate
    traffic = {
        s.name: Traffic(s.rate, x.mean_prompt, x.mean_output, growth_per_month)
        for s in plan.scenario.services
        for x in [lengths_of(s)]
    }
    groups = [g for s in plan.services for g in s.replica_groups]
    priced: list[tuple[WayToPay, str]] = [_as_planned(plan, months)]
    missing: list[str] = []
    for found in (
        *(_reserved(plan, groups, term, catalog.offers(), months) for term in TERM_MONTHS),
        _bought(plan, groups, catalog.servers(), costs, months),
        _called(plan, traffic, catalog, months),
    ):
        if isinstance(found, str):
            missing.append(found)
        else:
            priced.append(found)
    ways = tuple(way for way, _ in priced)
    api = _cheapest_api_usd_per_request(plan, traffic, catalog)
    capacity = sum(g.replicas * g.capacity_qps for g in groups)
    even = break_even_rate_of_fixed_fleet_qps(plan.totals.usd_per_hour, api) if api else None
    return Procurement(
        months=months,
        annual_rate=rate,
        ways=ways,
        rows=side_by_side(ways, _total(traffic.values()), months, rate),
        notes=tuple(note for _, note in priced),
        missing=tuple(missing),
        capacity_qps=capacity,
        api_usd_per_request=api,
        api_break_even_qps=even if even is not None and even <= capacity else None,
    )


def owned_server(row: ServerRow, costs: dict[str, float], *, existing: bool = False) -> OwnedServer:
    """A server of the catalog under the catalog's (or a user's) running costs."""
    return OwnedServer(
        name=row.name,
        gpu=row.gpu,
        gpus=row.gpus,
        price_usd=row.price_usd,
        life_years=costs["life_years"],
        residual_share=costs["residual_share"],
        max_power_kw=row.max_power_kw,
        idle_power_kw=row.idle_power_kw,
        pue=costs["pue"],
        tariff_usd_per_kwh=costs["tariff_usd_per_kwh"],
        colocation_usd_per_kw_month=costs["colocation_usd_per_kw_month"],
        network_share_per_year=costs["network_share_per_year"],
        maintenance_share_per_year=costs["maintenance_share_per_year"],
        staff_usd_per_year=costs["staff_usd_per_server_year"],
        lead_time_months=round(costs["lead_time_months"]),
        existing=existing,
    )


def nodes_needed(groups: Sequence[ReplicaGroup], gpu: str, gpus_per_node: int) -> int | None:
    """Nodes of a size that hold the replicas of one GPU type; None where a TP group exceeds it.

    First-fit decreasing: exact where group sizes divide one another.
    """
    pieces = [
        group.tensor_parallel * group.data_parallel
        for group in groups
        if group.gpu == gpu
        for _ in range(group.replicas * group.pipeline_parallel)
    ]
    free: list[int] = []
    for piece in sorted(pieces, reverse=True):
        if piece > gpus_per_node:
            return None
        slot = next((i for i, f in enumerate(free) if f >= piece), None)
        if slot is None:
            free.append(gpus_per_node - piece)
        else:
            free[slot] -= piece
    return len(free)


def _as_planned(plan: Plan, months: int) -> tuple[WayToPay, str]:
    assert plan.totals is not None
    terms = " and ".join(sorted({n.term for n in plan.nodes}))
    note = "; ".join(
        f"{n.count}x {n.instance_type} of {n.provider} in {n.region} at {n.usd_per_hour_each:g} $/h "
        f"({n.price_source}, {n.price_as_of}, {n.price_confidence} confidence)"
        for n in plan.nodes
    )
    return rented(f"as planned ({terms})", plan.totals.usd_per_hour, months), note


def _reserved(
    plan: Plan,
    groups: Sequence[ReplicaGroup],
    term: Term,
    offers: Iterable[Offer],
    months: int,
) -> tuple[WayToPay, str] | str:
    """The cheapest offers of a term for every GPU type; a reason when one has none."""
    chosen: list[tuple[int, Offer]] = []
    admitted = [o for o in offers if o.term is term and _admitted(o, plan.scenario.prices)]
    for gpu in sorted({g.gpu for g in groups}):
        fitting = [
            (nodes * o.usd_per_hour, o.key, nodes, o)
            for o in admitted
            if o.gpu == gpu and (nodes := nodes_needed(groups, gpu, o.gpu_count)) is not None
        ]
        if not fitting:
            return f"{term.value}: no offer of {gpu} holds the replicas"
        _, _, nodes, offer = min(fitting, key=lambda f: f[:2])
        chosen.append((nodes, offer))
    length = TERM_MONTHS[term]
    total = sum(n * o.usd_per_hour for n, o in chosen)
    upfront = sum(n * o.usd_per_hour * o.upfront_share for n, o in chosen)
    commitment = Commitment(total - upfront, length, usd_per_month(upfront) * length)
    note = "; ".join(
        f"{n}x {o.instance_type} of {o.provider} in {o.region} at {o.usd_per_hour:g} $/h "
        f"({o.source}, {o.as_of}, {o.confidence} confidence)"
        for n, o in chosen
    )
    return reserved(f"{term.value} commitment", commitment, months), note


def _admitted(offer: Offer, prices: Prices) -> bool:
    in_region = offer.region in prices.regions if prices.regions != "all" else not offer.government
    return in_region and (prices.providers == "all" or offer.provider in prices.providers)


def _bought(
    plan: Plan,
    groups: Sequence[ReplicaGroup],
    servers: Iterable[ServerRow],
    costs: dict[str, float],
    months: int,
) -> tuple[WayToPay, str] | str:
    """Servers bought for every GPU type; the plan's rent bridges the time until delivery."""
    assert plan.totals is not None
    rows = list(servers)
    gpus = sum(g.gpus for g in groups)
    utilisation = sum(g.utilisation * g.gpus for g in groups) / gpus
    bridge = plan.totals.usd_per_hour
    parts: list[WayToPay] = []
    notes: list[str] = []
    for gpu in sorted({g.gpu for g in groups}):
        fitting = [
            (count * row.price_usd, row.name, count, row)
            for row in rows
            if row.gpu == gpu and (count := nodes_needed(groups, gpu, row.gpus)) is not None
        ]
        if not fitting:
            return f"owned: no price of a server with {gpu}"
        _, _, count, row = min(fitting, key=lambda f: f[:2])
        server = owned_server(row, costs)
        parts.append(
            bought(
                row.name, server, count, months,
                utilisation=utilisation,
                bridge_usd_per_hour=0.0 if parts else bridge,
            )
        )  # fmt: skip
        notes.append(
            f"{count}x {row.name} at {row.price_usd:,.0f} $ ({row.price_low_usd:,.0f} to "
            f"{row.price_high_usd:,.0f}; {row.source}, {row.as_of}, {row.confidence} confidence)"
        )
    flows = tuple(sorted((f for p in parts for f in p.flows), key=lambda f: (f.month, f.item)))
    return WayToPay("owned servers", flows), "; ".join(notes)


def _called(
    plan: Plan, traffic: dict[str, Traffic], catalog: Catalog, months: int
) -> tuple[WayToPay, str] | str:
    """Every service through its cheapest API."""
    flows: list[CashFlow] = []
    notes: list[str] = []
    for service in plan.services:
        prices = list(_api_prices(service.model, catalog))
        if not prices:
            return f"API: no price listed for {service.model}"
        asked = traffic[service.name]
        price, note = min(prices, key=lambda p: p[0].usd_per_request(asked))
        flows += called(price, asked, months).flows
        notes.append(note)
    flows.sort(key=lambda f: f.month)
    return WayToPay("API", tuple(flows)), "; ".join(notes)


def _api_prices(model: str, catalog: Catalog) -> Iterator[tuple[ApiPrice, str]]:
    names = {model.lower()}
    for entry in catalog.model_index():
        known = {n.lower() for n in entry.names}
        if model.lower() in known:
            names |= known
    for row in catalog.api_prices():
        if row.model.lower() in names:
            price = ApiPrice(row.provider, row.input_usd_per_million, row.output_usd_per_million)
            yield (
                price,
                f"{row.provider} {row.model} at {row.input_usd_per_million:g} $ per million prompt "
                f"and {row.output_usd_per_million:g} $ per million output tokens "
                f"({row.source}, {row.as_of}, {row.confidence} confidence)",
            )


def _cheapest_api_usd_per_request(
    plan: Plan, traffic: dict[str, Traffic], catalog: Catalog
) -> float | None:
    """Mean over all requests of the plan [USD]; None when a service has no API price."""
    total = 0.0
    for service in plan.services:
        asked = traffic[service.name]
        each = [p.usd_per_request(asked) for p, _ in _api_prices(service.model, catalog)]
        if not each:
            return None
        total += min(each) * asked.rate_qps
    return total / sum(t.rate_qps for t in traffic.values())


def _total(parts: Iterable[Traffic]) -> Traffic:
    """All services' traffic as one, with mean lengths per request."""
    parts = list(parts)
    rate = math.fsum(t.rate_qps for t in parts)
    return Traffic(
        rate,
        math.fsum(t.rate_qps * t.prompt_tokens for t in parts) / rate,
        math.fsum(t.rate_qps * t.output_tokens for t in parts) / rate,
        parts[0].growth_per_month,
    )
