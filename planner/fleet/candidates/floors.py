"""Candidates against physical floors: targets no layout could meet, and predictions that beat them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from planner.fleet.candidates.candidate import (
    Candidate,
    Context,
)
from planner.performance import guard
from planner.scenario.schema import Service
from planner.scenario.slo import Target
from planner.serving.closed_form.capacity import Capacity
from planner.units import exact
from planner.workload.lengths import lengths_of


def below_floors(floors: guard.Floors, context: Context) -> Iterator[tuple[str, float]]:
    """Targets that no real replica of this layout could meet for the median request."""
    share = context.service.assumptions.prefix_hit_share
    for target in context.service.slo.targets:
        own = context.lengths.of_class(target.request_class)
        prompt, cached = own.median_prompt(share)
        least = {"ttft": floors.ttft_s(prompt, cached), "tpot": floors.tpot_s(prompt)}
        floor = least.get(target.metric, 0.0)
        if target.percentile >= 50 and floor > target.seconds:
            yield below_floor_text(target, floor), floor / target.seconds


def below_floor_text(target: Target, floor_s: float) -> str:
    """A target below a physical floor [s], in words that no prediction has."""
    return (
        f"{target.key} cannot be below {exact(floor_s)}, a physical floor, no prediction; "
        f"the target is {exact(target.seconds)}"
    )


def guard_capacity(where: str, floors: guard.Floors, capacity: Capacity, context: Context) -> None:
    """Raise PhysicsBreach where the capacity beats the arithmetic at peak."""
    lengths = context.lengths
    share = context.service.assumptions.prefix_hit_share
    ceiling = floors.requests_per_s(lengths.mean_computed(share), lengths.mean_output)
    guard.check(capacity.qps, ceiling, "capacity", where=where, at_most=True)


def guard_latency(candidate: Candidate, latency_s: Mapping[str, float], service: Service) -> None:
    """Raise PhysicsBreach where a predicted median beats the floor of the median request.

    Where a service is split by length, its median request is not that of one replica kind.
    """
    if service.buckets is not None:
        return
    lengths, share = lengths_of(service), service.assumptions.prefix_hit_share
    prompt, cached = lengths.median_prompt(share)
    decode = guard.floors(candidate.deployment)
    prefill = guard.floors(candidate.prefill.deployment) if candidate.prefill else decode
    for key, floor in (
        ("ttft_p50", prefill.ttft_s(prompt, cached)),
        ("tpot_p50", decode.tpot_s(prompt)),
    ):
        if key in latency_s:
            guard.check(latency_s[key], floor, key, where=candidate.label)
