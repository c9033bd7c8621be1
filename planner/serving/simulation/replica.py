"""The state of one replica between engine steps: who waits, who runs, and what their KV occupies.

A scheduler (``planner.serving.simulation.schedulers``) looks at the state and composes the next ``Step``; the
replica commits it. Time is the caller's: the same code runs an open-loop simulation and a closed-loop
measurement. Decode steps in which nothing joins or leaves are one ``Step`` with ``steps`` > 1.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import Protocol

from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.history_cache import HistoryCache
from planner.serving.simulation.prefix_cache import PrefixCache
from planner.serving.simulation.sequence import Observer, ScheduledStep, Sequence, WaitingQueue


class Composer(Protocol):
    """An engine's way to compose the next step; ``reserves``: admission takes the worst-case KV."""

    reserves: bool

    def compose(self, replica: Replica) -> ScheduledStep | None:
        """Return the next step, or None when nothing can run."""


class Replica:
    """Queue, batch and KV pool of one replica; see the module's docstring."""

    def __init__(
        self,
        limits: ReplicaLimits,
        composer: Composer,
        cache: PrefixCache | None = None,
        histories: HistoryCache | None = None,
    ) -> None:
        self.limits = limits
        self.composer = composer
        self.cache = cache
        self.histories = histories
        self.waiting: WaitingQueue = deque()
        self.prefilling: list[Sequence] = []
        self.decoding = 0
        self.in_flight = 0  # that wait or run
        self.context = 0
        self.preemptions = 0
        self._ends: list[tuple[int, int, Sequence]] = []
        self._admitted: list[Sequence] = []
        self._orders = 0
        self._joins = 0
        self._end_sum = 0
        self._reserves = composer.reserves
        self._keeps = cache is not None or limits.prefix_caching
        self._decode_steps = 0
        self._tick = 0
        self._yield = limits.tokens_per_step
        grows = limits.kv_block_bytes > 0
        self.unit_bytes = limits.kv_block_bytes if grows else 1.0
        self._grows_alone = not limits.windows and not limits.state_bytes
        self._weight = 1 if grows else 0
        self._block = limits.kv_block_tokens
        self._phases = [0] * self._block
        self.pool_blocks = limits.kv_pool_bytes / self.unit_bytes
        self.used_blocks = 0.0

    # ---- what a scheduler asks

    @property
    def running(self) -> int:
        """Sequences that hold a batch slot."""
        return self.decoding + len(self.prefilling)

    @property
    def free_blocks(self) -> float:
        return self.pool_blocks - self.used_blocks

    def blocks_for(self, tokens: int) -> int:
        """Blocks that so many tokens take."""
        return -(-tokens // self._block) * self._weight

    def fixed_blocks(self, sequence: Sequence) -> float:
        """The part of a sequence that does not grow, in units of blocks."""
        if self._grows_alone:
            return 0.0
        return self.limits.fixed_bytes(sequence.total) / self.unit_bytes

    def worst_case_blocks(self, sequence: Sequence) -> float:
        """What the sequence will hold at its end."""
        return self.fixed_blocks(sequence) + self.blocks_for(sequence.total)

    def can_ever_hold(self, sequence: Sequence) -> bool:
        return self.worst_case_blocks(sequence) <= self.pool_blocks

    def growth(self, steps: int) -> int:
        """Blocks that ``steps`` more decode steps of the present batch will take."""
        if not self.decoding:
            return 0
        ticks = steps if self._yield == 1.0 else self._tick_after(steps) - self._tick
        if ticks == 1 and self._block > 1:
            return self._phases[-self._tick % self._block] * self._weight
        whole, rest = divmod(ticks, self._block)
        taken = self.decoding * whole
        if rest:
            # the sequences whose cache is full to a block after j ticks have phase -(tick + j)
            phases, block = self._phases, self._block
            top = -self._tick % block
            taken += sum(phases[max(0, top - rest + 1) : top + 1])
            if rest > top + 1:
                taken += sum(phases[top + 1 - rest :])
        return taken * self._weight

    def steps_to_next_end(self) -> int:
        """Decode steps until the first running sequence ends."""
        ends = self._ends
        while ends[0][2].end_tick != ends[0][0]:
            heappop(ends)
        gap = ends[0][0] - self._tick
        if self._yield == 1.0:
            return gap
        steps = max(1, int(gap / self._yield))
        while self._tick_after(steps) - self._tick < gap:
            steps += 1
        return steps

    def steps_within_pool(self, steps: int) -> int:
        """The largest number of decode steps, at most ``steps``, that the pool has blocks for."""
        free = self.pool_blocks - self.used_blocks
        if self.decoding * (steps * self._yield // self._block + 2) <= free:
            return steps
        if self.growth(steps) <= free:
            return steps
        low, high = 0, steps
        while high - low > 1:
            middle = (low + high) // 2
            if self.growth(middle) <= free:
                low = middle
            else:
                high = middle
        return low

    @property
    def tight(self) -> bool:
        """Whether the next decode step might not fit the pool."""
        return self.decoding * (self._yield + 1) > self.pool_blocks - self.used_blocks

    @property
    def tokens_to_decode(self) -> int:
        """Tokens that the running sequences will still yield."""
        return self._end_sum - self.decoding * self._tick

    def decode_step(self, steps: int) -> ScheduledStep:
        return ScheduledStep(self.decoding, self.context, steps)

    def tokens_known(self, sequence: Sequence) -> int:
        """Prompt tokens that a router finds here: of its conversation, else of its prompt's ids."""
        if self.histories is not None:
            return self.histories.found(sequence.conversation) * self._block
        if self.cache is None:
            return 0
        return self.cache.blocks_held(sequence.prefix) * self.cache.block_tokens

    # ---- what a scheduler does

    def look_up_prefix(self, sequence: Sequence) -> int:
        """Tokens of a waiting sequence that the prefix cache holds now (at least one is computed)."""
        cached = sequence.cached
        cache = self.cache
        if cache is not None and sequence.prefix:
            sequence.found = cache.blocks_held(sequence.prefix)
            cached = min(sequence.found * cache.block_tokens, sequence.prompt)
            if sequence.conversation >= 0 and not sequence.found:
                return cached
            if (
                sequence.conversation < 0
                and cached < sequence.prompt - sequence.prompt % cache.block_tokens
            ):
                return cached
        kept = sequence.kept
        if self.histories is not None and sequence.conversation >= 0:
            kept = self.histories.found(sequence.conversation)
        cached += kept * self._block
        return min(cached, sequence.prompt + sequence.generated - 1)

    def admission_blocks(self, sequence: Sequence, tokens: int) -> float:
        """What a sequence just looked up takes from the free pool when it holds ``tokens`` tokens.

        Its fixed part and its own blocks; what it shares counts only where nobody uses it now.
        """
        taken = self.fixed_blocks(sequence) + self.blocks_for(tokens)
        if not sequence.found or self.cache is None:
            return taken
        shared = self._sharable(sequence, sequence.found)
        return taken - len(shared) * self.cache.unit_blocks + self.cache.kept_among(shared)

    def blocks_beyond(self, sequence: Sequence, tokens: int) -> int:
        """Blocks of its own that a running sequence lacks to hold ``tokens`` tokens."""
        return self._own_blocks(sequence, tokens) - sequence.blocks

    def admit(self, sequence: Sequence, cached: int, tokens: int) -> None:
        """Take the head of the queue into the batch, holding ``tokens`` tokens of the pool."""
        self.waiting.popleft()
        sequence.cached = cached
        sequence.pending = sequence.prompt + sequence.generated - cached
        sequence.fixed = self.fixed_blocks(sequence)
        sequence.blocks = 0
        sequence.order = self._orders
        self._orders += 1
        self.used_blocks += sequence.fixed
        sequence.kept = 0
        if self.histories is not None:
            self.histories.take(sequence.conversation)
        if sequence.found and self.cache is not None:
            sequence.shared = self._sharable(sequence, sequence.found)
            before = self.cache.held_blocks
            self.cache.use(sequence.shared)
            self.used_blocks += self.cache.held_blocks - before
        self.hold(sequence, tokens)
        self.prefilling.append(sequence)
        self._admitted.append(sequence)

    def hold(self, sequence: Sequence, tokens: int) -> None:
        """Let a prefilling sequence hold ``tokens`` tokens of the pool in all."""
        blocks = self._own_blocks(sequence, tokens)
        self.used_blocks += blocks - sequence.blocks
        sequence.blocks = blocks
        if self._keeps:
            self.evict_kept()

    def _sharable(self, sequence: Sequence, ids: int) -> list[int]:
        """The first ids of its prompt that are whole blocks of the prefix cache."""
        assert self.cache is not None
        return list(sequence.prefix[: min(ids, sequence.prompt // self.cache.block_tokens)])

    def _own_blocks(self, sequence: Sequence, tokens: int) -> int:
        blocks = self.blocks_for(tokens)
        if sequence.shared and self.cache is not None:
            blocks -= len(sequence.shared) * self.cache.unit_blocks
        return blocks

    def _share(self, sequence: Sequence, tokens: int) -> None:
        """The first ``tokens`` of a sequence become the cache's, where no other did the same."""
        cache = self.cache
        assert cache is not None
        whole = tokens // cache.block_tokens
        fresh = [b for b in sequence.prefix[sequence.found : whole] if not cache.knows(b)]
        sequence.found = max(sequence.found, whole)
        cache.use(fresh)
        sequence.shared += fresh
        sequence.blocks -= len(fresh) * cache.unit_blocks

    def preempt_latest(self, requeue_last: bool = False) -> bool:
        """Push the latest admitted back to the queue's head (or end); True: a step may have counted on it."""
        admitted = self._admitted
        while admitted[-1].order < 0:
            admitted.pop()
        sequence = admitted.pop()
        if sequence.end_tick >= 0:
            self._leave_batch(sequence)
            sequence.end_tick = -1
        else:
            self.prefilling.remove(sequence)
        if self.limits.prefix_caching and self.histories is None:
            sequence.kept = sequence.blocks
        self._release(sequence)
        sequence.cached = 0
        sequence.pending = sequence.prompt + sequence.generated
        sequence.preemptions += 1
        self.preemptions += 1
        if requeue_last:
            self.waiting.append(sequence)
        else:
            self.waiting.appendleft(sequence)
        return False

    # ---- what the caller does

    def submit(self, sequence: Sequence) -> None:
        self.in_flight += 1
        self.waiting.append(sequence)

    def plan(self) -> ScheduledStep | None:
        return self.composer.compose(self)

    def commit(self, step: ScheduledStep, observer: Observer) -> None:
        """Apply a planned step; tell the observer of first tokens and of ends."""
        if step.decode:
            self._advance(step.steps)
            ends, tick = self._ends, self._tick
            while ends and (ends[0][0] <= tick or ends[0][2].end_tick != ends[0][0]):
                end, _, sequence = heappop(ends)
                if sequence.end_tick == end:
                    self._leave_batch(sequence)
                    self._finish(sequence, observer)
        for sequence, tokens in step.chunks:
            sequence.pending -= tokens
            if sequence.prefix and self.cache is not None:
                computed = sequence.prompt + sequence.generated - sequence.pending
                self._share(sequence, min(sequence.prompt, computed))
            if sequence.pending == 0:
                self._end_prefill(sequence, observer)

    def _end_prefill(self, sequence: Sequence, observer: Observer) -> None:
        self.prefilling.remove(sequence)
        sequence.generated += 1
        if sequence.generated == 1:
            observer.first_token(sequence)
        else:
            observer.resumed(sequence)
        if sequence.generated >= sequence.output:
            self._finish(sequence, observer)
        else:
            self._join_batch(sequence)

    def _join_batch(self, sequence: Sequence) -> None:
        context = sequence.prompt + sequence.generated - 1
        sequence.base = context - self._tick
        sequence.end_tick = self._tick + sequence.output - sequence.generated
        self.decoding += 1
        self.context += context
        if not self._reserves:
            self._phases[sequence.base % self._block] += 1
        self._joins += 1
        self._end_sum += sequence.end_tick
        heappush(self._ends, (sequence.end_tick, self._joins, sequence))

    def _leave_batch(self, sequence: Sequence) -> None:
        context = sequence.base + self._tick
        self.decoding -= 1
        self.context -= context
        self._end_sum -= sequence.end_tick
        sequence.generated = context - sequence.prompt + 1
        if not self._reserves:
            self._phases[sequence.base % self._block] -= 1
            sequence.blocks = self._own_blocks(sequence, context)

    def _advance(self, steps: int) -> None:
        if not self._reserves:
            self.used_blocks += self.growth(steps)
            if self._keeps:
                self.evict_kept()
        self._decode_steps += steps
        tick = self._decode_steps if self._yield == 1.0 else self._tick_after(0)
        self.context += self.decoding * (tick - self._tick)
        self._tick = tick

    def evict_kept(self) -> None:
        """Blocks nobody uses stay only as far as the pool has room; the next sequence's own go last."""
        kept = self.waiting and self.waiting[0].kept
        if self.cache is None and self.histories is None and not kept:
            return
        free = self.free_blocks
        if self.waiting:
            head = self.waiting[0]
            if head.kept > free:
                head.kept = max(0, int(free))
            free -= head.kept
        if self.histories is not None:
            self.histories.shrink(free if self.cache is None else free - self.cache.kept_blocks)
        if self.cache is not None:
            self.cache.shrink(free)

    def _tick_after(self, steps: int) -> int:
        if self._yield == 1.0:
            return self._decode_steps + steps
        return int((self._decode_steps + steps) * self._yield + 1e-9)

    def _finish(self, sequence: Sequence, observer: Observer) -> None:
        if sequence.answered and self.cache is not None:
            self._share(sequence, sequence.total)
        self._release(sequence)
        self.in_flight -= 1
        sequence.end_tick = -1
        sequence.order = -1
        if len(self._admitted) > 64 + 2 * (self.decoding + len(self.prefilling)):
            self._admitted = [s for s in self._admitted if s.order >= 0]
        observer.finished(sequence)

    def _whole_blocks(self, sequence: Sequence) -> int:
        """Blocks of its conversation that a sequence has filled, those of the shared prompt left out."""
        held = sequence.prompt + sequence.generated - (sequence.pending or 1)
        blocks = held // self._block * self._weight
        if self.cache is not None:
            blocks -= self.cache.unit_blocks
        return max(blocks, 0)

    def _release(self, sequence: Sequence) -> None:
        if self.histories is not None and sequence.conversation >= 0:
            self.histories.leave(sequence.conversation, self._whole_blocks(sequence))
        if sequence.shared and self.cache is not None:
            before = self.cache.held_blocks
            self.cache.leave(sequence.shared)
            self.used_blocks += self.cache.held_blocks - before
            sequence.shared = []
        sequence.found = 0
        self.used_blocks -= sequence.blocks + sequence.fixed
        sequence.blocks = 0
        sequence.fixed = 0.0
