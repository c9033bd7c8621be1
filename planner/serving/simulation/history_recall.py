"""Histories that come back into a replica's KV pool: left before, or kept below it."""

from __future__ import annotations

from planner.serving.simulation.replica import Replica
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.timed_replica import TimedReplica


class Recall:
    """Requests whose history was brought back from host or disk before they were queued."""

    def __init__(self) -> None:
        self._at: dict[int, TimedReplica] = {}

    def begin(self, replica: TimedReplica, sequence: Sequence, now_s: float) -> float | None:
        """When the history of a request is back at a replica [s]; None where there is nothing to wait for."""
        core = replica.core
        if sequence.index in self._at or not core.can_ever_hold(sequence):
            return None
        ready_s = fetch(core, sequence, now_s)
        if ready_s is not None:
            self._at[sequence.index] = replica
        return ready_s

    def replica_of(self, sequence: Sequence) -> TimedReplica | None:
        """The replica that a history was brought back to, which holds it from now on."""
        replica = self._at.get(sequence.index)
        if replica is not None:
            lay_down(replica.core, sequence)
        return replica


def leave_before(replica: Replica, conversation: int, tokens: int) -> None:
    """Keep a history of ``tokens`` that was left here before anything began, as far as there is room."""
    if replica.histories is None:
        return
    blocks = replica.blocks_for(
        tokens // replica.limits.kv_block_tokens * replica.limits.kv_block_tokens
    )
    if replica.cache is not None:
        if not len(replica.cache):
            replica.cache.use((0,))
            replica.cache.leave((0,))
        blocks -= replica.cache.unit_blocks
    replica.histories.leave(conversation, blocks)
    replica.evict_kept()


def fetch(replica: Replica, sequence: Sequence, now_s: float) -> float | None:
    """Begin to bring a waiting sequence's history back from below the pool; when it is there [s].

    Its blocks are taken at once. None where nothing is there, it does not fit, or computing it again
    is sooner.
    """
    histories = replica.histories
    if histories is None:
        return _fetch_blocks(replica, sequence, now_s)
    if histories.tier is None:
        return None
    whose = sequence.conversation
    brought = histories.tier.fetch(whose, histories.found(whose), now_s)
    if brought is None or brought[0] > replica.free_blocks:
        return None
    histories.take(whose)
    sequence.kept = brought[0]
    replica.used_blocks += brought[0]
    replica.evict_kept()
    return brought[1]


def lay_down(replica: Replica, sequence: Sequence) -> None:
    """A history that was brought back lies in the free part of the pool until its sequence runs."""
    if sequence.kept and replica.histories is None and replica.cache is not None:
        before = replica.cache.held_blocks
        replica.cache.leave(list(sequence.prefix[: sequence.kept]))
        replica.used_blocks += replica.cache.held_blocks - before
        sequence.kept = 0
    if sequence.kept and replica.histories is not None:
        replica.used_blocks -= sequence.kept
        replica.histories.leave(sequence.conversation, sequence.kept)
        sequence.kept = 0


def _fetch_blocks(replica: Replica, sequence: Sequence, now_s: float) -> float | None:
    """As ``fetch``, of a recorded prompt by its block ids."""
    cache = replica.cache
    if cache is None or cache.tier is None or not sequence.prefix:
        return None
    whole = sequence.prefix[: sequence.prompt // cache.block_tokens]
    have = cache.blocks_held(whole)
    if (len(whole) - have) * cache.unit_blocks > replica.free_blocks:
        return None
    brought = cache.tier.fetch(whole, have, now_s)
    if brought is None:
        return None
    before = cache.held_blocks
    cache.use(whole[: brought[0]])
    replica.used_blocks += cache.held_blocks - before
    sequence.kept = brought[0]
    replica.evict_kept()
    return brought[1]
