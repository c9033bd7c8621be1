"""What is rented and what it costs: nodes, totals, and each group's part of the bill."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

from planner.fleet.candidates.candidate import Candidate
from planner.fleet.offers.node_offers import offer_key
from planner.money.ledger import charged
from planner.money.rates import token_cost, usd_per_month, usd_per_year
from planner.plan.money import Rental
from planner.plan.rented_nodes import rented_of
from planner.plan.schema import NodeCount, ServicePlan, Totals
from planner.solving.schedule import rented
from planner.solving.stages import Decided
from planner.workload.lengths import lengths_of


def nodes_of(decided: Decided, rentals: Iterable[Rental]) -> Iterator[NodeCount]:
    """Nodes by offer: those always paid, then those paid part of the time, level by level.

    ``rentals``: the same nodes by month. Idle GPUs are those of the period with the most of their type.
    """
    offers = decided.offers_by_key
    factors = _charged(rentals, ends=decided.scenario.horizon.ends)
    idle, billed_gpus = _idle_at_the_peak(decided)
    for key, paid in rented(decided):
        offer = offers[key]
        for n, share in paid:
            unused = max(0, min(idle[offer.gpu], billed_gpus[key], n * offer.gpu_count))
            idle[offer.gpu] -= unused
            billed_gpus[key] = max(
                0, billed_gpus[key] - n * offer.gpu_count
            )  # other levels: other hours
            yield NodeCount(
                **dict(rented_of(offer, n)),
                usd_per_hour=n * offer.usd_per_hour * share * factors[key],
                idle_gpus=unused,
                price_as_of=offer.as_of,
                price_source=offer.source,
                price_confidence=offer.confidence,
                hours_share=share,
                charged=factors[key],
                upfront_share=offer.upfront_share,
            )


def _charged(rentals: Iterable[Rental], *, ends: bool) -> dict[str, float]:
    """What each offer's holdings are charged over what is held of them, by offer key."""
    held: dict[str, float] = defaultdict(float)
    paid: dict[str, float] = defaultdict(float)
    for rental in rentals:
        key = "/".join((rental.provider, rental.region, rental.instance_type, rental.term))
        months = rental.count * rental.hours_per_month * rental.months
        held[key] += months
        paid[key] += months * charged(rental.months, rental.holding.term_months, ends=ends)
    return {key: paid[key] / held[key] for key in held}


def _idle_at_the_peak(decided: Decided) -> tuple[dict[str, int], dict[str, int]]:
    """Idle GPUs by type, and billed GPUs by offer key, when the most GPUs of the type are billed."""
    offers = decided.offers_by_key
    billed: dict[tuple[str, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    used: dict[tuple[str, int], float] = defaultdict(float)
    for (key, t), nodes in decided.solution.billed.items():
        offer = offers[offer_key(key)]
        billed[offer.gpu, t][offer.key] += nodes * offer.gpu_count
    for (kind, t), n in decided.solution.replicas.items():
        candidate = decided.by_key[kind]
        for gpu, gpus in candidate.gpus_by_type.items():
            used[gpu, t] += n * gpus
    idle: dict[str, int] = defaultdict(int)
    billed_gpus: dict[str, int] = defaultdict(int)
    for gpu in dict.fromkeys(gpu for gpu, _ in billed):
        peak = max(
            (t for name, t in billed if name == gpu),
            key=lambda t: (sum(billed[gpu, t].values()), used[gpu, t]),
        )
        billed_gpus.update(billed[gpu, peak])
        most = sum(billed[gpu, peak].values())
        idle[gpu] = max(0, most - math.ceil(used[gpu, peak] - 1e-9))
    return idle, billed_gpus


def totals_of(
    decided: Decided, services: Iterable[ServicePlan], nodes: Iterable[NodeCount]
) -> Totals:
    """Sums over the plan, with the cost per million tokens at mean demand; GPUs at the peak."""
    nodes, services = tuple(nodes), tuple(services)
    cost = sum(n.usd_per_hour for n in nodes)
    served = {s.name: s.served_qps for s in services}
    rate = sum(served.values())
    lengths = {s.name: lengths_of(s) for s in decided.scenario.services}
    prompt = sum(served[n] * x.mean_prompt for n, x in lengths.items()) / rate if rate else 0.0
    output = sum(served[n] * x.mean_written for n, x in lengths.items()) / rate if rate else 0.0
    tokens = token_cost(cost, rate, prompt, output)
    offers = decided.offers_by_key
    billed_gpus: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for (key, t), n in decided.solution.billed.items():
        billed_gpus[t].append((n, n * offers[offer_key(key)].gpu_count))
    return Totals(
        gpus=sum(g.gpus for s in services for g in s.replica_groups),
        gpus_rented=max((sum(g for _, g in at) for at in billed_gpus.values()), default=0),
        nodes=max((sum(n for n, _ in at) for at in billed_gpus.values()), default=0),
        usd_per_hour=cost,
        usd_per_month=usd_per_month(cost),
        usd_per_year=usd_per_year(cost),
        usd_per_million_output_tokens=tokens.output,
        usd_per_million_input_tokens=tokens.input,
        usd_per_million_tokens=tokens.blended,
    )


def share_of_cost(candidate: Candidate, decided: Decided, nodes: tuple[NodeCount, ...]) -> float:
    """The group's part of the rent of its GPU types, by GPU-hours; idle GPUs are shared in proportion.

    So are nodes of types that run nothing, which a fleet that is not proved cheapest may have.
    """
    own = sum(_share_of_rent(candidate, gpu, decided, nodes) for gpu in candidate.gpus_by_type)
    return own + _share_of_unused(candidate, decided, nodes)


def _share_of_unused(candidate: Candidate, decided: Decided, nodes: tuple[NodeCount, ...]) -> float:
    hours, by_key = decided.problem.period_hours, decided.by_key
    running = {key: n for key, n in decided.solution.replicas.items() if n}
    types = {gpu for kind, _ in running for gpu in by_key[kind].gpus_by_type}
    rent = sum(n.usd_per_hour for n in nodes if n.gpu not in types)
    if not rent:
        return 0.0
    used: dict[str, float] = defaultdict(float)
    for (kind, period), n in running.items():
        used[kind] += n * sum(by_key[kind].gpus_by_type.values()) * hours[period]
    return rent * used[candidate.key] / sum(used.values())


def _share_of_rent(
    candidate: Candidate, gpu: str, decided: Decided, nodes: tuple[NodeCount, ...]
) -> float:
    rent = sum(n.usd_per_hour for n in nodes if n.gpu == gpu)
    hours = decided.problem.period_hours
    used: dict[str, float] = defaultdict(float)
    for (kind, period), n in decided.solution.replicas.items():
        gpus = decided.by_key[kind].gpus_by_type
        if gpu in gpus:
            used[kind] += n * gpus[gpu] * hours[period]
    return rent * used[candidate.key] / sum(used.values())
