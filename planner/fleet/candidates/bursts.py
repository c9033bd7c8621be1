"""Replicas of a service with bursts: the more there are, the calmer arrivals each one sees.

The rate ``c`` that a replica holds is the highest with ``q(c) >= c``, where ``q(c)`` is its capacity under
arrivals as bursty as at a replica that takes the rate ``c`` (``serving.split_arrivals``). It is looked
for from the ceiling down, one step of burstiness at a time.
"""

from __future__ import annotations

from dataclasses import replace

from planner.fleet.candidates.candidate import Context
from planner.fleet.candidates.known import SpannedLayout
from planner.fleet.candidates.replica import LoadedReplica, states_of
from planner.serving.closed_form.capacity import capacity_from
from planner.serving.closed_form.rate_states import RateStates
from planner.serving.split_arrivals import SplitArrivals


def calmer(found: LoadedReplica, layout: SpannedLayout, context: Context) -> LoadedReplica | None:
    """The replica with calmer arrivals, where its capacities ask for so many; None where they do not."""
    arrivals = SplitArrivals.of(context.service)
    most, states = dict(found.most_qps), dict(found.states)
    for bucket in context.buckets:
        solved = found.states[bucket.key]
        if not isinstance(solved, RateStates):
            continue
        below = arrivals.calmer_qps(most.get(bucket.key, solved.ceiling))
        if below is not None and capacity_from(solved, found.slo).qps <= below:
            most[bucket.key] = below
            states[bucket.key] = states_of(
                bucket, layout, found.replica, found.worse, context, below
            )
    return replace(found, states=states, most_qps=most) if most != found.most_qps else None
