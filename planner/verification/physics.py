"""Memory, floors and capacities recomputed from the catalog, deployment by deployment."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from planner.catalog.store import Catalog
from planner.deployment import Deployment
from planner.errors import PlannerError
from planner.fleet.candidates.candidate import known_as
from planner.fleet.candidates.derating import derating
from planner.performance.factors import Calibration
from planner.performance.guard import floors
from planner.plan.rebuild import placed
from planner.plan.replica_group import ReplicaGroup
from planner.plan.schema import Plan
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.pools import Prefill
from planner.serving.split_arrivals import replica_cv
from planner.sizing.legality import legal_reasons
from planner.sizing.memory import memory_layout
from planner.sizing.model_memory import support_reasons
from planner.sizing.precision import is_below_native
from planner.verification.check import (
    Check,
    Verdict,
    at_least,
    at_most,
    equal,
    same,
)
from planner.verification.pools import link_checks, unit_checks
from planner.verification.replay import capacity_checks
from planner.workload.lengths import JointLengths, lengths_of

MEMORY_TOLERANCE = 1e-3


def partition_checks(plan: Plan) -> Iterator[Check]:
    """Each group's memory parts sum to the whole, and none is negative; needs no catalog."""
    for service in plan.services:
        for group in service.replica_groups:
            label = f"{service.name}: {group.label}"
            yield from _partition(label, group.memory)
            if group.prefill is not None:
                yield from _partition(f"{label} prefill", group.prefill.memory)


def _partition(label: str, memory: Mapping[str, float]) -> Iterator[Check]:
    parts = {k: v for k, v in memory.items() if k != "total_bytes"}
    yield equal(
        "physics",
        f"{label} memory parts sum to the GPU [bytes]",
        memory.get("total_bytes"),
        math.fsum(parts.values()),
    )
    yield at_least(
        "physics", f"{label} smallest memory part", min(parts.values(), default=0.0), 0.0
    )


def physics_checks(plan: Plan, catalog: Catalog, calibration: Calibration) -> Iterator[Check]:
    """Every replica group against what its deployment can do at all."""
    requested = {s.name: s for s in plan.scenario.services}
    for planned in plan.services:
        service = requested.get(planned.name)
        if service is None:
            continue
        for group in planned.replica_groups:
            label = f"{planned.name}: {group.label}"
            try:
                one = placed(
                    service, group, catalog, calibration, group.capacity_qps * group.replicas
                )
                lengths = lengths_of(service)
            except PlannerError as error:
                yield Check("physics", f"{label} can be rebuilt", Verdict.FAILS, error.what)
                continue
            deployment, prefill = one.deployment, one.prefill
            degree = prefill.deployment.tensor_parallel if prefill else None
            yield from _layout(label, deployment, group.memory, service, catalog, degree)
            if prefill is not None and group.prefill is not None:
                role, text = f"{label} prefill", group.prefill.memory
                yield from _layout(role, prefill.deployment, text, service, catalog, degree)
                yield from link_checks(
                    label, service, group.prefill, prefill.deployment, deployment, catalog
                )
            if service.buckets is not None:  # recomputed by length, where routes are checked
                continue
            yield from _context(label, deployment, lengths)
            yield from _floors(label, group, deployment, prefill, lengths, service)
            if prefill is None:
                yield from _capacity(label, one, group, lengths, service, plan)
            else:
                yield from unit_checks(label, service, group, one, lengths, plan)


def _context(label: str, deployment: Deployment, lengths: JointLengths) -> Iterator[Check]:
    """The longest request against the context the engine is started for, and the model's own."""
    allowed = (deployment.settings.max_model_len_tokens, deployment.model.max_context_tokens)
    limits = [limit for limit in allowed if limit]
    if limits:
        name = f"{label} longest request within the context [tokens]"
        yield at_most("physics", name, float(lengths.max_total), float(min(limits)))


def _layout(
    label: str,
    deployment: Deployment,
    text: Mapping[str, float],
    service: Service,
    catalog: Catalog,
    prefill_tensor_parallel: int | None,
) -> Iterator[Check]:
    reasons = (
        *legal_reasons(deployment),
        *support_reasons(catalog, deployment, prefill_tensor_parallel),
    )
    yield same("physics", f"{label} launches", "; ".join(reasons) or "yes", "yes")
    if not service.allow_lower_precision:
        native = catalog.weight_format(deployment.model.native_weights)
        below = is_below_native(deployment.model, deployment.weights, catalog.weight_format)
        verdict = Verdict.FAILS if below else Verdict.HOLDS
        statement = f"{label} keeps the checkpoint's precision ({native.name})"
        yield Check("search", statement, verdict, deployment.weights.name)
    memory = memory_layout(deployment)
    yield same("physics", f"{label} fits", "; ".join(memory.reasons) or "yes", "yes")
    for part, size in memory.parts_bytes().items():
        found = text.get(f"{part}_bytes", 0.0)
        near = math.isclose(found, size, rel_tol=MEMORY_TOLERANCE, abs_tol=1.0)
        verdict = Verdict.HOLDS if near else Verdict.FAILS
        statement = f"{label} {part} [bytes per GPU]"
        yield Check("physics", statement, verdict, f"{found:.7g}", f"= {size:.7g}")
    yield equal(
        "physics",
        f"{label} GPU memory [bytes]",
        text.get("total_bytes"),
        deployment.gpu.visible_bytes,
    )


def _floors(
    label: str,
    group: ReplicaGroup,
    deployment: Deployment,
    prefill: Prefill | None,
    lengths: JointLengths,
    service: Service,
) -> Iterator[Check]:
    floor = floors(deployment)
    prompts = floors(prefill.deployment) if prefill else floor
    share = service.assumptions.prefix_hit_share
    prompt, cached = lengths.median_prompt(share)
    least = {"ttft": prompts.ttft_s(prompt, cached), "tpot": floor.tpot_s(prompt)}
    if not lengths.generates:
        least["e2e"] = least["ttft"]
    for metric, seconds in least.items():
        for percentile in ("p50", "p99"):
            predicted = group.predicted.seconds(f"{metric}_{percentile}")
            if predicted is not None:
                statement = f"{label} {metric}_{percentile} above its floor [s]"
                yield at_least("physics", statement, predicted, seconds)
    new = lengths.mean_computed(share)
    if prefill is None:
        ceiling = floor.requests_per_s(new, lengths.mean_output)
    else:
        ceiling = min(
            prefill.replicas * prompts.requests_per_s(new, 1),
            prefill.decode_replicas * floor.requests_per_s(0.0, lengths.mean_output),
        )
    yield at_most(
        "physics", f"{label} capacity below the arithmetic at peak [requests/s]",
        group.capacity_qps, ceiling,
    )  # fmt: skip


def _capacity(
    label: str,
    one: Placed,
    group: ReplicaGroup,
    lengths: JointLengths,
    service: Service,
    plan: Plan,
) -> Iterator[Check]:
    """The capacity is the closed form's or lower, or holds when it is simulated again."""
    worse = derating(one.steps, service.assurance)
    slower, share = one.with_steps(worse.slowed), service.assumptions.prefix_hit_share
    cv = replica_cv(service, group.capacity_qps)
    closed_form = slower.capacity(lengths, worse.tightened(service.slo), cv, share)
    others = [g for s in plan.services if s.name == service.name for g in s.replica_groups]
    yield from capacity_checks(
        label,
        service,
        group,
        one,
        closed_form.qps / worse.demand,
        others,
        plan.provenance.seed,
    )
    yield same(
        "capacity", f"{label} evidence", group.evidence, known_as(one.steps, one.deployment).value
    )
