"""What moves through a replica: a request as the engine sees it, and one engine step."""

from __future__ import annotations

import math
from typing import Protocol


class Sequence:
    """A request inside a replica.

    prompt, output: its lengths [tokens]; generated: tokens sampled so far when it last (re)started;
    pending: tokens left to prefill; cached: tokens it need not compute; blocks: KV blocks of its own;
    kept: blocks of it that outlive a preemption in the prefix cache; prefix: ids of its prompt's blocks,
    answered: whether of its answer's too; found: how many of them the cache held when last asked;
    shared: those it uses, whose blocks the cache
    counts once for all; conversation: whose turn it is, -1 for a request of its own; level: where its
    priority ranks, 0 is served first.
    """

    __slots__ = (
        "answered",
        "base",
        "blocks",
        "cached",
        "conversation",
        "end_tick",
        "fixed",
        "found",
        "generated",
        "index",
        "kept",
        "level",
        "order",
        "output",
        "pending",
        "preemptions",
        "prefix",
        "prompt",
        "shared",
    )

    def __init__(
        self,
        index: int,
        prompt: int,
        output: int,
        prefix: tuple[int, ...] = (),
        cached: int = 0,
        generated: int = 0,
        conversation: int = -1,
    ) -> None:
        self.index = index
        self.prompt = prompt
        self.output = output
        self.prefix = prefix
        self.conversation = conversation
        self.generated = generated
        self.cached = cached
        self.pending = prompt - cached
        self.blocks = 0
        self.kept = 0
        self.found = 0
        self.shared: list[int] = []
        self.fixed = 0.0
        self.base = 0
        self.end_tick = -1
        self.order = 0
        self.preemptions = 0
        self.answered = False
        self.level = 0

    @property
    def total(self) -> int:
        """Tokens in its cache when it ends; the last token is never written."""
        return self.prompt + self.output - 1


class ScheduledStep:
    """One engine step, or ``steps`` equal decode steps; fields as ``performance.steps.StepBatch``.

    largest: the longest chunk in it [tokens].
    """

    __slots__ = (
        "chunks",
        "context",
        "decode",
        "largest",
        "pairs",
        "prefill",
        "prefill_sequences",
        "sampled",
        "steps",
    )

    def __init__(self, decode: int, context: int, steps: int) -> None:
        self.decode = decode
        self.context = context
        self.steps = steps
        self.prefill = 0
        self.largest = 0
        self.prefill_sequences = 0
        self.pairs = 0.0
        self.sampled = decode
        self.chunks: list[tuple[Sequence, int]] = []

    def add_chunk(self, sequence: Sequence, tokens: int) -> None:
        """Prefill the next ``tokens`` of a sequence in this step."""
        done = sequence.prompt + sequence.generated - sequence.pending
        self.chunks.append((sequence, tokens))
        self.prefill += tokens
        self.largest = max(self.largest, tokens)
        self.prefill_sequences += 1
        self.pairs += tokens * done + tokens * (tokens + 1) / 2
        if tokens == sequence.pending:
            self.sampled += 1

    def imbalance(self, ranks: int, gathered: bool = False) -> float:
        """Prefill work of a step over an even share of it, at best; gathered: as prompts were let in.

        Engines gather prompts until ranks prefill together, and not always: the geometric mean of an
        even share and of the busiest rank's alone. (22 runs of DeepSeek-V3/R1 with attention DP on
        8 H200 are 50 % too slow with the busiest, 9 % too fast with the even share, 8 % too slow so.)
        """
        if ranks == 1 or not self.prefill:
            return 1.0
        busiest = max(1.0, ranks * self.largest / self.prefill)
        return busiest if gathered else math.sqrt(busiest)


class Observer(Protocol):
    """What the caller learns when a step is committed."""

    def first_token(self, sequence: Sequence) -> None:
        """The prefill of a fresh sequence ended with this step."""

    def resumed(self, sequence: Sequence) -> None:
        """A preempted sequence yields its next token with this step."""

    def finished(self, sequence: Sequence) -> None:
        """The last token was sampled with this step."""


class WaitingQueue(Protocol):
    """What waits for a place in the batch, the next one first; a deque where all are alike."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> Sequence: ...
    def popleft(self) -> Sequence: ...
    def append(self, sequence: Sequence, /) -> None: ...
    def appendleft(self, sequence: Sequence, /) -> None: ...
