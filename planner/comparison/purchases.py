"""The planned replicas under every way to pay: rent, spot, commitments, own servers, an API."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from planner.catalog.money_rows import ApiPriceRow, ServerRow
from planner.catalog.offer import Offer, Term
from planner.catalog.store import Catalog
from planner.comparison.findings import THREE_YEARS, Purchase
from planner.fleet.acquisition import (
    ApiPrice,
    Traffic,
    WayToPay,
    bought,
    called,
    cash_flows,
    rented,
    reserved,
    side_by_side,
)
from planner.fleet.money import Commitment, usd_per_month
from planner.fleet.ownership import OwnedServer
from planner.plan import Plan, ReplicaGroup
from planner.serving.lengths import lengths_of

ONE_YEAR = 12
_TERM_MONTHS = {Term.ONE_YEAR: ONE_YEAR, Term.THREE_YEAR: THREE_YEARS}
_TERMS = (Term.ON_DEMAND, Term.SPOT, Term.ONE_YEAR, Term.THREE_YEAR)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to pay: how it is told, and its cash flows over one and three years."""

    told: Purchase
    flows: Mapping[int, WayToPay]


def purchases(plan: Plan, catalog: Catalog) -> tuple[tuple[Purchase, ...], float]:
    """Every way to pay for the plan, the plan's own first, and the discount rate used.

    Replicas stay as planned; each way takes its cheapest offers of the same GPUs, around the clock.
    A way that is not on offer has no cost. Empty without a plan.
    """
    defaults = {row.item: row.value for row in catalog.ownership()}
    rate = defaults["capital_rate_per_year"]
    if plan.totals is None:
        return (), rate
    traffic = _traffic(plan)
    offers = [o for o in catalog.offers() if not o.government]
    by_gpu = _by_gpu(plan)
    ways: list[_Way | Purchase] = [_planned(plan)]
    planned_terms = {n.term for n in plan.nodes}
    ways += [
        _rent(by_gpu, [o for o in offers if o.term is term], term)
        for term in _TERMS
        if planned_terms != {term.value}
    ]
    ways.append(_own(plan, by_gpu, catalog.servers(), defaults))
    ways.append(_api(plan, catalog, traffic))
    return _side_by_side(ways, traffic, rate), rate


def _side_by_side(
    ways: Iterable[_Way | Purchase], traffic: Traffic, rate: float
) -> tuple[Purchase, ...]:
    ways = tuple(ways)
    known = [w for w in ways if isinstance(w, _Way)]
    rows = {
        months: side_by_side([w.flows[months] for w in known], traffic, months, rate)
        for months in (ONE_YEAR, THREE_YEARS)
    }
    paid = cash_flows([w.flows[THREE_YEARS] for w in known], THREE_YEARS)
    told = iter(
        replace(
            way.told,
            upfront_usd=three.upfront_usd,
            usd_per_month=three.usd_per_month,
            usd_one_year=one.usd_per_month * ONE_YEAR,
            usd_three_years=three.usd_per_month * THREE_YEARS,
            present_value_usd=three.present_value_usd,
            liability_usd=one.liability_usd,
            break_even_month=three.break_even_month,
            cash_flow_usd=flow,
        )
        for way, one, three, flow in zip(
            known, rows[ONE_YEAR], rows[THREE_YEARS], paid, strict=True
        )
    )
    return tuple(next(told) if isinstance(way, _Way) else way for way in ways)


def _planned(plan: Plan) -> _Way:
    assert plan.totals is not None
    terms = list(dict.fromkeys(n.term for n in plan.nodes))
    told = Purchase(
        way=" + ".join(terms),
        what=", ".join(f"{n.count} x {n.instance_type} ({n.provider})" for n in plan.nodes),
        as_of=min((n.price_as_of for n in plan.nodes), default=""),
        source="; ".join(dict.fromkeys(n.price_source for n in plan.nodes)),
        confidence="; ".join(dict.fromkeys(n.price_confidence for n in plan.nodes)),
        planned=True,
    )
    hourly = plan.totals.usd_per_hour
    return _Way(told, {m: rented(told.way, hourly, m) for m in (ONE_YEAR, THREE_YEARS)})


