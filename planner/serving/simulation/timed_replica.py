"""A replica with a clock: its steps take the time a step table says, and requests get time stamps."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from math import log10

from planner.serving.simulation.replica import Replica
from planner.serving.simulation.sequence import ScheduledStep, Sequence
from planner.serving.simulation.step_table import StepTable

_GROWTH = 1.25  # a run of steps is cut where its context has grown by this much
GAP_BINS_PER_DECADE = 200
SHORTEST_GAP_S = 1e-5


class Journal:
    """Time stamps of every request [s], -1 where nothing happened yet; prompt tokens it found cached."""

    def __init__(self, requests: int) -> None:
        self.start_s = array("d", [-1.0]) * requests
        self.first_s = array("d", [-1.0]) * requests
        self.end_s = array("d", [-1.0]) * requests
        self.longest_gap_s = array("d", [0.0]) * requests
        self.preemptions = array("l", [0]) * requests
        self.replica = array("l", [-1]) * requests
        self.cached = array("l", [0]) * requests

    def clear(self) -> None:
        """Forget everything, in place."""
        for times in (self.start_s, self.first_s, self.end_s):
            times[:] = array("d", [-1.0]) * len(times)
        self.longest_gap_s[:] = array("d", [0.0]) * len(self.longest_gap_s)
        self.preemptions[:] = array("l", [0]) * len(self.preemptions)
        self.replica[:] = array("l", [-1]) * len(self.replica)
        self.cached[:] = array("l", [0]) * len(self.cached)


class TimedReplica:
    """Simulates one replica in time.

    The driver calls ``submit`` on arrivals and ``finish_step`` when the clock reaches ``step_end_s``;
    ``math.inf`` means idle. ``on_first`` and ``on_end`` let the driver pass sequences on.
    """

    def __init__(self, number: int, core: Replica, table: StepTable, journal: Journal) -> None:
        self.number = number
        self.core = core
        self.journal = journal
        self.step_end_s = math.inf
        self.on_first: Callable[[Sequence, float], None] | None = None
        self.on_end: Callable[[Sequence, float], None] | None = None
        self.prefill_busy_s = 0.0
        self.decode_busy_s = 0.0
        self.steps = 0
        self.prefilled_tokens = 0
        self.batch_area = 0.0
        self.kv_area = 0.0
        self.gaps: defaultdict[int, int] = defaultdict(int)
        self.table = table
        self._step: ScheduledStep | None = None
        self._start_s = 0.0
        self._step_s = 0.0
        self._slope_s = 0.0
        self._last_decode_s = -1.0
        self._stalls_at: list[int] = []
        self._stalls: list[float] = []
        self._decodes = 0
        self._joined: dict[int, int] = {}

    def submit(self, sequence: Sequence, now_s: float) -> None:
        """Queue a sequence; a running series of decode steps ends with the present one."""
        core = self.core
        blocked = bool(core.waiting)
        core.submit(sequence)
        if self._step is None:
            self.step_end_s = now_s  # begin once everything that arrives now is queued
        elif not blocked and self._step.steps > 1:
            self._cut(now_s)

    def wake(self, now_s: float) -> bool:
        """Begin again where nothing could run and something waits; whether there is a step to end now."""
        if self._step is not None or not self.core.waiting:
            return False
        self.step_end_s = now_s
        return True

    def finish_step(self) -> None:
        """Commit the step that ends now and begin the next one."""
        step, now = self._step, self.step_end_s
        if step is None:
            self._begin(now)
            return
        seconds = now - self._start_s
        self.steps += step.steps
        core = self.core
        self.batch_area += (core.decoding + len(core.prefilling)) * seconds
        self.kv_area += core.used_blocks * seconds
        if step.chunks:
            self.prefill_busy_s += seconds
            self.prefilled_tokens += step.prefill
        else:
            self.decode_busy_s += seconds
        if step.decode:
            self._note_gaps(step, now)
        elif not core.decoding:
            self._last_decode_s = -1.0
        core.commit(step, self)
        self._begin(now)

    def _begin(self, now_s: float) -> None:
        self._start_s = now_s
        step = self.core.plan()
        self._step = step
        if step is None:
            self.step_end_s = math.inf
            self._last_decode_s = -1.0
            return
        table = self.table
        first = table.step_s(step)
        self._step_s = first
        steps = step.steps
        if step.chunks:
            start_s = self.journal.start_s
            for sequence, _ in step.chunks:
                if start_s[sequence.index] < 0:
                    start_s[sequence.index] = now_s
                    self.journal.cached[sequence.index] = sequence.cached
        if steps == 1:
            self._slope_s = 0.0
            self.step_end_s = now_s + first
            return
        batch, context = step.decode, step.context
        growth = batch * self.core.limits.tokens_per_step
        longest = int(((_GROWTH - 1) * context + 64 * batch) / growth) + 1
        if steps > longest:
            steps = step.steps = longest
        last = table.decode_s(batch, context + growth * (steps - 1))
        self._slope_s = (last - first) / (steps - 1) if steps > 1 else 0.0
        self.step_end_s = now_s + self._seconds(steps)

    def _seconds(self, steps: int) -> float:
        return steps * self._step_s + self._slope_s * steps * (steps - 1) / 2

    def _cut(self, now_s: float) -> None:
        """End the run of decode steps with the first step that ends at ``now_s`` or later."""
        step = self._step
        assert step is not None
        left = now_s - self._start_s
        half = self._slope_s / 2
        linear = self._step_s - half
        if abs(half) * left < 1e-9 * linear * linear:
            steps = math.ceil(left / linear)
        else:
            steps = math.ceil((math.sqrt(linear * linear + 4 * half * left) - linear) / (2 * half))
        steps = max(1, steps)
        while steps > 1 and self._seconds(steps - 1) >= left:
            steps -= 1
        while self._seconds(steps) < left:
            steps += 1
        if steps < step.steps:
            step.steps = steps
            self.step_end_s = self._start_s + self._seconds(steps)

    def _note_gaps(self, step: ScheduledStep, now_s: float) -> None:
        """Count token gaps, and keep a falling stack of the longest ones for look-back.

        The first of several equal steps waited for the prompts before it.
        """
        waited = self._start_s - self._last_decode_s if self._last_decode_s >= 0 else 0.0
        gap = waited + (now_s - self._start_s if step.steps == 1 else self._step_s)
        self._last_decode_s = now_s
        self._decodes += 1
        self._count_gap(gap, step.decode)
        if step.steps > 1:
            self._count_gap(self._step_s, step.decode * (step.steps - 1))
        stalls, stalls_at = self._stalls, self._stalls_at
        while stalls and stalls[-1] <= gap:
            stalls.pop()
            stalls_at.pop()
        stalls.append(gap)
        stalls_at.append(self._decodes)

    def _count_gap(self, gap_s: float, tokens: int) -> None:
        over = gap_s / SHORTEST_GAP_S if gap_s > SHORTEST_GAP_S else 1.0
        self.gaps[int(log10(over) * GAP_BINS_PER_DECADE)] += tokens

    # ---- what the core tells

    def first_token(self, sequence: Sequence) -> None:
        now = self.step_end_s
        self.journal.first_s[sequence.index] = now
        self._joined[sequence.index] = self._decodes
        if self.on_first is not None:
            self.on_first(sequence, now)

    def resumed(self, sequence: Sequence) -> None:
        self._joined.setdefault(sequence.index, self._decodes)

    def finished(self, sequence: Sequence) -> None:
        journal, index, now = self.journal, sequence.index, self.step_end_s
        journal.end_s[index] = now
        journal.preemptions[index] += sequence.preemptions
        if sequence.output > 1:
            mean = (now - journal.first_s[index]) / (sequence.output - 1)
            at = bisect_right(self._stalls_at, self._joined.get(index, 0) + 1)
            longest = self._stalls[at] if at < len(self._stalls) else 0.0
            journal.longest_gap_s[index] = max(longest, mean)
        self._joined.pop(index, None)
        if self.on_end is not None:
            self.on_end(sequence, now)
