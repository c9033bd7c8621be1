"""What may be rented or is owned, as the program sees it: offers by zone and stage, quotas, carbon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.offer import Offer, Term
from planner.catalog.store import Catalog
from planner.fleet.offers.networks import between_nodes_gb_s
from planner.fleet.offers.power import ServerPower, server_power
from planner.fleet.periods import Calendar
from planner.fleet.program.problem import Cap, NodeOffer
from planner.money.ledger import charged
from planner.scenario.fleet import Existing, Quota
from planner.scenario.schema import Scenario

RACK_GPUS = 16  # a link domain beyond any single board spans nodes: an NVLink rack
OWN = "existing"
_LATER = " from month "


def existing_offers(scenario: Scenario, catalog: Catalog) -> tuple[Offer, ...]:
    """The nodes that run today, as offers; raises InputError for an unknown GPU."""
    return tuple(_as_offer(e, catalog.gpu(e.gpu).name) for e in scenario.existing)


def _as_offer(existing: Existing, gpu: str) -> Offer:
    return Offer(
        provider=OWN,
        region=existing.region,
        instance_type=f"{existing.gpus_per_node}x {gpu}",
        gpu=gpu,
        gpu_count=existing.gpus_per_node,
        term=Term.OWNED,
        usd_per_hour=existing.usd_per_hour,
        as_of="",
        source="scenario",
        network_gbps=existing.network_gbps,
    )


def offer_key(node_offer: str) -> str:
    """The catalog offer behind a node offer that starts in a later month."""
    return node_offer.partition(_LATER)[0]


def node_offers(
    scenario: Scenario,
    offers: Iterable[Offer],
    catalog: Catalog,
    calendar: Calendar,
    wide: frozenset[str] = frozenset(),
) -> tuple[NodeOffer, ...]:
    """The offers that can matter, as node offers; committed ones once per stage they may begin in.

    ``wide``: GPU types with replicas of several GPU groups.
    """
    nodes = {_as_offer(e, catalog.gpu(e.gpu).name).key: e.nodes for e in scenario.existing}
    power = server_power(catalog) if scenario.limits.on_power else None
    return tuple(
        node
        for o in _that_matter(scenario, offers, catalog, wide)
        for node in _over_time(
            replace(
                _node_offer(o, catalog.gpu(o.gpu), power),
                reserve_share=scenario.spot.reserve_share if o.term is Term.SPOT else 0.0,
                existing=nodes.get(o.key, 0),
                max_nodes=nodes.get(o.key, o.max_nodes),
            ),
            o.term,
            scenario,
            calendar,
        )
    )


def _node_offer(offer: Offer, gpu: GpuSpec, power: ServerPower | None) -> NodeOffer:
    kw = gpu.tdp_w / 1000 if power is None else power.full_kw(gpu)
    return NodeOffer(
        key=offer.key,
        gpu=offer.gpu,
        gpus_per_node=offer.gpu_count,
        usd_per_hour=offer.usd_per_hour,
        zone=offer.region,
        pool=f"{offer.provider} {offer.gpu}",
        committed=offer.term.months > 0,
        spot=offer.term is Term.SPOT,
        power_kw=kw * offer.gpu_count,
        link_gpus=gpu.link_domain if gpu.link_domain > RACK_GPUS else 0,
        min_nodes=offer.min_nodes,
        vendor="" if offer.provider == OWN else offer.provider,
        place=f"{offer.provider} {offer.region}",
        network_gb_s=between_nodes_gb_s(offer, gpu),
    )


def _that_matter(
    scenario: Scenario, offers: Iterable[Offer], catalog: Catalog, wide: frozenset[str]
) -> list[Offer]:
    """The cheapest of each GPU, node size and term, apart by what the scenario distinguishes.

    ``wide``: GPU types with replicas of several GPU groups, whose every place may matter. Where zones or
    spot pools may fail each is kept: ``places`` knows which of them are of no use.
    """
    quotas, failures = scenario.limits.quotas, scenario.failures
    by_region = bool(failures.zones or scenario.limits.carbon) or any(q.region for q in quotas)
    by_provider = any(q.provider for q in quotas) or scenario.prices.max_vendors is not None
    cheapest: dict[tuple[object, ...], Offer] = {}
    for o in sorted(offers, key=lambda o: (o.usd_per_gpu_hour, o.key)):
        pooled = o.term is Term.SPOT and scenario.spot.pools_lost > 0
        own = o.provider == OWN
        place = (
            between_nodes_gb_s(o, catalog.gpu(o.gpu)) if o.gpu in wide else 0.0,
            o.region if by_region or pooled or o.gpu in wide else "",
            o.provider if by_provider or pooled or own or o.gpu in wide else "",
            o.key if o.is_limited else "",
        )
        cheapest.setdefault((o.gpu, o.gpu_count, o.term, *place), o)
    return sorted(cheapest.values(), key=lambda o: o.key)


def _over_time(
    node: NodeOffer, term: Term, scenario: Scenario, calendar: Calendar
) -> Iterator[NodeOffer]:
    """One node offer, or one per stage a commitment may begin in, alive for its term.

    Where the need ends with the horizon, a commitment costs its whole terms: their price is spread
    over the months that it is held.
    """
    horizon = scenario.horizon
    lead = horizon.lead_time_months.get(term.value, 0.0)
    starts = sorted(set(calendar.month))
    if not term.months:
        if len(starts) == 1 and not lead:
            yield node
            return
        alive = tuple(t for t, m in enumerate(calendar.month) if m >= lead)
        yield replace(node, periods=alive)
        return
    if len(starts) == 1 and not lead:
        yield _charged(node, horizon.months, term, ends=horizon.ends)
        return
    stage = horizon.months // len(starts)
    for start in starts:
        held = [m for m in starts if start <= m < start + term.months]
        alive = tuple(t for t, m in enumerate(calendar.month) if m in held)
        if start >= lead:
            named = replace(node, key=f"{node.key}{_LATER}{start + 1}", periods=alive)
            yield _charged(named, stage * len(held), term, ends=horizon.ends)


def _charged(node: NodeOffer, months: int, term: Term, *, ends: bool) -> NodeOffer:
    factor = charged(months, term.months, ends=ends)
    return replace(node, usd_per_hour=node.usd_per_hour * factor)


def caps(
    scenario: Scenario,
    nodes: Iterable[NodeOffer],
    offers: Mapping[str, Offer],
    catalog: Catalog,
) -> tuple[Cap, ...]:
    """Quotas, quotes that are limited over several stages, and the carbon cap over the node offers."""
    nodes = tuple(nodes)
    found = [
        Cap(
            key=_quota_name(quota),
            limit=float(quota.max_gpus),
            per_node={
                n.key: float(n.gpus_per_node)
                for n in nodes
                if _matches(quota, offers[offer_key(n.key)], catalog)
            },
        )
        for quota in scenario.limits.quotas
    ]
    found += _limited(nodes, offers)
    carbon = scenario.limits.carbon
    if carbon is not None:
        emitted = {
            n.key: n.power_kw
            * carbon.pue
            * carbon.g_per_kwh.get(n.zone, carbon.elsewhere_g_per_kwh)
            / 1000
            for n in nodes
        }
        found.append(Cap("limits.carbon.max_kg_per_hour", carbon.max_kg_per_hour, emitted))
    return tuple(found)


def _limited(nodes: Iterable[NodeOffer], offers: Mapping[str, Offer]) -> Iterator[Cap]:
    """What may be signed for in all of an offer that may begin in several stages."""
    begun: dict[str, list[str]] = {}
    for n in nodes:
        begun.setdefault(offer_key(n.key), []).append(n.key)
    for key, several in begun.items():
        most = offers[key].max_nodes
        if most is not None and len(several) > 1:
            yield Cap(f"max_nodes of {key}", float(most), dict.fromkeys(several, 1.0))


def _quota_name(quota: Quota) -> str:
    named = [f"{k} {v}" for k in ("gpu", "provider", "region", "term") if (v := getattr(quota, k))]
    return "limits.quotas " + (", ".join(named) or "all")


def _matches(quota: Quota, offer: Offer, catalog: Catalog) -> bool:
    gpu = catalog.gpu(quota.gpu).name if quota.gpu is not None else offer.gpu
    return (
        offer.gpu == gpu
        and quota.provider in (None, offer.provider)
        and quota.region in (None, offer.region)
        and quota.term in (None, offer.term.value)
    )