def _rent(
    by_gpu: Mapping[str, list[ReplicaGroup]], offers: list[Offer], term: Term
) -> _Way | Purchase:
    chosen: list[tuple[int, Offer]] = []
    for gpu, groups in by_gpu.items():
        fitting = [
            (nodes * offer.usd_per_hour, offer.key, nodes, offer)
            for offer in offers
            if offer.gpu == gpu and (nodes := nodes_for(groups, offer.gpu_count)) is not None
        ]
        if not fitting:
            return Purchase(term.value, f"no {term.value} offer of {gpu} fits")
        _, _, nodes, offer = min(fitting, key=lambda f: f[:2])
        chosen.append((nodes, offer))
    told = Purchase(
        way=term.value,
        what=", ".join(f"{n} x {o.instance_type} ({o.provider})" for n, o in chosen),
        as_of=min(o.as_of for _, o in chosen),
        source="; ".join(dict.fromkeys(o.source for _, o in chosen)),
        confidence="; ".join(dict.fromkeys(o.confidence for _, o in chosen)),
    )
    horizons = (ONE_YEAR, THREE_YEARS)
    term_months = _TERM_MONTHS.get(term)
    if term_months is None:
        hourly = sum(n * o.usd_per_hour for n, o in chosen)
        return _Way(told, {m: rented(term.value, hourly, m) for m in horizons})
    commitment = Commitment(
        sum(n * o.usd_per_hour * (1 - o.upfront_share) for n, o in chosen),
        term_months,
        sum(n * usd_per_month(o.usd_per_hour) * o.upfront_share for n, o in chosen) * term_months,
    )
    return _Way(told, {m: reserved(term.value, commitment, m) for m in horizons})


def _own(
    plan: Plan,
    by_gpu: Mapping[str, list[ReplicaGroup]],
    servers: Iterable[ServerRow],
    defaults: Mapping[str, float],
) -> _Way | Purchase:
    """Buy the cheapest server of the plan's GPU; only where the plan uses one GPU type."""
    if len(by_gpu) != 1 or plan.totals is None:
        return Purchase("owned", "only worked out for plans on one GPU type")
    (gpu, groups), *_ = by_gpu.items()
    fitting = [
        (nodes * row.price_usd, row.name, nodes, row)
        for row in servers
        if row.gpu == gpu and (nodes := nodes_for(groups, row.gpus)) is not None
    ]
    if not fitting:
        return Purchase("owned", f"no price of a server with {gpu} that fits")
    _, _, nodes, row = min(fitting, key=lambda f: f[:2])
    server = OwnedServer(
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
    load = sum(g.utilisation * g.gpus for g in groups) / sum(g.gpus for g in groups)
    told = Purchase(
        way="owned",
        what=f"{nodes} x {row.name}, {server.lead_time_months} months rented until delivery",
        as_of=row.as_of,
        source=row.source,
        confidence=row.confidence,
    )
    flows = {
        months: bought(
            "owned",
            server,
            nodes,
            months,
            utilisation=min(1.0, load),
            bridge_usd_per_hour=plan.totals.usd_per_hour,
        )
        for months in (ONE_YEAR, THREE_YEARS)
    }
    return _Way(told, flows)


def _api(plan: Plan, catalog: Catalog, traffic: Traffic) -> _Way | Purchase:
    """The cheapest API that serves the same model; only for plans of one service."""
    if len(plan.services) != 1:
        return Purchase("API", "only worked out for plans of one service")
    model = plan.services[0].model
    rows = [r for r in catalog.api_prices() if _same_model(r, model)]
    if not rows:
        return Purchase("API", f"no API price of {model}")

    def price(row: ApiPriceRow) -> ApiPrice:
        return ApiPrice("API", row.input_usd_per_million, row.output_usd_per_million)

    row = min(rows, key=lambda r: (price(r).usd_per_request(traffic), r.provider))
    told = Purchase(
        way="API",
        what=f"{row.provider}: {row.input_usd_per_million:g} USD per million input tokens, "
        f"{row.output_usd_per_million:g} per million output tokens",
        as_of=row.as_of,
        source=row.source,
        confidence=row.confidence,
    )
    return _Way(told, {m: called(price(row), traffic, m) for m in (ONE_YEAR, THREE_YEARS)})


def _same_model(row: ApiPriceRow, model: str) -> bool:
    return row.model.lower() == model.lower()


def _traffic(plan: Plan) -> Traffic:
    """Mean demand of the whole plan."""
    served = {s.name: s.served_qps for s in plan.services}
    rate = sum(served.values())
    lengths = {s.name: lengths_of(s) for s in plan.scenario.services}
    return Traffic(
        rate_qps=rate,
        prompt_tokens=sum(served[n] * x.mean_prompt for n, x in lengths.items()) / rate,
        output_tokens=sum(served[n] * x.mean_output for n, x in lengths.items()) / rate,
    )


def _by_gpu(plan: Plan) -> dict[str, list[ReplicaGroup]]:
    by_gpu: dict[str, list[ReplicaGroup]] = {}
    for service in plan.services:
        for group in service.replica_groups:
            by_gpu.setdefault(group.gpu, []).append(group)
    return by_gpu


def nodes_for(groups: Iterable[ReplicaGroup], gpus_per_node: int) -> int | None:
    """Nodes of that size the groups' replicas fill; None when a replica does not fit in one."""
    share = 0.0
    for group in groups:
        per_replica = group.gpus // group.replicas
        if per_replica > gpus_per_node:
            return None
        share += group.replicas / (gpus_per_node // per_replica)
    return math.ceil(share - 1e-9)
