"""What is simulated together: the requests of a service, or the mix of lengths one replica kind gets.

The program adds up the length buckets sent to a kind as rate over capacity, which is an approximation:
long prompts delay short answers beside them. So every kind of a split service is simulated with the very mix
routed to it, and has to hold the targets alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.fleet.candidates.buckets import buckets_of, served_lengths
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.solving.stages import Decided
from planner.workload.lengths import JointLengths, lengths_of


@dataclass(frozen=True)
class Stream:
    """Requests of ``service`` with ``lengths``, and the replicas they are sent to, in their busiest period.

    ``placed`` by replica kind; ``load``: of each kind, in replicas' worth as the program counts it.
    """

    name: str
    service: Service
    lengths: JointLengths
    placed: dict[str, Placed]
    load: dict[str, float]

    @property
    def replicas(self) -> int:
        """Replicas of all kinds together."""
        return sum(p.replicas for p in self.placed.values())


def streams_of(decided: Decided) -> tuple[Stream, ...]:
    """The streams of the chosen fleet, service by service; kinds that get no request have none."""
    return tuple(s for service in decided.scenario.services for s in _streams(decided, service))


def _streams(decided: Decided, service: Service) -> Iterator[Stream]:
    rates = decided.routed_qps(service.name)
    placed = {
        c.key: Placed(c.deployment, c.memory, c.steps, count, rates[c.key], c.prefill)
        for c, count in ((decided.by_key[k], n) for k, n in decided.replicas().items())
        if c.service == service.name and rates.get(c.key, 0.0) > 0
    }
    if not placed:
        return
    load = {key: _load(decided, key) for key in placed}
    lengths = lengths_of(service)
    if service.buckets is None:
        yield Stream(service.name, service, lengths, placed, load)
        return
    buckets = buckets_of(service.name, lengths, service.buckets)
    for key, one in placed.items():
        mix = served_lengths(buckets, decided.demand_qps(key))
        yield Stream(key, service, mix, {key: one}, {key: load[key]})


def _load(decided: Decided, key: str) -> float:
    """Replicas' worth of what a kind gets in its busiest period: the sum of rate over capacity."""
    kind = next(k for k in decided.problem.kinds if k.key == key)
    return sum(rate / kind.capacity_qps[d] for d, rate in decided.demand_qps(key).items())
