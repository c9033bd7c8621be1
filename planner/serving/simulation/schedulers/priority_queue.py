"""Requests of several levels that share replicas: who goes first, and who gives way.

A level is a rank among the priorities of a service's request classes; 0 is served first. The queue is in
the order of level and arrival. Where the pool cannot hold the next tokens, vLLM takes the KV of the lowest
level's latest arrival (``max(running, key=(priority, arrival_time))``, vllm/v1/core/sched/scheduler.py).
SGLang retracts without looking at priorities; what it retracts waits behind its own level.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator

from planner.errors import InputError
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.replica import Composer, Replica
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.sequence import Sequence


def levels_of(requests: Requests, groups: Iterable[SimulatedGroup]) -> array[int] | None:
    """The level of each request; None where all wait alike.

    Raises InputError with prompts whose blocks are known, with conversations, and with pools.
    """
    if requests.levels is None:
        return None
    if requests.prefix is not None or requests.dialogue is not None:
        raise InputError("priorities are not simulated together with prefix caches")
    if any(group.decode is not None for group in groups):
        raise InputError("priorities are not simulated in pools of prefill and decode")
    return array("l", requests.levels.tolist())


class LevelQueue:
    """A queue per level, read from the first that holds a request."""

    def __init__(self, levels: int) -> None:
        self._queues: list[deque[Sequence]] = [deque() for _ in range(levels)]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Sequence:
        """The head, which is all that anyone asks for."""
        if place:
            raise IndexError(place)
        return next(self.heads())

    def heads(self) -> Iterator[Sequence]:
        """The first request of each level that holds one."""
        return (queue[0] for queue in self._queues if queue)

    def popleft(self) -> Sequence:
        self._count -= 1
        return next(queue for queue in self._queues if queue).popleft()

    def append(self, sequence: Sequence) -> None:
        """Behind all of its level."""
        self._count += 1
        self._queues[sequence.level].append(sequence)

    def appendleft(self, sequence: Sequence) -> None:
        """Where its arrival puts it within its level."""
        self._count += 1
        queue = self._queues[sequence.level]
        place = 0
        while place < len(queue) and queue[place].index < sequence.index:
            place += 1
        queue.insert(place, sequence)


class PriorityReplica(Replica):
    """A replica whose queue is in the order of level and arrival; it keeps no prefix cache."""

    waiting: LevelQueue

    def __init__(self, limits: ReplicaLimits, composer: Composer, levels: int) -> None:
        super().__init__(limits, composer)
        self.waiting = LevelQueue(levels)

    def preempt_latest(self, requeue_last: bool = False) -> bool:
        """Preempt the lowest level's latest arrival; what goes to the queue's end is the latest admitted."""
        if not requeue_last:
            admitted = self._admitted
            running = (s for s in admitted if s.order >= 0)
            victim = max(running, key=lambda s: (s.level, s.index))
            admitted.remove(victim)
            admitted.append(victim)
        super().preempt_latest(requeue_last)
        return True

    def evict_kept(self) -> None:
        """What preempted requests left stays only as far as the pool has room, the first level's longest."""
        free = self.free_blocks
        for head in self.waiting.heads():
            if head.kept > free:
                head.kept = max(0, int(free))
            free -= head.kept
