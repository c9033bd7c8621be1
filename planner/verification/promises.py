"""What the scenario asks: every rate carried, every target met, every limit kept, every search rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from planner.catalog.offer import Term
from planner.fleet.candidates.layouts import degrees_allowed
from planner.fleet.candidates.mixing import most_kinds
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan, ServicePlan
from planner.scenario.schema import Service
from planner.scenario.search.fields import Search
from planner.verification.billed_nodes import billed_nodes
from planner.verification.check import Check, Verdict, at_least, at_most, equal, one_of, same
from planner.verification.spot_share import spot_share_checks

SAME_RATE = 1e-9  # relative: periods that are equally busy
INTERPOLATED = 2e-3  # relative: capacities are interpolated between rates


def promise_checks(plan: Plan, canonical_gpu: Callable[[str], str]) -> Iterator[Check]:
    """Demand, latency, limits and search, from the scenario the plan carries.

    ``canonical_gpu`` turns a GPU name of the scenario into the catalog's.
    """
    requested = {s.name: s for s in plan.scenario.services}
    yield same(
        "demand",
        "every service of the scenario is planned",
        sorted(s.name for s in plan.services),
        sorted(requested),
    )
    for planned in plan.services:
        if planned.name in requested:
            most = most_kinds(plan.scenario, requested[planned.name], canonical_gpu)
            all_served = plan.scenario.serve == "all"
            yield from _demand(plan, planned, requested[planned.name], most, all_served)
            yield from _latency(planned, requested[planned.name])
            yield from _search(planned, requested[planned.name], canonical_gpu)
    yield from _limits(plan, canonical_gpu)


def _demand(
    plan: Plan, planned: ServicePlan, requested: Service, most: int, all_served: bool
) -> Iterator[Check]:
    name, groups = planned.name, planned.replica_groups
    yield equal("demand", f"{name}: rate requested [requests/s]", planned.rate_qps, requested.rate)
    routed, capacity = _busiest_and_held(plan, planned)
    busiest = planned.served_qps if planned.busiest_qps is None else planned.busiest_qps
    yield equal("demand", f"{name}: what is served is routed", busiest, routed)
    if all_served:
        yield at_least("demand", f"{name}: served [requests/s]", planned.served_qps, requested.rate)
    for group in groups:
        yield at_most(
            "demand",
            f"{name}: {group.label} serves its share within its capacity [requests/s]",
            group.routed_qps,
            group.replicas * group.capacity_qps,
        )
        yield at_most("demand", f"{name}: {group.label} utilisation", group.utilisation, 1.0)
        yield at_most("demand", f"{name}: {group.label} KV pool used", group.kv_used_share, 1.0)
    kinds = len({_kind(g) for g in groups})
    yield at_most("demand", f"{name}: kinds of replicas", kinds, most)
    yield equal(
        "demand",
        f"{name}: headroom [requests/s]",
        planned.headroom_qps,
        max(0.0, capacity - busiest),
    )


def _busiest_and_held(plan: Plan, planned: ServicePlan) -> tuple[float, float]:
    """Rate routed to a service's replicas in its busiest period, and what they hold then [requests/s]."""
    groups = planned.replica_groups
    if planned.busiest_qps is None:
        return (
            sum(g.routed_qps for g in groups),
            sum(g.replicas * g.capacity_qps for g in groups),
        )
    by_key = {g.key(planned.name): g for g in groups}
    at = [
        (
            math.fsum(rate for k in by_key for rate in period.routed_qps.get(k, {}).values()),
            math.fsum(period.replicas.get(k, 0) * g.capacity_qps for k, g in by_key.items()),
        )
        for period in plan.periods
    ]
    busiest = max((routed for routed, _ in at), default=0.0)
    near = busiest * (1 - SAME_RATE)
    return busiest, min((held for routed, held in at if routed >= near), default=0.0)


