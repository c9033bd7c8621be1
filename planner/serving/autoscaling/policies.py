"""What autoscalers wish for: replicas by queue, by the clock, by saturation; and how fast they may act.

A wish is a number of replicas at one moment. ``Pacing`` turns wishes into what is requested, as a
HorizontalPodAutoscaler does: the most cautious wish of a window counts, and so many replicas change in a
period at most.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from planner.serving.autoscaling.parameters import SaturationRule, ScalingRule

HOUR_S = 3600.0
HOURS = 24
ROUNDING = 1e-9  # a number of replicas this little above a whole one is that one


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of a fleet at a moment.

    time_s: since the first midnight [s]; ready, pending: replicas that serve, and that start; waiting:
    requests in all queues; kv_share: mean share of the KV pool in use, at the highest of the last
    seconds where a policy looks at peaks.
    """

    time_s: float
    ready: int
    pending: int
    waiting: float
    kv_share: float

    @property
    def replicas(self) -> int:
        """Replicas that were requested."""
        return self.ready + self.pending


class Policy(Protocol):
    """Wishes for replicas; ``None`` keeps what there is."""

    def wish(self, seen: Observation) -> int | None:
        """Replicas wished for at a moment."""


@dataclass(frozen=True, slots=True)
class Static:
    """The same number always."""

    replicas: int

    def wish(self, seen: Observation) -> int | None:
        """That number."""
        del seen
        return self.replicas


@dataclass(frozen=True, slots=True)
class QueueLength:
    """So many requests waiting for each replica: ``ceil(waiting / threshold)``.

    tolerance: a ratio of waiting to what the replicas there correspond to, within this of 1 changes nothing.
    """

    threshold: float
    tolerance: float

    def wish(self, seen: Observation) -> int | None:
        """As the HorizontalPodAutoscaler counts an average value; replicas that start count as idle."""
        ratio = seen.waiting / (self.threshold * max(seen.replicas, 1))
        if abs(ratio - 1) <= self.tolerance:
            return None
        return math.ceil(seen.waiting / self.threshold - ROUNDING)


@dataclass(frozen=True, slots=True)
class Clock:
    """Replicas by hour of the day, started ``ahead_s`` before they are needed [s]."""

    by_hour: tuple[int, ...]
    ahead_s: float

    def wish(self, seen: Observation) -> int | None:
        """The most of the hours that begin before the start-up is over."""
        first = int(seen.time_s // HOUR_S)
        last = int((seen.time_s + self.ahead_s) // HOUR_S)
        return max(self.by_hour[h % HOURS] for h in range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Saturation:
    """One replica more where the spare below saturation is short, one less where it still suffices.

    The rule of llm-d's workload variant autoscaler for one variant; nothing is added while replicas start.
    """

    rule: SaturationRule

    def wish(self, seen: Observation) -> int | None:
        """The replicas that serve, one more, or one less."""
        rule, ready = self.rule, seen.ready
        if ready < 1:
            return 1
        queue = seen.waiting / ready
        saturated = seen.kv_share >= rule.kv_threshold or queue >= rule.queue_threshold
        short = (
            rule.kv_threshold - seen.kv_share < rule.kv_spare
            or rule.queue_threshold - queue < rule.queue_spare
        )
        if saturated or short:
            return None if seen.pending else ready + 1
        if ready < 2:
            return None
        fewer = ready / (ready - 1)
        safe = (
            rule.kv_threshold - fewer * seen.kv_share >= rule.kv_spare
            and rule.queue_threshold - fewer * queue >= rule.queue_spare
        )
        return ready - 1 if safe else None


@dataclass(frozen=True, slots=True)
class Highest:
    """The highest wish of several triggers counts; where none has one, nothing changes."""

    policies: Sequence[Policy]

    def wish(self, seen: Observation) -> int | None:
        """The highest; a trigger that keeps what there is wishes for that."""
        wishes = [p.wish(seen) for p in self.policies]
        if all(w is None for w in wishes):
            return None
        return max(seen.replicas if w is None else w for w in wishes)


@dataclass(slots=True)
class Pacing:
    """From wishes to what is requested, within ``least`` and ``most`` replicas."""

    up: ScalingRule
    down: ScalingRule
    least: int
    most: int
    _wishes: deque[tuple[float, int]] = field(default_factory=deque)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)

    def requested(self, time_s: float, replicas: int, wish: int | None) -> int:
        """Replicas requested at ``time_s``, of ``replicas`` that were requested until then.

        The highest wish of the window of ``down`` holds replicas, the lowest of that of ``up`` holds back new
        ones.
        """
        wanted = min(max(replicas if wish is None else wish, self.least), self.most)
        if not self._wishes:  # what there is counts as the first wish
            self._wishes.append((time_s, replicas))
        self._wishes.append((time_s, wanted))
        longest = max(self.up.window_s, self.down.window_s)
        while self._wishes and self._wishes[0][0] < time_s - longest:
            self._wishes.popleft()
        highest = max([wanted, *self._since(time_s - self.down.window_s)])
        lowest = min([wanted, *self._since(time_s - self.up.window_s)])
        target = min(max(replicas, lowest), highest)
        if target > replicas:
            target = min(target, self._most_in(self.up, time_s, replicas))
        elif target < replicas:
            target = max(target, self._least_in(self.down, time_s, replicas))
        if target != replicas:
            self._changes.append((time_s, target - replicas))
        return target

    def _since(self, time_s: float) -> list[int]:
        return [wish for time, wish in self._wishes if time > time_s]

    def _most_in(self, rule: ScalingRule, time_s: float, replicas: int) -> int:
        before = replicas - self._changed(rule, time_s, sign=1)
        by_share = math.ceil(before * (1 + rule.percent / 100) - ROUNDING)
        return max(before + rule.pods, by_share)

    def _least_in(self, rule: ScalingRule, time_s: float, replicas: int) -> int:
        before = replicas - self._changed(rule, time_s, sign=-1)
        by_share = math.floor(before * (1 - rule.percent / 100) + ROUNDING)
        return min(before - rule.pods, by_share) if rule.pods else by_share

    def _changed(self, rule: ScalingRule, time_s: float, sign: int) -> int:
        longest = max(self.up.period_s, self.down.period_s)
        while self._changes and self._changes[0][0] <= time_s - longest:
            self._changes.popleft()
        return sum(n for t, n in self._changes if t > time_s - rule.period_s and n * sign > 0)
