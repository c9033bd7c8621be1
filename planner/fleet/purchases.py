"""What may be rented or is owned, as the program sees it: offers by zone and stage, quotas, carbon."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from planner.catalog.gpu import GpuSpec
from planner.catalog.offer import Offer, Term
from planner.catalog.store import Catalog
from planner.fleet.periods import Calendar
from planner.fleet.problem import Cap, NodeOffer
from planner.scenario import Scenario
from planner.scenario_fleet import Existing, Quota

SPARE_PLACES = 2  # zones, or spot pools, a GPU type keeps beyond those that may fail: the cheapest
RACK_GPUS = 16  # a link domain beyond any single board spans nodes: an NVLink rack
OWN = "existing"
TERM_MONTHS = {Term.CAPACITY_BLOCK: 1, Term.ONE_YEAR: 12, Term.THREE_YEAR: 36}
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
    )


def offer_key(node_offer: str) -> str:
    """The catalog offer behind a node offer that starts in a later month."""
    return node_offer.partition(_LATER)[0]


def node_offers(
    scenario: Scenario, offers: Iterable[Offer], catalog: Catalog, calendar: Calendar
) -> tuple[NodeOffer, ...]:
    """The offers that can matter, as node offers; committed ones once per stage they may begin in."""
    gpus = {g.name: g for g in catalog.gpus()}
    nodes = {_as_offer(e, catalog.gpu(e.gpu).name).key: e.nodes for e in scenario.existing}
    return tuple(
        node
        for o in _that_matter(scenario, offers)
        for node in _over_time(
            replace(
                _node_offer(o, gpus[o.gpu]),
                reserve_share=scenario.spot.reserve_share if o.term is Term.SPOT else 0.0,
                existing=nodes.get(o.key, 0),
                max_nodes=nodes.get(o.key),
            ),
            o.term,
            scenario,
            calendar,
        )
    )


def _node_offer(offer: Offer, gpu: GpuSpec) -> NodeOffer:
    return NodeOffer(
        key=offer.key,
        gpu=offer.gpu,
        gpus_per_node=offer.gpu_count,
        usd_per_hour=offer.usd_per_hour,
        zone=offer.region,
        pool=f"{offer.provider} {offer.gpu}",
        committed=offer.term in TERM_MONTHS,
        spot=offer.term is Term.SPOT,
        power_kw=gpu.tdp_w / 1000 * offer.gpu_count,
        link_gpus=gpu.link_domain if gpu.link_domain > RACK_GPUS else 0,
    )


def _that_matter(scenario: Scenario, offers: Iterable[Offer]) -> list[Offer]:
    """The cheapest of each GPU, node size and term, apart by what the scenario tells apart.

    Where zones or spot pools may fail, each GPU type keeps its cheapest few of them.
    """
    quotas, failures = scenario.limits.quotas, scenario.failures
    by_region = bool(failures.zones or scenario.limits.carbon) or any(q.region for q in quotas)
    by_provider = any(q.provider for q in quotas)
    cheapest: dict[tuple[object, ...], Offer] = {}
    places: dict[tuple[object, ...], dict[tuple[str, str], None]] = {}
    for o in sorted(offers, key=lambda o: (o.usd_per_gpu_hour, o.key)):
        pooled = o.term is Term.SPOT and scenario.spot.pools_lost > 0
        own = o.provider == OWN
        place = (
            o.region if by_region or pooled else "",
            o.provider if by_provider or pooled or own else "",
        )
        if not own and not quotas and (pooled or failures.zones):
            lost = scenario.spot.pools_lost if pooled else failures.zones
            known = places.setdefault((o.gpu, pooled), {})
            if place not in known and len(known) == lost + SPARE_PLACES:
                continue
            known[place] = None
        cheapest.setdefault((o.gpu, o.gpu_count, o.term, *place), o)
    return sorted(cheapest.values(), key=lambda o: o.key)


def _over_time(
    node: NodeOffer, term: Term, scenario: Scenario, calendar: Calendar
) -> Iterator[NodeOffer]:
    """One node offer, or one per stage a commitment may begin in, alive for its term."""
    lead = scenario.horizon.lead_time_months.get(term.value, 0.0)
    starts = sorted(set(calendar.month))
    if len(starts) == 1 and not lead:
        yield node
        return
    if term not in TERM_MONTHS:
        alive = tuple(t for t, m in enumerate(calendar.month) if m >= lead)
        yield replace(node, periods=alive)
        return
    for start in starts:
        alive = tuple(
            t for t, m in enumerate(calendar.month) if start <= m < start + TERM_MONTHS[term]
        )
        if start >= lead and alive:
            yield replace(node, key=f"{node.key}{_LATER}{start + 1}", periods=alive)


def caps(
    scenario: Scenario,
    nodes: Iterable[NodeOffer],
    offers: Mapping[str, Offer],
    catalog: Catalog,
) -> tuple[Cap, ...]:
    """Quotas and the carbon cap over the node offers."""
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
