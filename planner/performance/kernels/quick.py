"""One step at a time: the sum of all components and host terms in plain floats.

The same interpolation as ``components.Components.seconds``, over curves that are summed beforehand; an
array call costs about the same for one step as for a thousand.
"""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np

from planner.performance.kernels.components import (
    CONTEXTS,
    EXPOSED,
    HIDING,
    PER_OCTAVE,
    SEQUENCES,
    TOKENS,
    Components,
)
from planner.performance.kernels.grids import Floats
from planner.performance.kernels.prompts import (
    ATTENDED,
    NEW,
    PROMPT_SEQUENCES,
    PROMPTS,
    PromptSeconds,
)


class QuickSteps:
    """Seconds of single steps of one pipeline stage; see ``KernelSteps``."""

    def __init__(self, kernels: Components, host: Floats) -> None:
        w = kernels.loads
        self._ranks = float(w.data_parallel * w.pipeline_parallel)
        self._spread = float(w.expert_token_share)
        self._width = float(w.tokens_per_sequence)
        self._local: list[float] = kernels.local.sum(axis=0).tolist()
        self._shared: list[float] = kernels.shared.sum(axis=0).tolist()
        self._exchange: list[float] = kernels.exchange[0].tolist()
        self._exchanges = bool(kernels.exchange.any())
        self._head: list[float] = kernels.head[0].tolist()
        self._decode = _Grid(SEQUENCES, CONTEXTS, kernels.decode)
        self._prompt = _QuickPrompts(kernels.prompt)
        step, each, layer, expert, norm, recurrent, more, launch, token = (float(h) for h in host)
        layers = float(w.layers)
        self._always = (
            step
            + layer * layers
            + expert * float(w.expert_layers)
            + norm * kernels.norms
            + recurrent * kernels.recurrent
        )
        self._each, self._token = each, token
        self._prompted = more + launch * layers

    def seconds(
        self,
        decode: float,
        context: float,
        prefill: float,
        prompts: float,
        pairs: float,
        sampled: float,
    ) -> float:
        """Time of one step [s]; arguments as the fields of ``StepBatch``."""
        ranks = self._ranks
        sequences, tokens = decode / ranks, prefill / ranks
        own = sequences * self._width
        share = min(max(prompts, 1.0), self._spread) if prompts > 0 else self._spread
        everyone = own * self._spread + tokens * share
        device = _along(self._local, own + tokens) + _along(self._shared, everyone)
        device += _along(self._head, sampled / ranks)
        host = self._always + self._each * (sequences + prompts / ranks)
        if sequences > 0:
            device += self._decode.at(sequences, context / ranks / sequences)
        if prefill > 0:
            host += min(tokens, 1.0) * self._prompted + self._token * tokens
            count = min(max(prompts / ranks, 1.0), max(tokens, 1.0))
            device += self._prompt.seconds(count, tokens, pairs / ranks)
        if self._exchanges:
            sent = _along(self._exchange, everyone)
            device += max(sent - HIDING * device, EXPOSED * sent)
        return device + host


def _along(curve: list[float], at: float) -> float:
    last = len(curve) - 1
    if at <= 1.0:
        return curve[0]
    if at >= TOP:
        return curve[last] * at / TOP
    position = PER_OCTAVE * math.log2(at)
    i = int(position)
    share = position - i
    return curve[i] * (1.0 - share) + curve[i + 1] * share


TOP = float(TOKENS[-1])


class _QuickPrompts:
    """Seconds of the prompts of single steps; see ``PromptSeconds``."""

    def __init__(self, prompts: PromptSeconds) -> None:
        self._by_pairs = _Grid(PROMPT_SEQUENCES, PROMPTS, prompts.by_pairs)
        self._by_tokens = _Grid(NEW, ATTENDED, prompts.by_tokens)
        self._goes_by_tokens = prompts.goes_by_tokens

    def seconds(self, prompts: float, tokens: float, pairs: float) -> float:
        found = self._by_pairs.at(prompts, math.sqrt(2.0 * pairs / prompts))
        if self._goes_by_tokens:
            found += self._by_tokens.at(tokens, pairs / max(tokens, 1.0))
        return found


class _Grid:
    """A grid of seconds, bilinear in all logarithms."""

    def __init__(self, rows: Floats, columns: Floats, values: Floats) -> None:
        self._rows: list[float] = np.log(rows).tolist()
        self._columns: list[float] = np.log(columns).tolist()
        self._least = float(rows[0]), float(columns[0])
        self._logs: list[list[float]] = np.log(values).tolist()

    def at(self, row: float, column: float) -> float:
        i, a = _cell(self._rows, math.log(max(row, self._least[0])))
        j, b = _cell(self._columns, math.log(max(column, self._least[1])))
        low, high = self._logs[i], self._logs[i + 1]
        first = low[j] + (low[j + 1] - low[j]) * b
        second = high[j] + (high[j + 1] - high[j]) * b
        return math.exp(first + (second - first) * a)


def _cell(knots: list[float], at: float) -> tuple[int, float]:
    i = min(max(bisect_right(knots, at) - 1, 0), len(knots) - 2)
    return i, (at - knots[i]) / (knots[i + 1] - knots[i])
