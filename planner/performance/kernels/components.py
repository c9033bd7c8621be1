"""A step of one deployment as measured kernels: seconds by component over ladders of tokens.

One pass over the layers sums their kernels into a few curves (``summing``), so that a step costs a
handful of interpolations whatever the model. A step is

    layers x (products + attention or module + experts + activations + collectives) + head;

products see prompt and decode tokens together, attention prices each apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.performance.kernels.grids import Floats, LogGrid
from planner.performance.kernels.prompts import PromptSeconds
from planner.performance.roofline import Loads
from planner.performance.steps import StepBatch

COMPONENTS = (
    "quantised",
    "plain",
    "experts",
    "decode_attention",
    "prompt_attention",
    "activations",
    "collectives",
)
PER_OCTAVE = 4
OCTAVES = 17
TOKENS: Floats = 2.0 ** (np.arange(PER_OCTAVE * OCTAVES + 1) / PER_OCTAVE)
SEQUENCES: Floats = 2.0 ** np.arange(11.0)
CONTEXTS: Floats = np.array([16, 128, 512, *(2.0 ** np.arange(10, 18))])
HIDING, EXPOSED = 0.9, 0.1


@dataclass(frozen=True, repr=False)
class Components:
    """Seconds of one pipeline stage's step on one GPU.

    local: curves over the tokens of a rank, one row per entry of COMPONENTS. shared: likewise over the
    tokens of all attention-DP ranks. head: over sampled tokens. decode: over sequences x context. prompt:
    of attention and recurrences. exchange: over all tokens, of dispatch and combine across nodes, which
    engines hide behind the kernels of another half of the batch. All rise with their arguments. least:
    the same at peak bandwidth and arithmetic, None where it is that already. norms, recurrent: layers that
    normalise queries and keys apart, and layers with a recurrent state. timed: whether every recurrence
    was measured.
    """

    loads: Loads
    local: Floats
    shared: Floats
    head: Floats
    decode: Floats
    prompt: PromptSeconds
    exchange: Floats
    norms: float
    recurrent: float
    timed: bool = True
    least: Components | None = None

    def scaled(self, by: Floats) -> Components:
        """Each component times its entry of ``by``, never below its bytes and arithmetic at peak."""
        found = Components(
            loads=self.loads,
            local=self.local * by[:, None],
            shared=self.shared * by[:, None],
            head=self.head * by[1],
            decode=self.decode * by[3],
            prompt=self.prompt.times(float(by[4])),
            exchange=self.exchange * by[6],
            norms=self.norms,
            recurrent=self.recurrent,
            timed=self.timed,
        )
        if self.least is None:
            return found
        return Components(
            loads=self.loads,
            local=np.maximum(found.local, self.least.local),
            shared=np.maximum(found.shared, self.least.shared),
            head=np.maximum(found.head, self.least.head),
            decode=np.maximum(found.decode, self.least.decode),
            prompt=found.prompt.at_least(self.least.prompt),
            exchange=found.exchange,
            norms=self.norms,
            recurrent=self.recurrent,
            timed=self.timed,
        )

    @cached_property
    def _logs(self) -> Floats:
        """Logarithms of ``decode``."""
        return np.log(self.decode)

    @cached_property
    def _adds(self) -> tuple[bool, bool]:
        """Whether anything is in ``shared``, and in ``exchange``."""
        return bool(self.shared.any()), bool(self.exchange.any())

    def seconds(self, batch: StepBatch) -> Floats:
        """Seconds by component (rows) of the steps of ``batch`` (columns)."""
        w = self.loads
        ranks = w.data_parallel * w.pipeline_parallel
        sequences = np.atleast_1d(np.asarray(batch.decode_sequences, dtype=float)) / ranks
        prompt_tokens = np.asarray(batch.prefill_tokens, dtype=float) / ranks
        width = w.tokens_per_sequence
        tokens = sequences * width + prompt_tokens
        share = np.where(
            np.asarray(batch.prefill_sequences) > 0,
            np.clip(batch.prefill_sequences, 1.0, w.expert_token_share),
            w.expert_token_share,
        )
        all_tokens = sequences * width * w.expert_token_share + prompt_tokens * share
        found = along(TOKENS, self.local, tokens)
        if self._adds[0]:
            found = found + along(TOKENS, self.shared, all_tokens)
        found[1] += along(TOKENS, self.head, np.asarray(batch.sampled_tokens) / ranks)[0]
        context = np.asarray(batch.decode_context_tokens, dtype=float) / ranks
        mean = context / np.maximum(sequences, 1e-9)
        decode = DECODE_GRID.at(self._logs, sequences, mean)
        found[3] += np.where(sequences > 0, decode, 0.0)
        found[4] += self._prompts(batch, prompt_tokens, float(ranks))
        if self._adds[1]:
            sent = along(TOKENS, self.exchange, all_tokens)[0]
            found[6] += np.maximum(sent - HIDING * found.sum(axis=0), EXPOSED * sent)
        return found

    def _prompts(self, batch: StepBatch, prompt_tokens: Floats, ranks: float) -> Floats:
        tokens = np.asarray(batch.prefill_tokens, dtype=float)
        prompts = np.maximum(np.asarray(batch.prefill_sequences, dtype=float) / ranks, 1.0)
        prompts = np.minimum(prompts, np.maximum(prompt_tokens, 1.0))
        pairs = np.asarray(batch.prefill_context_tokens, dtype=float) / ranks
        seconds = self.prompt.seconds(prompts, prompt_tokens, pairs)
        found: Floats = np.where(tokens > 0, seconds, 0.0)
        return found


def along(ladder: Floats, curves: Floats, at: Floats) -> Floats:
    """Curves (one per row) at each value of ``at``, linear in its logarithm, in proportion beyond.

    ladder: the values that ``curves`` were measured at, increasing.
    """
    last = len(ladder) - 1
    position = PER_OCTAVE * np.log2(np.minimum(np.maximum(at, 1.0), ladder[-1]))
    i = np.minimum(position.astype(np.int64), last - 1)
    share = position - i
    found: Floats = curves.take(i, axis=1) * (1.0 - share) + curves.take(i + 1, axis=1) * share
    beyond: Floats = found * np.maximum(at / ladder[-1], 1.0)
    return beyond


DECODE_GRID = LogGrid(SEQUENCES, CONTEXTS)
