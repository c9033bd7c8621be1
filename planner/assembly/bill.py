"""What is rented and what it costs: nodes, totals, and each group's part of the bill."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator

from planner.fleet.candidates import Candidate
from planner.fleet.money import token_cost, usd_per_month, usd_per_year
from planner.plan import NodeCount, ServicePlan, Totals
from planner.scenario import Scenario
from planner.schedule import rented
from planner.serving.lengths import lengths_of
from planner.solved import Solved


def nodes_of(solved: Solved) -> Iterator[NodeCount]:
    """Nodes by offer: those always paid, then those paid part of the time, level by level."""
    offers = {o.key: o for o in solved.offers}
    used: dict[str, float] = defaultdict(float)
    for kind, n in solved.replicas().items():
        candidate = solved.by_key[kind]
        used[candidate.deployment.gpu.name] += n * candidate.gpus * candidate.gpu_share
    levels = [(offers[key], *level) for key, paid in rented(solved) for level in paid]
    total: dict[str, int] = defaultdict(int)
    for offer, n, _ in levels:
        total[offer.gpu] += n * offer.gpu_count
    for offer, n, share in levels:
        idle = max(0, total[offer.gpu] - math.ceil(used[offer.gpu] - 1e-9))
        total[offer.gpu] -= min(idle, n * offer.gpu_count)
        yield NodeCount(
            provider=offer.provider,
            region=offer.region,
            instance_type=offer.instance_type,
            term=offer.term.value,
            gpu=offer.gpu,
            gpus_per_node=offer.gpu_count,
            count=n,
            usd_per_hour_each=offer.usd_per_hour,
            usd_per_hour=n * offer.usd_per_hour * share,
            idle_gpus=min(idle, n * offer.gpu_count),
            price_as_of=offer.as_of,
            price_source=offer.source,
            price_confidence=offer.confidence,
            hours_share=share,
        )


def totals_of(
    scenario: Scenario, services: Iterable[ServicePlan], nodes: Iterable[NodeCount]
) -> Totals:
    """Sums over the plan, with the cost per million tokens at mean demand."""
    nodes = tuple(nodes)
    cost = sum(n.usd_per_hour for n in nodes)
    served = {s.name: s.served_qps for s in services}
    rate = sum(served.values())
    lengths = {s.name: lengths_of(s) for s in scenario.services}
    prompt = sum(served[n] * x.mean_prompt for n, x in lengths.items()) / rate if rate else 0.0
    output = sum(served[n] * x.mean_output for n, x in lengths.items()) / rate if rate else 0.0
    tokens = token_cost(cost, rate, prompt, output)
    return Totals(
        gpus=sum(g.gpus for s in services for g in s.replica_groups),
        gpus_rented=sum(n.count * n.gpus_per_node for n in nodes),
        nodes=sum(n.count for n in nodes),
        usd_per_hour=cost,
        usd_per_month=usd_per_month(cost),
        usd_per_year=usd_per_year(cost),
        usd_per_million_output_tokens=tokens.output,
        usd_per_million_input_tokens=tokens.input,
        usd_per_million_tokens=tokens.blended,
    )


def share_of_cost(candidate: Candidate, solved: Solved, nodes: tuple[NodeCount, ...]) -> float:
    """The group's part of the rent of its GPU type, by GPU-hours; idle GPUs are shared in proportion."""
    gpu = candidate.deployment.gpu.name
    rent = sum(n.usd_per_hour for n in nodes if n.gpu == gpu)
    hours = solved.problem.period_hours
    used: dict[str, float] = defaultdict(float)
    for (kind, period), n in solved.solution.replicas.items():
        other = solved.by_key[kind]
        if other.deployment.gpu.name == gpu:
            used[kind] += n * other.gpus * other.gpu_share * hours[period]
    return rent * used[candidate.key] / sum(used.values())
