"""The chosen replicas at the load they get, by the closed form."""

from __future__ import annotations

import math

from planner.fleet.candidates.buckets import buckets_of, served_lengths
from planner.fleet.candidates.floors import guard_latency
from planner.performance.steps import StepBatch
from planner.scenario.schema import Service
from planner.serving.closed_form.capacity import Capacity
from planner.serving.placed import Placed
from planner.serving.split_arrivals import replica_cv
from planner.solving.stages import Decided, Operating
from planner.workload.lengths import JointLengths, lengths_of


def operating(decided: Decided) -> dict[str, Operating]:
    """Every chosen candidate at the rate one of its replicas gets, by the closed form.

    Raises ArithmeticError where a chosen candidate is sent nothing, which only a changed plan can state.
    """
    services = {s.name: s for s in decided.scenario.services}
    rates = decided.routed_qps()
    points = {}
    for key, count in decided.replicas().items():
        candidate, service = decided.by_key[key], services[decided.by_key[key].service]
        lengths = served_by(decided, service, key)
        placed = Placed(
            candidate.deployment,
            candidate.memory,
            candidate.steps,
            count,
            rates.get(key, 0.0),
            candidate.prefill,
        )
        point = at_load(placed, service, lengths)
        decoding = candidate.prefill.decode_replicas if candidate.prefill else 1
        n = max(point.concurrency / decoding, 1.0)
        in_flight_tokens = n * lengths.mean_context_in_flight
        if not math.isfinite(in_flight_tokens):
            raise ArithmeticError(
                f"{key} at {placed.rate_qps:g} requests/s has no load to predict from"
            )
        step = candidate.steps.step_times(StepBatch(n, in_flight_tokens, sampled_tokens=n))
        guard_latency(candidate, point.latency_s, service)
        points[key] = Operating(point, step)
    return points


def served_by(decided: Decided, service: Service, kind: str) -> JointLengths:
    """Lengths of the requests that replicas of a kind get in their busiest period."""
    buckets = buckets_of(service.name, lengths_of(service), service.buckets)
    return served_lengths(buckets, decided.demand_qps(kind))


def at_load(placed: Placed, service: Service, lengths: JointLengths) -> Capacity:
    """One of the replicas at its share of their rate, by the closed form."""
    rate, share = placed.rate_qps / placed.replicas, service.assumptions.prefix_hit_share
    return placed.point(lengths, service.slo, rate, replica_cv(service, rate), share)
