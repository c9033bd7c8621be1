"""One replica of a deployment under a service: what rules it out, and what it carries.

The checks that do not depend on targets (permission, legality, support, memory) and what follows from
the layout alone are made once for each deployment; floors and capacity are read for each question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter

from planner.catalog.store import Catalog
from planner.catalog.support import compute_precision
from planner.deployment import Deployment, replica_key
from planner.fleet.candidates.buckets import Bucket
from planner.fleet.candidates.candidate import Candidate, Context, Parts, Rejection, known_as
from planner.fleet.candidates.cuts import WHOLE, GpuCut, cut_gpu
from planner.fleet.candidates.derating import Derating, derating
from planner.fleet.candidates.feasibility import groups_in, node_room, ruled_out
from planner.fleet.candidates.floors import below_floors, guard_capacity
from planner.fleet.candidates.known import FittingReplica, Refusal, SpannedLayout, digest
from planner.fleet.rejection_reason import RejectionReason
from planner.performance import guard
from planner.scenario.schema import Service
from planner.scenario.slo import Slo
from planner.serving.closed_form.capacity import (
    Capacity,
    capacity_from,
    capacity_within,
    ceiling_qps,
    too_long,
)
from planner.serving.closed_form.rate_states import RateStates
from planner.serving.closed_form.replica_curves import grid_seconds
from planner.serving.closed_form.whole_calls import calls_too_slow
from planner.serving.limits import replica_limits
from planner.serving.split_arrivals import SplitArrivals, replica_cv
from planner.sizing.memory import memory_layout
from planner.units import exact


@dataclass(frozen=True, slots=True)
class LoadedReplica:
    """A replica that no check but its capacity rules out, with the targets that it is sized for.

    ``states``: its steady states by length bucket, which its capacity is read from; no capacity at all
    where one request of the bucket does not fit. Of prompts that repeat others the capacity itself, since
    their hits depend on the rate. ``most_qps``: the rate that such states hold up to where bursts are split
    among replicas, by bucket [requests/s].
    """

    replica: FittingReplica
    worse: Derating
    slo: Slo
    states: Mapping[str, RateStates | Capacity]
    most_qps: Mapping[str, float] = field(default_factory=dict)


def on_part(whole: Deployment, cut: GpuCut, catalog: Catalog) -> Deployment:
    """The deployment on a part of its one GPU."""
    if cut == WHOLE:
        return whole
    return replace(whole, gpu=cut_gpu(whole.gpu, cut, catalog))


def loaded(layout: SpannedLayout, context: Context) -> LoadedReplica | Rejection:
    """The replica with its steady states, not solved yet, or the first check that rules it out."""
    service = context.service
    replica = fitting(layout, context)
    if not isinstance(replica, FittingReplica):
        reason, detail, miss = replica
        return Rejection(reason, layout.label, detail, miss)
    missed = max(below_floors(replica.floors, context), key=itemgetter(1), default=None)
    if missed is not None and not context.past_floors:  # the worst of its targets
        return Rejection(RejectionReason.TOO_SLOW, layout.label, *missed, is_floor=True)
    worse = derating(replica.steps, service.assurance)
    slo, slowed = worse.tightened(service.slo), worse.slowed(replica.steps)
    calls = calls_too_slow(slowed, replica.limits, context.lengths, service.prompts_per_call, slo)
    missed = max(calls, key=itemgetter(1), default=None)
    if missed is not None:
        return Rejection(RejectionReason.TOO_SLOW, layout.label, *missed)
    states = {
        b.key: too_long(replica.limits, b.lengths)
        or _agreed(b, replica, worse, service)
        or states_of(b, layout, replica, worse, context)
        for b in context.buckets
    }
    return LoadedReplica(replica, worse, slo, states)


def sized(
    found: LoadedReplica | Rejection, layout: SpannedLayout, context: Context
) -> Candidate | Rejection:
    """The candidate with its capacity, or why it is none."""
    if isinstance(found, Rejection):
        return found
    replica, service = found.replica, context.service
    deployment, memory, steps = replica.deployment, replica.memory, replica.steps
    label, cut = layout.label, layout.cut
    by_bucket = {key: _held(key, found) for key in found.states}
    capacity = max(by_bucket.values(), key=lambda c: c.qps)
    if capacity.qps <= 0:
        detail = capacity.reason or f"limited by {capacity.limited_by}"
        detail += _margin_text(capacity, service.slo, found.slo)
        return Rejection(
            RejectionReason.TOO_SLOW, label, detail, _latency_miss(capacity, found.slo)
        )
    if service.buckets is None:
        guard_capacity(label, replica.floors, capacity, context)
    _, note = compute_precision(deployment.gpu, deployment.weights)
    part = f"on {cut.profile or f'{cut.share:.3g} of a GPU'}" if cut.share < 1 else ""
    held = f"{deployment.gpu.reserved_gib:.3g} GiB of each GPU are held by others"
    others = held if deployment.gpu.reserved_gib else ""
    return Candidate(
        key=replica_key(service.name, label),
        service=service.name,
        deployment=deployment,
        capacity=capacity,
        parts=Parts(lambda: memory, lambda: steps),
        evidence=known_as(steps, deployment),
        notes=tuple(n for n in (note, part, others) if n),
        bucket_qps={key: c.qps for key, c in by_bucket.items() if c.qps > 0},
        gpu_share=cut.share,
        profile=cut.profile,
        group_sizes=groups_in(deployment, context),
    )


def fitting(layout: SpannedLayout, context: Context) -> FittingReplica | Refusal:
    """What does not depend on targets, looked up where it was found before."""
    longest, service = context.lengths.max_total, context.service
    conditions = (longest, service.allow_lower_precision, service.buckets is None)
    key = (layout.text, context.model_text, *conditions, *node_room(layout.whole, context))

    def made() -> FittingReplica | Refusal:
        deployment = on_part(layout.whole, layout.cut, context.catalog)
        refused = next(ruled_out(deployment, context, longest), None)
        if refused is not None:
            return refused
        memory = memory_layout(deployment)
        steps = context.known.steps(deployment, context.calibration)
        floors = guard.floors_of(steps.loads, deployment.settings.tokens_per_step)
        limits = replica_limits(deployment, memory)
        return FittingReplica(deployment, memory, steps, floors, limits)

    return context.known.replicas.of(key, made)


def _agreed(
    bucket: Bucket, replica: FittingReplica, worse: Derating, service: Service
) -> Capacity | None:
    """The capacity of prompts that repeat others, as slow as it may turn out; None for other prompts."""
    if bucket.lengths.reuse is None:
        return None
    slo, steps = worse.tightened(service.slo), worse.slowed(replica.steps)
    cv = replica_cv(service, ceiling_qps(steps, replica.limits, bucket.lengths))
    capacity = capacity_within(steps, replica.limits, bucket.lengths, slo, cv)
    return replace(capacity, qps=capacity.qps / worse.demand)


def states_of(
    bucket: Bucket,
    layout: SpannedLayout,
    replica: FittingReplica,
    worse: Derating,
    context: Context,
    most_qps: float | None = None,
) -> RateStates:
    """One replica under the load of a bucket, as slow as it may turn out.

    most_qps: what it takes at most, and so sees of the bursts [requests/s]; None: its ceiling.
    """
    service, limits, lengths = context.service, replica.limits, bucket.lengths
    share, arrivals = service.assumptions.prefix_hit_share, SplitArrivals.of(service)
    load = context.load if service.buckets is None else digest(lengths)
    key = (layout.text, context.model_text, load, share)

    def made() -> RateStates:
        seconds = context.known.seconds.of(
            key, lambda: grid_seconds(replica.steps, limits, lengths, share)
        )
        steps = worse.slowed(replica.steps)
        cv = arrivals.prompts_cv if most_qps is None else arrivals.prompts_cv(most_qps)
        return RateStates(steps, limits, lengths, cv, share, worse.steps * seconds)

    return context.known.states.of((*key, arrivals, most_qps, worse.steps), made)


def _held(key: str, found: LoadedReplica) -> Capacity:
    """What capacity per replica of a bucket, with what an assurance asks it to be sized for."""
    states = found.states[key]
    if isinstance(states, Capacity):
        return states
    capacity = capacity_from(states, found.slo)
    qps = min(capacity.qps, found.most_qps.get(key, capacity.qps))
    return replace(capacity, qps=qps / found.worse.demand)


def _margin_text(capacity: Capacity, stated: Slo, tightened: Slo) -> str:
    """What the target that an idle replica misses is in the scenario, where a margin tightens it."""
    for ours, theirs in zip(stated.targets, tightened.targets, strict=True):
        if ours.key in capacity.latency_s and theirs.seconds < ours.seconds:
            return f"; the target is {exact(ours.seconds)}, of which the margin takes the rest"
    return ""


def _latency_miss(capacity: Capacity, slo: Slo) -> float | None:
    """What an idle replica needs over the targets it is sized for; 1 where only queues miss them."""
    ratios = [
        capacity.latency_s[t.key] / t.seconds for t in slo.targets if t.key in capacity.latency_s
    ]
    return max(1.0, *ratios) if ratios else None
