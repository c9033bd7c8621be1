"""What a fleet is made of: groups of equal replicas, and the pool a request is routed into."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace

from planner.deployment import Deployment
from planner.performance.steps import StepModel
from planner.serving.limits import ReplicaLimits, replica_limits
from planner.serving.pools import Prefill
from planner.serving.simulation.routing import Router
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.timed_replica import TimedReplica
from planner.sizing.layout import MemoryLayout


@dataclass(frozen=True, slots=True)
class SimulatedGroup:
    """Replicas of one deployment.

    weight: share of the requests this group gets (normalised over groups). ready_s: when each replica
    starts to accept requests [s], empty for all from the start (an engine start-up after a scaling
    event is its time plus the start-up time); retire_s: when each stops accepting, empty for never.
    decode: where the answers are written, for replicas that only prefill.
    """

    steps: StepModel
    limits: ReplicaLimits
    replicas: int
    weight: float = 1.0
    ready_s: tuple[float, ...] = ()
    retire_s: tuple[float, ...] = ()
    decode: DecodePool | None = None


def numbers_of(groups: Many[SimulatedGroup]) -> tuple[range, ...]:
    """The numbers that a simulation gives each group's replicas, of a unit those that write answers.

    Groups come in their order, then the decode pools in the order of their groups.
    """
    firsts = list(itertools.accumulate((g.replicas for g in groups), initial=0))
    following, numbers = firsts[-1], []
    for group, first in zip(groups, firsts, strict=False):
        if group.decode is None:
            numbers.append(range(first, first + group.replicas))
        else:
            count = group.decode.group.replicas
            numbers.append(range(following, following + count))
            following += count
    return tuple(numbers)


@dataclass(frozen=True, slots=True)
class DecodePool:
    """Replicas that write the answers to prompts which another group has prefilled.

    The KV cache of a prompt travels at ``link_gb_s`` per GPU [GB/s], one prompt after the other from
    each rank of a prefill replica, and arrives ``link_latency_s`` [s] later. units: failure domains that
    the replicas of both pools are dealt to evenly; a prompt is decoded in the one it was prefilled in.
    """

    group: SimulatedGroup
    link_gb_s: float
    link_latency_s: float = 0.0
    units: int = 1

    def sent_s(self, sender: ReplicaLimits, prompt_tokens: int) -> float:
        """How long the KV cache of a prompt is on the link [s]; the fuller GPU of the two sets it."""
        mine, theirs = sender, self.group.limits
        held = max(mine.sequence_bytes(prompt_tokens), theirs.sequence_bytes(prompt_tokens))
        return held / (self.link_gb_s * 1e9)


@dataclass(slots=True)
class Handover:
    """Where one prefill replica's prompts go, and until when its link is taken [s].

    decoders: numbers of the decode replicas of its failure domain. A prompt keeps its blocks in the
    sender's pool until it has arrived.
    """

    sender: TimedReplica
    decode: DecodePool
    pool: Pool
    decoders: frozenset[int]
    free_s: float = 0.0

    def send(self, prompt_tokens: int, now_s: float) -> float:
        """When a prompt that is ready now has arrived, after those before it [s]."""
        core = self.sender.core
        core.used_blocks += self._blocks(prompt_tokens)
        sent = self.decode.sent_s(core.limits, prompt_tokens)
        start = max(now_s, self.free_s)
        self.free_s = start + sent / core.limits.ranks
        return start + sent + self.decode.link_latency_s

    def arrived(self, prompt_tokens: int) -> None:
        """Give the prompt's blocks back."""
        self.sender.core.used_blocks -= self._blocks(prompt_tokens)

    def _blocks(self, prompt_tokens: int) -> float:
        core = self.sender.core
        return core.limits.sequence_bytes(prompt_tokens) / core.unit_bytes


def handovers(prefilling: Many[TimedReplica], decode: DecodePool, pool: Pool) -> Iterator[Handover]:
    """Where each prefill replica hands over: to the decode replicas of its own unit, of equally many."""
    (decoding,) = pool.groups
    units = decode.units
    for i, replica in enumerate(prefilling):
        unit = i * units // len(prefilling)
        near = (d.number for j, d in enumerate(decoding) if j * units // len(decoding) == unit)
        yield Handover(replica, decode, pool, frozenset(near))


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
        if accepting is None and len(self.groups) == 1:
            return self.routers[0].choose(self.groups[0], sequence)
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


def unit_group(
    prefill: Prefill,
    decode: Deployment,
    memory: MemoryLayout,
    steps: StepModel,
    units: int,
    weight: float,
) -> SimulatedGroup:
    """``units`` of two pools as the simulator runs them."""
    answers = SimulatedGroup(steps, replica_limits(decode, memory), units * prefill.decode_replicas)
    return SimulatedGroup(
        prefill.steps,
        replica_limits(prefill.deployment, prefill.memory),
        units * prefill.replicas,
        weight=weight,
        decode=DecodePool(answers, prefill.link.gb_s, prefill.link.latency_s, units),
    )


def with_scaling(
    group: SimulatedGroup, events: Many[tuple[float, int]], start_up_s: float
) -> SimulatedGroup:
    """The group with replicas that start and stop as ``events`` say: from when [s], how many.

    The most recently started replica stops first; a new one serves ``start_up_s`` after its event [s].
    """
    ready = [0.0] * group.replicas
    retire = [math.inf] * group.replicas
    running = list(range(group.replicas))
    for at_s, count in sorted(events, key=lambda e: e[0]):
        while len(running) > count:
            retire[running.pop()] = at_s
        while len(running) < count:
            running.append(len(ready))
            ready.append(at_s + start_up_s)
            retire.append(math.inf)
    return replace(group, replicas=len(ready), ready_s=tuple(ready), retire_s=tuple(retire))
