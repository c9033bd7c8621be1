"""What a fleet is made of: groups of equal replicas, and the pool a request is routed into."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, field

from planner.performance.steps import StepModel
from planner.serving.limits import ReplicaLimits
from planner.serving.routing import Router
from planner.serving.sequence import Sequence
from planner.serving.timed_replica import TimedReplica


@dataclass(frozen=True, slots=True)
class ReplicaGroup:
    """Replicas of one deployment.

    weight: share of the requests this group gets (normalised over groups). ready_s: when each replica
    starts to accept requests [s], empty for all from the start (an engine start-up after a scaling
    event is its time plus the start-up time); retire_s: when each stops accepting, empty for never.
    """

    steps: StepModel
    limits: ReplicaLimits
    replicas: int
    weight: float = 1.0
    ready_s: tuple[float, ...] = ()
    retire_s: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DecodePool:
    """Replicas that only decode; the groups of the simulation then only prefill.

    The KV cache of a prompt travels at ``link_gb_s`` per GPU [GB/s] after ``link_latency_s`` [s].
    """

    group: ReplicaGroup
    link_gb_s: float
    link_latency_s: float = 0.0


@dataclass(slots=True)
class Pool:
    """Replicas that a request may be routed to, by group, and how much each group has been given."""

    groups: list[list[TimedReplica]]
    weights: list[float]
    routers: list[Router]
    served: list[float] = field(default_factory=list)

    def choose(
        self, sequence: Sequence, accepting: Callable[[TimedReplica], bool] | None
    ) -> TimedReplica | None:
        """The group furthest behind its weight, then its router's choice."""
        best, behind = -1, math.inf
        options: Many[TimedReplica] = ()
        for i, replicas in enumerate(self.groups):
            open_now = replicas if accepting is None else [r for r in replicas if accepting(r)]
            if open_now and self.served[i] / self.weights[i] < behind:
                best, behind, options = i, self.served[i] / self.weights[i], open_now
        if best < 0:
            return None
        self.served[best] += 1
        return self.routers[best].choose(options, sequence)
