"""Which replica a request goes to."""

from __future__ import annotations

import random
from collections.abc import Sequence as Many

from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.timed_replica import TimedReplica

PREFIX_SLACK = 1.25  # a replica with the prefix may be this much busier than the least loaded one


class Router:
    """A routing policy over the replicas that accept requests; see ``planner.scenario.schema.Routing``."""

    def __init__(self, policy: str, seed: int = 0) -> None:
        self.policy = policy
        self.random = random.Random(seed)
        self._turn = 0

    def choose(self, replicas: Many[TimedReplica], sequence: Sequence) -> TimedReplica:
        """Return the replica for ``sequence``; ties go to the next in turn."""
        count = len(replicas)
        if count == 1:
            return replicas[0]
        if self.policy == "random":
            return replicas[self.random.randrange(count)]
        self._turn = (self._turn + 1) % count
        if self.policy == "round-robin":
            return replicas[self._turn]
        turn = self._turn
        loads = [r.core.in_flight for r in replicas]
        least = min(loads)
        if self.policy == "prefix-aware" and sequence.prefix:
            limit = least * PREFIX_SLACK + 1
            best, hits = None, 0
            for replica, load in zip(replicas, loads, strict=True):
                if load <= limit and replica.core.cache is not None:
                    found = replica.core.cache.blocks_held(sequence.prefix)
                    if found > hits:
                        best, hits = replica, found
            if best is not None:
                return best
        return replicas[loads.index(least, turn if least in loads[turn:] else 0)]
