"""What a replica's prefix cache knows of prompts that repeat others, as a function of room and load.

A pool keeps what nobody uses as long as its free part has room, the least recently used goes first. In
steady state such a cache forgets everything older than one age T (Che, Tung and Wang 2002, "Hierarchical
web caching systems"): what arrives in a time T just fills the room,

    lambda E[c min(X, T)] = F                                                        (1)

with lambda the rate of turns at the replica, c what a turn leaves behind, X the time until its
conversation comes back to this replica (never after the last turn), F the room. A turn whose
conversation was here within T finds what it left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LONGEST_AGE_S = 1e7
_BISECTIONS = 48
_FARTHEST_TURNS = (
    24  # back, that a router which does not look may have sent a conversation elsewhere
)


class PrefixReuse(Protocol):
    """Prompts of a load by what they repeat.

    repeated: of each prompt, the tokens that a cache which forgets nothing would hold; shared_tokens: those
    that are at the start of every prompt.
    """

    @property
    def repeated(self) -> Ints: ...

    @property
    def shared_tokens(self) -> int: ...

    @property
    def fingerprint(self) -> bytes:
        """What distinguishes one reuse from another, besides the lengths themselves."""

    def cached(self, room_tokens: float, rate_qps: float, block_tokens: int = 16) -> Ints:
        """Tokens of each prompt that one replica holds when it comes.

        ``room_tokens``: the free part of its pool; ``rate_qps``: requests it gets a second;
        ``block_tokens``: only whole blocks are found.
        """


@dataclass(frozen=True, slots=True, eq=False)
class DialogueReuse:
    """Turns of conversations, one conversation after the other (``planner.workload.turns``).

    held: tokens in the cache when the turn ends; rate_qps: of all turns of the service, which says how
    many replicas share them; sticky: whether a router sends a conversation back to where its history is.
    """

    conversation: Ints
    position: Ints
    held: Ints
    prompt: Ints
    pause_s: Floats
    shared_tokens: int
    rate_qps: float
    sticky: bool

    @property
    def repeated(self) -> Ints:
        before = np.concatenate([[0], self.held[:-1]])
        return np.where(self.position > 0, before, min(self.shared_tokens, self.prompt.min() - 1))

    @property
    def fingerprint(self) -> bytes:
        return (
            self.pause_s.tobytes() + repr((self.shared_tokens, self.rate_qps, self.sticky)).encode()
        )

    def cached(self, room_tokens: float, rate_qps: float, block_tokens: int = 16) -> Ints:
        replicas = 1.0 if self.sticky else max(1.0, self.rate_qps / max(rate_qps, 1e-9))
        own = np.maximum(self.held - self.shared_tokens, 0)
        away, age = self._last_visit(1 / replicas)
        oldest = self._oldest_s(own, room_tokens - self.shared_tokens, rate_qps, 1 / replicas)
        index = np.arange(len(own)) - away
        there = (away > 0) & (age <= oldest)
        left = np.where(there, own[np.maximum(index, 0)], 0)
        left = (left + self.shared_tokens) // block_tokens * block_tokens
        return np.asarray(np.minimum(left, self.prompt - 1))

    def _last_visit(self, share: float) -> tuple[Ints, Floats]:
        """How many turns ago each conversation was at the replica it comes to now (0: never), and when."""
        away = np.ones(len(self.position), dtype=np.int64)
        if share < 1:
            away = np.minimum(_geometric(len(away), share, seed=1), _FARTHEST_TURNS + 1)
        away = np.where((away <= self.position) & (away <= _FARTHEST_TURNS), away, 0)
        return away, self._elapsed(away)

    def _elapsed(self, away: Ints) -> Floats:
        """Pauses between each turn and the one ``away`` turns before it [s]."""
        pauses = np.where(np.isinf(self.pause_s), 0.0, self.pause_s)
        until = np.concatenate([[0.0], np.cumsum(pauses)[:-1]])
        return np.asarray(until - until[np.arange(len(away)) - away])

    def _oldest_s(self, own: Ints, room: float, rate_qps: float, share: float) -> float:
        """The age T of (1) [s]; 0 without room."""
        if room <= 0:
            return 0.0
        ahead = np.ones(len(own), dtype=np.int64)
        if share < 1:
            ahead = np.minimum(_geometric(len(own), share, seed=2), _FARTHEST_TURNS + 1)
        last = np.arange(len(own)) + ahead
        inside = last < len(own)
        same = self.conversation[np.where(inside, last, 0)] == self.conversation
        comes = inside & same & (ahead <= _FARTHEST_TURNS)
        pauses = np.where(np.isinf(self.pause_s), 0.0, self.pause_s)
        until = np.concatenate([[0.0], np.cumsum(pauses)])
        back = until[np.where(comes, last, 0)] - until[np.arange(len(own))]
        back = np.where(comes, back, np.inf)
        low, high = 1e-3, LONGEST_AGE_S
        for _ in range(_BISECTIONS):
            middle = float(np.sqrt(low * high))
            if rate_qps * float((own * np.minimum(back, middle)).mean()) < room:
                low = middle
            else:
                high = middle
        return low


def _geometric(count: int, share: float, seed: int) -> Ints:
    """Turns until a router that does not look picks the same replica, evenly spread."""
    u = (np.random.default_rng(seed).permutation(count) + 0.5) / count
    turns = np.ceil(np.log1p(-u) / np.log1p(-min(share, 1 - 1e-9)))
    return np.asarray(np.maximum(1, turns), dtype=np.int64)