def _kind(group: ReplicaGroup) -> tuple[object, ...]:
    return (
        group.gpu,
        group.engine,
        group.tensor_parallel,
        group.pipeline_parallel,
        group.data_parallel,
        group.expert_parallel,
        group.weights,
        group.kv_cache,
        None if group.prefill is None else (group.parallel, group.prefill.link),
    )


def _latency(planned: ServicePlan, requested: Service) -> Iterator[Check]:
    targets = {t.key: t.seconds for t in requested.slo.targets}
    yield same("latency", f"{planned.name}: targets requested", planned.targets, targets)
    if requested.slo.goodput is not None:
        return
    for group in planned.replica_groups:
        for key, seconds in targets.items():
            statement = f"{planned.name}: {group.label} {key} [s]"
            predicted = group.predicted.seconds(key)
            if predicted is None:
                yield Check("latency", statement, Verdict.FAILS, "no prediction", f"<= {seconds:g}")
            else:
                allowed = seconds * (1 + INTERPOLATED)
                yield at_most("latency", statement, predicted, allowed)


def _search(
    planned: ServicePlan, requested: Service, canonical_gpu: Callable[[str], str]
) -> Iterator[Check]:
    search = requested.search
    for group in planned.replica_groups:
        label = f"{planned.name}: {group.label}"
        if search.gpus != "all":
            pools = search.disaggregation
            named = (pools.decode_gpus if pools and group.prefill else None) or search.gpus
            allowed = tuple(canonical_gpu(g) for g in named)
            yield one_of("search", f"{label} GPU", group.gpu, allowed)
        yield one_of("search", f"{label} engine", group.engine, search.engines)
        drafts = group.speculation.method if group.speculation else "none"
        ways = tuple(dict.fromkeys(way.method for way in search.speculative))
        if group.speculation or "none" not in ways:
            yield one_of("search", f"{label} speculation", drafts, ways)
        axes = zip(group.degrees, _degrees(search, group).items(), strict=True)
        for degree, (field, degrees) in axes:
            yield one_of("search", f"{label} {field}", str(degree), tuple(map(str, degrees)))


def _degrees(search: Search, group: ReplicaGroup) -> dict[str, tuple[int, ...]]:
    """What the search allows along each axis; a decode pool may have TP degrees of its own."""
    pools = search.disaggregation
    if group.prefill and pools and pools.decode_tensor_parallel:
        search = search.model_copy(update={"tensor_parallel": pools.decode_tensor_parallel})
    return degrees_allowed(search, group.tensor_parallel, group.data_parallel)


def _limits(plan: Plan, canonical_gpu: Callable[[str], str]) -> Iterator[Check]:
    """Every limit in the period that comes closest to it."""
    limits, periods = plan.scenario.limits, billed_nodes(plan)

    def most(**named: str) -> int:
        return max(p.gpus(**named) for p in periods)

    if limits.max_gpus is not None:
        yield at_most("limits", "GPUs rented within max_gpus", most(), limits.max_gpus)
    if limits.max_cost_usd_per_hour is not None:
        cost = max(p.usd_per_hour for p in periods)
        yield at_most(
            "limits", "cost within max_cost_usd_per_hour", cost, limits.max_cost_usd_per_hour
        )
    for name, stock in sorted(limits.stock.items()):
        gpu = canonical_gpu(name)
        yield at_most("limits", f"{gpu} rented within stock", most(gpu=gpu), stock)
    for quota in limits.quotas:
        named = {k: v for k, v in quota.model_dump(exclude={"max_gpus"}).items() if v is not None}
        if "gpu" in named:
            named["gpu"] = canonical_gpu(named["gpu"])
        statement = f"GPUs rented within the quota of {', '.join(named.values()) or 'all'}"
        yield at_most("limits", statement, most(**named), quota.max_gpus)
    vendors = plan.scenario.prices.max_vendors
    if vendors is not None:
        paid = {n.provider for n in plan.nodes if n.term != Term.OWNED}
        yield at_most("limits", "vendors within max_vendors", len(paid), vendors)
    if plan.scenario.spot.max_share < 1:
        yield from spot_share_checks(plan)
