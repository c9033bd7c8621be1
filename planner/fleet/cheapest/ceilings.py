"""Deployments at their ceilings: what each would carry if no target held it back.

A ceiling is the rate at which some resource of a replica is used up. Its capacity within targets is never
above it, and takes ten times as long to find. Where only the cheapest fleet is asked for, most deployments
cost too much even at their ceilings, and their capacities are never found (``planner.solving.cheapest``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import nan

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.deployment import replica_key
from planner.evidence import Evidence
from planner.fleet.candidates.candidate import Candidate, CandidateSet, Context, Parts, Rejection
from planner.fleet.candidates.derating import derating
from planner.fleet.candidates.enumerate import (
    Try,
    candidates_of,
    context_of,
    in_full,
    is_known,
    try_with,
)
from planner.fleet.candidates.feasibility import groups_in, node_room
from planner.fleet.candidates.floors import below_floors
from planner.fleet.candidates.known import FittingReplica, Known, SpannedLayout, digest
from planner.fleet.candidates.outcomes import outcome_name
from planner.fleet.candidates.replica import fitting, on_part
from planner.performance.factors import Calibration
from planner.scenario.fleet import GpuPart
from planner.scenario.schema import Service
from planner.serving.capacity_limit import CapacityLimit
from planner.serving.closed_form.capacity import Capacity, too_long
from planner.serving.closed_form.replica_ceiling import ceiling_alone_qps
from planner.sizing.memory import memory_layout


@dataclass(frozen=True)
class CeilingSet:
    """The deployments of a service at their ceilings, those sized before at their capacities.

    ``layouts``: of every candidate, by its key.
    """

    at_ceilings: CandidateSet
    layouts: Mapping[str, SpannedLayout]
    context: Context

    def sized(self, keys: Collection[str]) -> CandidateSet:
        """The candidates of these keys with their capacities, and whatever is rejected of them."""
        layouts = [layout for key, layout in self.layouts.items() if key in keys]
        attempt = in_full(layouts, self.context)
        tried = [attempt(layout) for layout in layouts]
        return CandidateSet(
            self.at_ceilings.service,
            tuple(t for t in tried if isinstance(t, Candidate)),
            tuple(t for t in tried if isinstance(t, Rejection)),
        )


def ceilings_of(
    service: Service,
    catalog: Catalog,
    offers: Iterable[Offer],
    calibration: Calibration,
    gpu_shares: tuple[GpuPart, ...],
    known: Known,
) -> CeilingSet:
    """Every deployment that a service's search spans, no capacity found that is not known.

    Not for searches with pools, whose units are sized by their pools' capacities. Looked up where only the
    rate or prices differ from an earlier question; what was sized since is at its ceiling still.
    """
    context = context_of(service, catalog, offers, calibration, known)
    networks = tuple(context.networks.rates.items())
    key = (
        *(context.model_text, context.required, context.load, service.search.model_dump_json()),
        *(tuple(sorted(context.largest_node.items())), networks, gpu_shares),
    )
    found = known.ceiling_sets.of(key, lambda: _found(context, gpu_shares))
    assert isinstance(found, CeilingSet)
    return found


def _found(context: Context, gpu_shares: tuple[GpuPart, ...]) -> CeilingSet:
    layouts: dict[str, SpannedLayout] = {}

    def attempt(layout: SpannedLayout) -> Candidate | Rejection:
        tried = _at_ceiling(layout, context)
        if isinstance(tried, Candidate):
            layouts[tried.key] = layout
        return tried

    def sizing(_layouts: Iterable[SpannedLayout]) -> Try:
        return attempt

    return CeilingSet(candidates_of(context, gpu_shares, sizing), layouts, context)


def _at_ceiling(layout: SpannedLayout, context: Context) -> Candidate | Rejection:
    """A deployment as it is known, or at its ceiling; to reject one takes no capacity."""
    if is_known(layout, context):
        return try_with({}, layout, context)
    outcomes = context.outcomes
    name = f"{outcome_name(layout.text, node_room(layout.whole, context))}|at its ceiling"
    row = outcomes.find(name) if outcomes is not None else None
    most = _restored(row) if row is not None else {}
    if most:
        return _candidate(layout, context, most)
    replica = fitting(layout, context)
    if isinstance(replica, FittingReplica) and not any(below_floors(replica.floors, context)):
        found = _whatever_the_targets(replica, layout, context)
        if found is not None:
            if outcomes is not None:
                outcomes.keep(name, [found.bucket_qps])
            return found
    return try_with({}, layout, context)


def _whatever_the_targets(
    replica: FittingReplica, layout: SpannedLayout, context: Context
) -> Candidate | None:
    """The deployment at its ceiling, found once for questions that differ in their targets alone."""
    service = context.service

    def made() -> Candidate | None:
        most = _most_qps(replica, layout, context)
        return _candidate(layout, context, most) if most else None

    if service.buckets is not None:
        return made()
    share, assurance = service.assumptions.prefix_hit_share, service.assurance
    worse = assurance and (assurance.probability, assurance.demand_cv)
    room = node_room(layout.whole, context)
    key = (layout.text, context.model_text, context.load, service.name, share, worse, *room)
    found = context.known.at_ceilings.of(key, made)
    assert found is None or isinstance(found, Candidate)
    return found


def _restored(row: list[object]) -> dict[str, float]:
    """Rates by length bucket of a row that an earlier run kept; empty for another row."""
    most = row[0] if len(row) == 1 else None
    if not isinstance(most, dict) or not all(isinstance(v, float) for v in most.values()):
        return {}
    return {str(key): float(qps) for key, qps in most.items()}


def _most_qps(replica: FittingReplica, layout: SpannedLayout, context: Context) -> dict[str, float]:
    """What a replica carries at most of each length bucket [requests/s].

    Empty where that is not known without its capacity: of prompts that repeat others.
    """
    service, limits = context.service, replica.limits
    share = service.assumptions.prefix_hit_share
    worse = derating(replica.steps, service.assurance)
    most = {}
    for bucket in context.buckets:
        lengths = bucket.lengths
        if lengths.reuse is not None:
            return {}
        if too_long(limits, lengths):
            continue
        load = context.load if service.buckets is None else digest(lengths)
        rows = context.known.ceilings.of(context.model_text, load)
        name = f"{layout.text}|{share!r}|{worse.steps!r}"
        row = rows.find(name)
        if row is None:
            row = [ceiling_alone_qps(replica.steps, limits, lengths, share, worse.steps)]
            rows.keep(name, row)
        (ceiling,) = row
        assert isinstance(ceiling, float)
        most[bucket.key] = ceiling / worse.demand
    return most


def _candidate(layout: SpannedLayout, context: Context, most: Mapping[str, float]) -> Candidate:
    """The candidate as far as its price goes: nothing else is read of it."""
    deployment = on_part(layout.whole, layout.cut, context.catalog)
    capacity = Capacity(max(most.values()), nan, nan, nan, {}, CapacityLimit.THROUGHPUT)
    return Candidate(
        key=replica_key(context.service.name, layout.label),
        service=context.service.name,
        deployment=deployment,
        capacity=capacity,
        parts=Parts(
            lambda: memory_layout(deployment),
            lambda: context.known.steps(deployment, context.calibration),
        ),
        evidence=Evidence.MODELLED,
        bucket_qps=most,
        gpu_share=layout.cut.share,
        profile=layout.cut.profile,
        group_sizes=groups_in(deployment, context),
    )
