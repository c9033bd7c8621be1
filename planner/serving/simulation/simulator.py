"""A fleet of replicas simulated event by event: arrivals, routing, queues, engine steps.

The simulation knows only two kinds of events, a request that reaches the fleet and a step (or a run of
equal decode steps) that ends on some replica, so its cost follows the number of requests, not of
tokens. It is deterministic for its inputs.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from collections.abc import Sequence as Many
from heapq import heappop, heappush

from planner.errors import InputError
from planner.scenario.schema import Routing
from planner.serving.simulation.compiled.coverage import covers
from planner.serving.simulation.compiled.library import library
from planner.serving.simulation.compiled.service_run import CoreRun, run
from planner.serving.simulation.dialogue import Dialogue
from planner.serving.simulation.history_recall import Recall, leave_before
from planner.serving.simulation.replica_groups import Handover, Pool, SimulatedGroup, handovers
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.sampler import Sampler
from planner.serving.simulation.schedulers.priority_queue import levels_of
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.simulated_fleet import SimulatedFleet
from planner.serving.simulation.simulation_outcome import FinishedRun, outcome_of
from planner.serving.simulation.simulation_result import SimulationResult
from planner.serving.simulation.timed_replica import Journal, TimedReplica

MAX_BACKLOG = 50_000


def simulate(
    groups: Many[SimulatedGroup],
    requests: Requests,
    routing: Routing | None = None,
    *,
    seed: int = 0,
    warm_up_s: float = 0.0,
    measured_until_s: float = math.inf,
    prefix_hit_share: float = 0.0,
    concurrency: int | None = None,
    max_backlog: int = MAX_BACKLOG,
    progress: Callable[[int], None] | None = None,
) -> SimulationResult:
    """Simulate ``requests`` through a fleet and return what happened to each.

    Percentiles are taken over requests that arrive in [``warm_up_s``, ``measured_until_s``).
    ``concurrency``: closed loop; arrival times are then ignored, that many requests are sent at the
    start and each response releases the next. ``prefix_hit_share``: a constant share of each prompt taken
    as cached when requests bring no block ids. A backlog over ``max_backlog`` ends the run as
    overloaded. Raises InputError for an empty workload or fleet.
    """
    if not len(requests):
        raise InputError("there are no requests to simulate", action="longer duration, higher rate")
    if not groups or sum(g.replicas for g in groups) < 1:
        raise InputError("there are no replicas to simulate")
    return _Simulation(
        groups,
        requests,
        routing or Routing(),
        seed,
        prefix_hit_share,
        concurrency,
        max_backlog,
        progress,
    ).run(warm_up_s, measured_until_s)


class _Simulation:
    """Holds the event loop's state."""

    def __init__(
        self,
        groups: Many[SimulatedGroup],
        requests: Requests,
        routing: Routing,
        seed: int,
        prefix_hit_share: float,
        concurrency: int | None,
        max_backlog: int,
        progress: Callable[[int], None] | None,
    ) -> None:
        self._groups = groups
        self._requests = requests
        self._count = len(requests)
        self._prompts = array("l", requests.prompt_tokens.tolist())
        self._outputs = array("l", requests.output_tokens.tolist())
        self._arrivals = array("d", requests.arrival_s.tolist())
        self._routing = routing
        self._share = prefix_hit_share
        self._concurrency = concurrency
        self._max_backlog = max_backlog
        self._progress = progress
        self._journal = Journal(self._count)
        self._shed = bytearray(self._count)
        self._arrived = bytearray(self._count)
        self._fleet = SimulatedFleet(requests, routing.policy, self._journal)
        self._replicas, self._windows = self._fleet.replicas, self._fleet.windows
        self._ends: list[tuple[float, int]] = []
        self._later: list[tuple[float, int, Sequence, Handover | None]] = []
        self._handovers: dict[int, Handover] = {}
        self._dialogue = requests.dialogue
        self._calls = None if requests.calls is None else array("l", requests.calls.tolist())
        self._levels = levels_of(requests, groups)
        self._talks = requests.dialogue is not None or requests.recorded
        self._recalls = requests.dialogue is not None or requests.prefix is not None
        self._sent: list[int] = []
        self._recall = Recall()
        self._tie = 0
        self._next = 0
        self._in_system = 0
        self._area = 0.0
        self._clock = 0.0
        self._entry = self._fleet.add(groups, seed, self._leave)
        for group, members in zip(groups, self._entry.groups, strict=True):
            self._add_decode_pool(group, members, seed + 1)
        self._scales = any(w != (0.0, math.inf) for w in self._windows)
        self._admission_s = max(group.steps.admission_s for group in groups)
        span = float(requests.arrival_s[-1]) if concurrency is None else 0.0
        self._sampler = Sampler(self._replicas, span)
        if self._dialogue is not None:
            self._begin_dialogue(self._dialogue)

    def _begin_dialogue(self, dialogue: Dialogue) -> None:
        """Queue the first request of each conversation, and lay earlier ones' histories into the caches."""
        self._next = self._count
        for index in dialogue.begins.tolist():
            self._push(self._arrivals[index] + self._admission_s, self._sequence(index))
        members = [r for group in self._entry.groups for r in group]
        for i, (conversation, tokens) in enumerate(dialogue.left_before):
            leave_before(members[i % len(members)].core, conversation, tokens)

    def _add_decode_pool(
        self, group: SimulatedGroup, prefilling: list[TimedReplica], seed: int
    ) -> None:
        decode = group.decode
        if decode is None:
            return
        pool = self._fleet.add([decode.group], seed, self._leave, decodes=True)
        for handover in handovers(prefilling, decode, pool):
            self._handovers[handover.sender.number] = handover
            handover.sender.on_end = self._hand_over

    def run(self, warm_up_s: float, measured_until_s: float) -> SimulationResult:
        overloaded = self._run_compiled()
        if overloaded is None:
            overloaded = self._run()
        return outcome_of(
            FinishedRun(
                requests=self._requests,
                arrivals=self._arrivals,
                sent=slice(self._next) if self._dialogue is None else self._sent,
                journal=self._journal,
                shed=self._shed,
                replicas=self._replicas,
                samples=self._sampler.samples,
                area=self._area,
                clock_s=self._clock,
                overloaded=overloaded,
                knows_prefixes=self._talks,
            ),
            warm_up_s,
            measured_until_s,
        )

    def _run_compiled(self) -> bool | None:
        """Let the compiled core run it: whether it was overloaded, None where the loop has to run it."""
        core = library()
        if core is None or not covers(self._groups, self._requests, self._routing, self._replicas):
            return None
        outcome = run(
            core,
            CoreRun(
                replicas=self._replicas,
                windows=self._windows,
                pools=self._fleet.pools,
                handovers=self._handovers,
                prompts=self._prompts,
                outputs=self._outputs,
                arrivals=self._arrivals,
                calls=self._calls,
                levels=self._levels,
                cached_share=self._share,
                concurrency=self._concurrency,
                max_backlog=self._max_backlog,
                max_queue=self._routing.max_queue,
                scales=self._scales,
                admission_s=self._admission_s,
                sample_every_s=self._sampler.every_s,
                progress=self._progress,
            ),
        )
        if outcome is None:
            return None
        self._journal, self._shed = outcome.journal, outcome.shed
        self._arrivals = outcome.arrivals
        self._next, self._area, self._clock = outcome.sent, outcome.area, outcome.clock_s
        self._sampler.taken(outcome.samples)
        return outcome.overloaded

    def _run(self) -> bool:
        """The event loop; whether more requests were in the system than may be."""
        if self._concurrency is not None:
            for _ in range(min(self._concurrency, self._count)):
                self._send(0.0)
        while True:
            now = self._next_event_s()
            self._advance(now)
            now = self._next_event_s()
            if now == math.inf:
                if self._ends:
                    continue
                return False
            if self._ends and self._ends[0][0] < now:
                continue
            self._area += self._in_system * (now - self._clock)
            self._clock = now
            if now >= self._sampler.next_s:
                self._sampler.sample(now)
            self._take_next(now)
            if self._in_system > self._max_backlog:
                return True

    def _next_event_s(self) -> float:
        later = self._later[0][0] if self._later else math.inf
        if self._concurrency is None and self._next < self._count:
            arrival: float = self._arrivals[self._next] + self._admission_s
            return arrival if arrival < later else later
        return later

    def _advance(self, until_s: float) -> None:
        """Finish steps that end before ``until_s``; stop early when one of them schedules a new event."""
        ends, replicas, later = self._ends, self._replicas, self._later
        waiting = len(later)
        while ends and ends[0][0] < until_s:
            end, number = heappop(ends)
            replica = replicas[number]
            if replica.step_end_s != end:
                continue
            self._area += self._in_system * (end - self._clock)
            self._clock = end
            if end >= self._sampler.next_s:
                self._sampler.sample(end)
            replica.finish_step()
            if replica.step_end_s < math.inf:
                heappush(ends, (replica.step_end_s, number))
            if len(later) != waiting:
                return

    def _take_next(self, now: float) -> None:
        if self._later and self._later[0][0] <= now:
            _, _, sequence, handover = heappop(self._later)
            if handover is None and self._dialogue is not None:
                self._take_turn(sequence.index, now)
            if handover is not None:
                handover.arrived(sequence.prompt)
                if handover.sender.wake(now):
                    heappush(self._ends, (now, handover.sender.number))
            self._route(sequence, now, handover)
            return
        index = self._next
        self._next += 1
        self._in_system += 1
        self._area += self._admission_s  # it arrived that long ago
        self._route(self._sequence(index), now)
        if self._progress is not None and index % 1000 == 0:
            self._progress(index)

    def _send(self, now: float) -> None:
        """Closed loop: the next request leaves its client now."""
        if self._next >= self._count:
            return
        index = self._next
        self._next += 1
        self._in_system += 1
        self._arrivals[index] = now
        self._push(now + self._admission_s, self._sequence(index))

    def _take_turn(self, index: int, now: float) -> None:
        """Conversations: a request reaches the fleet, the first time it is routed."""
        if self._arrived[index]:
            return
        self._arrived[index] = 1
        self._sent.append(index)
        self._arrivals[index] = now - self._admission_s
        self._in_system += 1
        self._area += self._admission_s

    def _answered(self, index: int, now: float) -> None:
        """Conversations: the next request comes once the answer has been read."""
        dialogue = self._dialogue
        if dialogue is None:
            return
        following = int(dialogue.next_turn[index])
        at = now + float(dialogue.pause_s[index])
        if following >= 0 and at < dialogue.until_s:
            self._push(at + self._admission_s, self._sequence(following))

    def _push(self, at_s: float, sequence: Sequence, handover: Handover | None = None) -> None:
        self._tie += 1
        heappush(self._later, (at_s, self._tie, sequence, handover))

    def _sequence(self, index: int) -> Sequence:
        prompt = self._prompts[index]
        prefix = () if self._requests.prefix is None else self._requests.prefix[index]
        cached = 0 if prefix else min(int(prompt * self._share), prompt - 1)
        if self._dialogue is not None:
            whose = int(self._dialogue.conversation[index])
            prefix = (0,) if self._dialogue.shared_tokens else ()
            return Sequence(index, prompt, self._outputs[index], prefix, conversation=whose)
        sequence = Sequence(index, prompt, self._outputs[index], prefix, cached)
        sequence.answered = self._requests.answered
        if self._levels is not None:
            sequence.level = self._levels[index]
        return sequence

    def _route(self, sequence: Sequence, now: float, handover: Handover | None = None) -> None:
        pool = self._entry if handover is None else handover.pool
        accepting = None
        if handover is not None and handover.decode.units > 1:

            def accepting(replica: TimedReplica) -> bool:
                return replica.number in handover.decoders

        elif self._scales:

            def accepting(replica: TimedReplica) -> bool:
                ready, retire = self._windows[replica.number]
                return ready <= now < retire

        replica = None
        if handover is None:
            replica = self._recall.replica_of(sequence) or self._of_call(sequence.index)
        replica = replica or pool.choose(sequence, accepting)
        if replica is None:
            self._wait_for_a_replica(sequence, now, handover, pool)
            return
        if handover is None and self._recalls:
            ready_s = self._recall.begin(replica, sequence, now)
            if ready_s is not None:
                self._push(ready_s, sequence)
                return
        core = replica.core
        if replica.number in self._handovers:
            sequence.output = 1
        limit = self._routing.max_queue
        full = limit is not None and len(core.waiting) >= limit and handover is None
        if full or not core.can_ever_hold(sequence):
            self._refuse(sequence)
            return
        self._journal.replica[sequence.index] = replica.number
        before = replica.step_end_s
        replica.submit(sequence, now)
        if replica.step_end_s != before:
            heappush(self._ends, (replica.step_end_s, replica.number))

    def _of_call(self, index: int) -> TimedReplica | None:
        """The replica that the first request of a call went to: its server answers the whole call."""
        if self._calls is None:
            return None
        number = self._journal.replica[self._calls[index]]
        return self._replicas[number] if number >= 0 else None

    def _wait_for_a_replica(
        self, sequence: Sequence, now: float, handover: Handover | None, pool: Pool
    ) -> None:
        numbers = [r.number for members in pool.groups for r in members]
        ready = [self._windows[n][0] for n in numbers if self._windows[n][0] > now]
        if ready:
            self._push(min(ready), sequence, handover)
        else:
            self._refuse(sequence)

    def _refuse(self, sequence: Sequence) -> None:
        self._shed[sequence.index] = 1
        self._in_system -= 1
        self._answered(sequence.index, self._clock)
        if self._concurrency is not None:
            self._send(self._clock)

    def _leave(self, sequence: Sequence, now: float) -> None:
        self._in_system -= 1
        self._answered(sequence.index, now)
        if self._concurrency is not None:
            self._send(now)

    def _hand_over(self, sequence: Sequence, now: float) -> None:
        """A prefilled prompt's KV cache travels to the decode pool, which then yields every token."""
        index = sequence.index
        journal = self._journal
        handover = self._handovers[journal.replica[index]]
        journal.first_s[index] = journal.end_s[index] = -1.0
        prompt = sequence.prompt
        moved = Sequence(index, prompt, self._outputs[index], (), prompt - 1)
        admission_s = handover.decode.group.steps.admission_s
        self._push(handover.send(prompt, now) + admission_s, moved, handover)
