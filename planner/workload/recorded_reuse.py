"""What a prefix cache knows of recorded requests, from the ids of their prompt blocks or conversations."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.workload.trace import Trace

Ints = NDArray[np.int64]

ROOM_GRID = 1.1  # rooms are looked at in steps of 10 %
CHAIN_BLOCK_TOKENS = 128  # of the blocks that represent a conversation's history


def chains(trace: Trace) -> tuple[tuple[tuple[int, ...], ...], int]:
    """Block ids of each prompt, and the tokens of one.

    A recording with conversations in place of ids gets them: a prompt repeats what its conversation
    held before, unless it is shorter than that (a history rewritten is not found again).
    """
    if trace.prefix is not None:
        return trace.prefix, trace.block_tokens
    whole = zip(_chains_of(trace), trace.prompt_tokens.tolist(), strict=True)
    return tuple(ids[: prompt // CHAIN_BLOCK_TOKENS] for ids, prompt in whole), CHAIN_BLOCK_TOKENS


def answered_chains(trace: Trace) -> tuple[tuple[int, ...], ...]:
    """Block ids of each prompt and of its answer, which engines keep too; recorded ids have prompts alone."""
    return trace.prefix if trace.prefix is not None else _chains_of(trace)


@lru_cache(maxsize=8)
def _chains_of(trace: Trace) -> tuple[tuple[int, ...], ...]:
    """Blocks of each prompt and its answer."""
    assert trace.conversation is not None
    held: dict[int, list[int]] = {}
    reach: dict[int, int] = {}
    fresh = 0
    found: list[tuple[int, ...]] = []
    rows = zip(
        trace.conversation.tolist(),
        trace.prompt_tokens.tolist(),
        trace.output_tokens.tolist(),
        strict=True,
    )
    for conversation, prompt, output in rows:
        chain = held.get(conversation, [])
        if prompt < reach.get(conversation, 0):
            chain = []
        total = (prompt + output) // CHAIN_BLOCK_TOKENS
        missing = max(0, total - len(chain))
        chain = [*chain, *range(fresh, fresh + missing)]
        fresh += missing
        held[conversation], reach[conversation] = chain, prompt + output
        found.append(tuple(chain[:total]))
    return tuple(found)


def lru_hits(
    prompts: Sequence[Iterable[int]],
    room_blocks: int,
    caches: int = 1,
    left: Sequence[Iterable[int]] | None = None,
) -> Ints:
    """Leading blocks of each prompt that a cache of ``room_blocks`` holds when it comes.

    ``caches``: requests go to one of so many at random, each with that room. ``left``: what each leaves
    there, where its answer belongs to that.
    """
    kept: list[OrderedDict[int, None]] = [OrderedDict() for _ in range(caches)]
    chosen = np.random.default_rng(0).integers(0, caches, len(prompts)).tolist()
    found = []
    for prompt, whole, at in zip(prompts, left or prompts, chosen, strict=True):
        cache = kept[at]
        blocks = list(prompt)
        hits = 0
        for block in blocks:
            if block not in cache:
                break
            hits += 1
        found.append(hits)
        for block in reversed(list(whole)):  # the first block goes last
            cache[block] = None
            cache.move_to_end(block)
        while len(cache) > room_blocks:
            cache.popitem(last=False)
    return np.array(found, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class RecordedReuse:
    """Recorded requests in order; see ``recorded_reuse``.

    copies: of the recording that are sent at once, each with blocks of its own.
    """

    trace: Trace
    rate_qps: float
    sticky: bool
    copies: int

    @property
    def repeated(self) -> Ints:
        return self._tokens(10**9, 1)

    @property
    def shared_tokens(self) -> int:
        """None is held by every prompt: what some share counts where it is found."""
        return 0

    @property
    def fingerprint(self) -> bytes:
        return repr((self.trace.name, self.rate_qps, self.sticky)).encode()

    def cached(self, room_tokens: float, rate_qps: float, block_tokens: int = 16) -> Ints:
        """As ``PrefixReuse.cached``: the recording sent through least-recently-used caches."""
        _, block = chains(self.trace)
        replicas = max(1.0, self.rate_qps / max(rate_qps, 1e-9))
        room = max(room_tokens, 0.0) / block / self.copies
        caches = 1
        if self.sticky:
            room *= replicas
        else:
            caches = min(round(replicas), len(self.trace))
        return self._tokens(_on_grid(room), caches)

    def _tokens(self, room_blocks: int, caches: int) -> Ints:
        _, block = chains(self.trace)
        hits = _hits(self.trace, room_blocks, caches)
        return np.asarray(np.minimum(hits * block, self.trace.prompt_tokens - 1))


def recorded_reuse(trace: Trace, rate_qps: float, sticky: bool) -> RecordedReuse:
    """The reuse of ``trace`` sent at ``rate_qps`` [requests/s].

    A rate above the recording's own is made of copies of it, at its own pace as nearly as whole copies
    allow, so that pauses between turns stay what they were.
    """
    return RecordedReuse(trace, rate_qps, sticky, copies_of(trace, rate_qps))


def copies_of(trace: Trace, rate_qps: float) -> int:
    """How many copies of the recording make ``rate_qps``, at least one."""
    own = len(trace) / max(trace.span_s, 1e-9)
    return max(1, round(rate_qps / own))


def _on_grid(room: float) -> int:
    if room < 1:
        return 0
    return int(ROOM_GRID ** math.floor(math.log(room) / math.log(ROOM_GRID) + 1e-9))


@lru_cache(maxsize=256)
def _hits(trace: Trace, room_blocks: int, caches: int) -> Ints:
    prompts, _ = chains(trace)
    return lru_hits(prompts, room_blocks, caches, left=answered_chains(trace))
