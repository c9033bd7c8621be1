"""A fleet of replicas played event by event: arrivals, routing, queues, engine steps.

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

import numpy as np

from planner.catalog.engine import Scheduler
from planner.errors import InputError
from planner.scenario.schema import Routing
from planner.serving.limits import ReplicaLimits
from planner.serving.offload import recompute_s_per_token
from planner.serving.simulation.compiled.coverage import covers
from planner.serving.simulation.compiled.library import library
from planner.serving.simulation.compiled.service_run import CoreRun, run
from planner.serving.simulation.dialogue import Dialogue
from planner.serving.simulation.history_cache import HistoryCache
from planner.serving.simulation.offload_tier import OffloadTier
from planner.serving.simulation.prefix_cache import PrefixCache
from planner.serving.simulation.replica import Replica
from planner.serving.simulation.replica_groups import Handover, Pool, SimulatedGroup
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.routing import Router
from planner.serving.simulation.schedulers.registry import composer
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.simulation_result import SimulationResult, TimeSeries
from planner.serving.simulation.step_table import StepTable
from planner.serving.simulation.timed_replica import Journal, TimedReplica

MAX_BACKLOG = 50_000
SERIES_POINTS = 600


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
    """Play ``requests`` through a fleet and return what happened to each.

    Percentiles are taken over requests that arrive in [``warm_up_s``, ``measured_until_s``).
    ``concurrency``: closed loop; arrival times are then ignored, that many requests are sent at the
    start and each answer releases the next. ``prefix_hit_share``: a constant share of each prompt taken
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
        self._longest = int((requests.prompt_tokens + requests.output_tokens).max())
        self._routing = routing
        self._share = prefix_hit_share
        self._concurrency = concurrency
        self._max_backlog = max_backlog
        self._progress = progress
        self._journal = Journal(self._count)
        self._shed = bytearray(self._count)
        self._arrived = bytearray(self._count)
        self._replicas: list[TimedReplica] = []
        self._windows: list[tuple[float, float]] = []
        self._pools: list[Pool] = []
        self._ends: list[tuple[float, int]] = []
        self._later: list[tuple[float, int, Sequence, Handover | None]] = []
        self._handovers: dict[int, Handover] = {}
        self._dialogue = requests.dialogue
        self._talks = requests.dialogue is not None or requests.recorded
        self._sent: list[int] = []
        self._brought: dict[int, TimedReplica] = {}
        self._tie = 0
        self._next = 0
        self._in_system = 0
        self._area = 0.0
        self._clock = 0.0
        self._entry = self._build(groups, seed)
        for group, members in zip(groups, self._entry.groups, strict=True):
            self._add_decode_pool(group, members, seed + 1)
        self._scales = any(w != (0.0, math.inf) for w in self._windows)
        self._admission_s = max(group.steps.admission_s for group in groups)
        self._pool_units = sum(r.core.pool_blocks for r in self._replicas)
        self._samples: list[tuple[float, float, float, float]] = []
        self._sample_every = self._sample_step()
        self._next_sample = 0.0
        if self._dialogue is not None:
            self._begin_dialogue(self._dialogue)

    # ---- construction

    def _begin_dialogue(self, dialogue: Dialogue) -> None:
        """Queue the first request of each conversation, and lay earlier ones' histories into the caches."""
        self._next = self._count
        for index in dialogue.begins.tolist():
            self._push(self._arrivals[index] + self._admission_s, self._sequence(index))
        members = [r for group in self._entry.groups for r in group]
        for i, (conversation, tokens) in enumerate(dialogue.left_before):
            members[i % len(members)].core.recall(conversation, tokens)

    def _add_decode_pool(
        self, group: SimulatedGroup, prefilling: list[TimedReplica], seed: int
    ) -> None:
        decode = group.decode
        if decode is None:
            return
        pool = self._build([decode.group], seed, decodes=True)
        (decoding,) = pool.groups
        units = decode.units
        for i, replica in enumerate(prefilling):
            unit = i * units // len(prefilling)
            near = (d.number for j, d in enumerate(decoding) if j * units // len(decoding) == unit)
            self._handovers[replica.number] = Handover(replica, decode, pool, frozenset(near))
            replica.on_end = self._hand_over

    def _build(self, groups: Many[SimulatedGroup], seed: int, decodes: bool = False) -> Pool:
        pool = Pool([], [], [])
        for group in groups:
            limits = group.limits
            table = StepTable(
                group.steps,
                self._longest,
                limits.max_num_seqs,
                max(limits.max_num_batched_tokens, 0 if limits.chunked else self._longest),
                limits.ranks,
                joins=decodes,
            )
            members = []
            for i in range(group.replicas):
                scheduler = limits.scheduler
                if decodes and scheduler is Scheduler.PREFILL_FIRST:
                    scheduler = Scheduler.CHUNKED_PREFILL
                caches = limits.prefix_caching and not decodes
                replica = TimedReplica(
                    len(self._replicas),
                    Replica(
                        limits,
                        composer(scheduler),
                        self._cache(limits) if caches else None,
                        self._histories(group) if caches else None,
                    ),
                    table,
                    self._journal,
                )
                replica.on_end = self._leave
                members.append(replica)
                self._replicas.append(replica)
                ready = group.ready_s[i] if i < len(group.ready_s) else 0.0
                retire = group.retire_s[i] if i < len(group.retire_s) else math.inf
                self._windows.append((ready, retire))
            pool.groups.append(members)
            pool.weights.append(max(group.weight, 1e-12))
            pool.routers.append(Router(self._routing.policy, seed, self._talks))
            pool.served.append(0.0)
        self._pools.append(pool)
        return pool

    def _histories(self, group: SimulatedGroup) -> HistoryCache | None:
        limits = group.limits
        if self._dialogue is None or limits.kv_block_bytes <= 0:
            return None
        if limits.offload is None:
            return HistoryCache()
        again_s = recompute_s_per_token(group.steps, limits.chunk_tokens)
        return HistoryCache(OffloadTier(limits.offload, limits.kv_block_tokens, again_s))

    def _cache(self, limits: ReplicaLimits) -> PrefixCache | None:
        grows = limits.kv_block_bytes > 0
        if self._dialogue is not None:
            shared = self._dialogue.shared_tokens // limits.kv_block_tokens
            return (
                PrefixCache(shared * limits.kv_block_tokens, shared) if shared and grows else None
            )
        if self._requests.prefix is None:
            return None
        tokens = self._requests.block_tokens
        return PrefixCache(tokens, tokens // limits.kv_block_tokens if grows else 0)

    def _sample_step(self) -> float:
        span = float(self._requests.arrival_s[-1]) if self._concurrency is None else 0.0
        return max(span / SERIES_POINTS, 1e-3) if span > 0 else 1.0

    # ---- the loop

    def run(self, warm_up_s: float, measured_until_s: float) -> SimulationResult:
        overloaded = self._run_compiled()
        if overloaded is None:
            overloaded = self._run()
        return self._result(warm_up_s, measured_until_s, overloaded)

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
                pools=self._pools,
                handovers=self._handovers,
                prompts=self._prompts,
                outputs=self._outputs,
                arrivals=self._arrivals,
                cached_share=self._share,
                concurrency=self._concurrency,
                max_backlog=self._max_backlog,
                max_queue=self._routing.max_queue,
                scales=self._scales,
                admission_s=self._admission_s,
                sample_every_s=self._sample_every,
                progress=self._progress,
            ),
        )
        if outcome is None:
            return None
        self._journal, self._shed = outcome.journal, outcome.shed
        self._arrivals = outcome.arrivals
        self._next, self._area, self._clock = outcome.sent, outcome.area, outcome.clock_s
        self._samples = [
            (at_s, running, waiting, sum(used) / self._pool_units)
            for at_s, running, waiting, *used in outcome.samples
        ]
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
            self._tick(now)
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
            if end >= self._next_sample:
                self._sample(end)
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
        return Sequence(index, prompt, self._outputs[index], prefix, cached)

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

        replica = None if handover is not None else self._fetched(sequence)
        replica = replica or pool.choose(sequence, accepting)
        if replica is None:
            self._wait_for_a_replica(sequence, now, handover, pool)
            return
        if self._dialogue is not None and self._fetches(sequence, replica, now):
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

    def _fetches(self, sequence: Sequence, replica: TimedReplica, now: float) -> bool:
        """Conversations: whether the history comes back from host or disk before the request is queued."""
        core = replica.core
        if sequence.index in self._brought or not core.can_ever_hold(sequence):
            return False
        ready_s = core.fetch(sequence, now)
        if ready_s is None:
            return False
        self._brought[sequence.index] = replica
        self._push(ready_s, sequence)
        return True

    def _fetched(self, sequence: Sequence) -> TimedReplica | None:
        """Conversations: the replica that a history was brought back to, which holds it from now on."""
        replica = self._brought.get(sequence.index)
        if replica is not None:
            replica.core.recall_fetched(sequence)
        return replica

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

    def _tick(self, now: float) -> None:
        """Advance the area under requests in flight, and sample the fleet."""
        self._area += self._in_system * (now - self._clock)
        self._clock = now
        if now >= self._next_sample:
            self._sample(now)

    def _sample(self, now: float) -> None:
        while self._next_sample <= now:
            running = sum(r.core.running for r in self._replicas)
            waiting = sum(len(r.core.waiting) for r in self._replicas)
            used = sum(r.core.used_blocks for r in self._replicas)
            self._samples.append((self._next_sample, running, waiting, used / self._pool_units))
            self._next_sample += self._sample_every

    # ---- the outcome

    def _result(
        self, warm_up_s: float, measured_until_s: float, overloaded: bool
    ) -> SimulationResult:
        journal, replicas = self._journal, self._replicas
        gaps: dict[int, int] = {}
        for replica in replicas:
            for key, tokens in replica.gaps.items():
                gaps[key] = gaps.get(key, 0) + tokens
        samples = np.array(self._samples, dtype=float).reshape(-1, 4)
        sent: slice | list[int] = slice(self._next)
        if self._dialogue is not None:
            sent = self._sent
        requested = self._requests.prompt_tokens[sent].sum()

        def times(values: array[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            taken = np.array(values)[sent]
            return np.where(taken < 0, np.nan, taken)

        return SimulationResult(
            arrival_s=np.array(self._arrivals)[sent],
            prompt_tokens=np.array(self._prompts)[sent],
            output_tokens=np.array(self._outputs)[sent],
            start_s=times(journal.start_s),
            first_token_s=times(journal.first_s),
            end_s=times(journal.end_s),
            longest_gap_s=np.array(journal.longest_gap_s)[sent],
            preemptions=np.array(journal.preemptions)[sent],
            replica=np.array(journal.replica)[sent],
            shed=np.frombuffer(bytes(self._shed), dtype=np.uint8)[sent].astype(bool),
            warm_up_s=warm_up_s,
            measured_until_s=measured_until_s,
            end_of_run_s=self._clock,
            overloaded=overloaded,
            replicas=len(replicas),
            steps=sum(r.steps for r in replicas),
            prefill_busy_s=sum(r.prefill_busy_s for r in replicas),
            decode_busy_s=sum(r.decode_busy_s for r in replicas),
            prefilled_tokens=sum(r.prefilled_tokens for r in replicas),
            prompt_tokens_requested=int(requested),
            requests_area_s=self._area,
            kv_share_mean=sum(r.kv_area / r.core.pool_blocks for r in replicas)
            / max(self._clock * len(replicas), 1e-12),
            batch_mean=sum(r.batch_area for r in replicas) / max(self._clock, 1e-12),
            gap_counts=gaps,
            series=TimeSeries(*samples.T.copy()),
            cached_tokens=np.array(journal.cached)[sent] if self._talks else None,
        )
