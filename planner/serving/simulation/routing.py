"""Which replica a request goes to."""

from __future__ import annotations

import random
from collections.abc import Sequence as Many

from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.timed_replica import TimedReplica

PREFIX_SLACK = 1.25  # a replica with the prefix may be this much busier than the least loaded one
# histories: a replica that holds at least this share of a prompt gets it, unless it has more than both
# slacks over the least loaded one (cache_threshold, balance_rel_threshold and balance_abs_threshold of
# SGLang's and vLLM's cache-aware routers, as they come)
HISTORY_SHARE = 0.3
HISTORY_SLACK = 1.5
HISTORY_SLACK_REQUESTS = 64


class Router:
    """A routing policy over the replicas that accept requests; see ``planner.scenario.schema.Routing``.

    ``conversations``: whether prefixes are histories, which are worth more of an imbalance.
    """

    def __init__(self, policy: str, seed: int = 0, conversations: bool = False) -> None:
        self._policy = policy
        self._conversations = conversations
        self._turn = 0
        self._random = random.Random(seed)

    @property
    def policy(self) -> str:
        return self._policy

    def random_words(self) -> tuple[int, ...]:
        """The state of its random choices: 624 words and the position in them."""
        words: tuple[int, ...] = self._random.getstate()[1]
        return words

    def choose(self, replicas: Many[TimedReplica], sequence: Sequence) -> TimedReplica:
        """Return the replica for ``sequence``; ties go to the next in turn."""
        count = len(replicas)
        if count == 1:
            return replicas[0]
        if self._policy == "random":
            return replicas[self._random.randrange(count)]
        self._turn = (self._turn + 1) % count
        if self._policy == "round-robin":
            return replicas[self._turn]
        turn = self._turn
        loads = [r.core.in_flight for r in replicas]
        least = min(loads)
        if self._policy == "prefix-aware" and (sequence.prefix or sequence.conversation >= 0):
            limit, fewest = least * PREFIX_SLACK + 1, 0.0
            if self._conversations:
                limit = max(least * HISTORY_SLACK, least + HISTORY_SLACK_REQUESTS)
                fewest = HISTORY_SHARE * sequence.prompt
            best, most, lowest = None, fewest, 0
            for replica, load in zip(replicas, loads, strict=True):
                if load <= limit:
                    found = replica.core.tokens_known(sequence)
                    if found > most or (found == most and best is not None and load < lowest):
                        best, most, lowest = replica, found, load
            if best is not None:
                return best
        return replicas[loads.index(least, turn if least in loads[turn:] else 0)]
