"""Units of prefill and decode pools, re-checked: the link, the ratio, and what the unit holds."""

from __future__ import annotations

from collections.abc import Iterator

from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.evidence import weakest
from planner.fleet.candidates.candidate import known_as
from planner.fleet.candidates.derating import derating
from planner.fleet.candidates.handover import handover_reasons
from planner.fleet.candidates.pool_link import kv_link
from planner.performance.prefill_pace import pace_of
from planner.plan.prefill_pool import PrefillPool
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.scenario.schema import Service
from planner.serving.closed_form.unit_point import unit_capacity, unit_of
from planner.serving.placed import Placed
from planner.verification.check import Check, Verdict, equal, one_of, same
from planner.verification.replay import capacity_checks
from planner.workload.lengths import JointLengths


def link_checks(
    label: str,
    service: Service,
    pool: PrefillPool,
    prefill: Deployment,
    decode: Deployment,
    catalog: Catalog,
) -> Iterator[Check]:
    """The unit is one the search allows, over a link that the catalog or the scenario names."""
    requested = service.search.disaggregation
    if requested is None:
        yield Check(
            "search", f"{label} disaggregated prefill and decode", Verdict.FAILS, "not requested"
        )
        return
    ratio = f"{pool.replicas}P{pool.decode_replicas}D"
    yield one_of("search", f"{label} ratio", ratio, requested.ratios)
    yield one_of("search", f"{label} place", pool.within, requested.within)
    degrees = requested.prefill_tensor_parallel or service.search.tensor_parallel
    allowed = tuple(map(str, degrees))
    yield one_of("search", f"{label} prefill tensor_parallel", str(pool.tensor_parallel), allowed)
    gpus = pool.replicas * pool.gpus_each + pool.decode_replicas * decode.gpus
    if pool.gpu:
        named = requested.prefill_gpus or service.search.gpus
        if named != "all":
            allowed = tuple(catalog.gpu(name).name for name in named)
            yield one_of("search", f"{label} prefill GPU", pool.gpu, allowed)
        apart = "; ".join(handover_reasons(catalog.root, prefill, decode))
        yield same("physics", f"{label} KV cache can be handed over", apart or "yes", "yes")
    joined = kv_link(prefill, decode, gpus, pool.within, catalog.root, requested)
    rate, latency = (joined.gb_s, joined.latency_s) if joined else (None, None)
    yield equal("physics", f"{label} KV link [GB/s per GPU]", pool.link_gb_s, rate)
    yield equal("physics", f"{label} KV link latency [s]", pool.link_latency_s, latency)
    known = joined.evidence.value if joined else "none"
    yield same("physics", f"{label} KV link evidence", pool.link_evidence, known)


def unit_checks(
    label: str,
    service: Service,
    group: ReplicaGroup,
    placed: Placed,
    lengths: JointLengths,
    plan: Plan,
) -> Iterator[Check]:
    """The unit's capacity is the closed form's or lower, or holds when it is simulated again."""
    prefill, steps = placed.prefill, placed.steps
    assert prefill is not None
    worse = derating(steps, service.assurance, prefill.steps)
    unit = unit_of(
        prefill,
        placed.deployment,
        placed.memory,
        worse.slowed(steps),
        worse.slowed_prefill(prefill.steps),
    )
    closed_form = unit_capacity(
        unit,
        lengths,
        worse.tightened(service.slo),
        service.prompts_cv,
        service.assumptions.prefix_hit_share,
    )
    others = [g for s in plan.services if s.name == service.name for g in s.replica_groups]
    held = closed_form.qps / worse.demand
    yield from capacity_checks(label, service, group, placed, held, others, plan.provenance.seed)
    assert group.prefill is not None
    yield equal("physics", f"{label} prefill pace", group.prefill.pace, pace_of(prefill.steps))
    grades = (prefill.steps.evidence, known_as(steps, placed.deployment), prefill.link.evidence)
    yield same("capacity", f"{label} evidence", group.evidence, weakest(grades).value)
