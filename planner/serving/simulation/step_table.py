"""Step times at the price of a table look-up, filled on demand from a step model.

A simulation asks for hundreds of thousands of step times one by one; a step model is fast only in
bulk. Decode steps are tabulated exactly in the batch and linearly between knots of the mean context;
steps with prefill are interpolated between lattice points 15 % apart in batch and prompt tokens, and
between knots of the mean context and of the tokens each prompt token attends to. Rows are priced when
first needed, once for all tables of a step model (``serving.step_lattice``).
``tests/serving/simulation/test_step_table.py`` bounds the error against the model.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from planner.performance.steps import StepBatch, StepModel
from planner.serving.simulation.sequence import ScheduledStep
from planner.serving.step_lattice import (
    CONTEXT_KNOTS,
    MANY_SEQUENCES,
    MIXED_KNOTS,
    ROW_BLOCK,
    StepLattice,
    decode_seconds,
    jumps_of,
    mixed_seconds,
)

Floats = NDArray[np.float64]


class StepTable:
    """``step_s(step)`` and ``decode_s(batch, context)`` in seconds.

    longest_tokens: the longest context any sequence reaches; largest_batch and largest_prefill bound
    the lattice (steps beyond them are priced by the model itself); ranks: attention-DP ranks, the
    busiest of which decides how long a step with few prompts takes. joins: what starts here arrives with
    its KV cache, so that its one token is computed like any token that is decoded.
    """

    def __init__(
        self,
        steps: StepModel,
        longest_tokens: int,
        largest_batch: int,
        largest_prefill: int,
        ranks: int = 1,
        joins: bool = False,
    ) -> None:
        self._steps = steps
        self.joins = joins
        self.ranks = ranks
        jumps = jumps_of(steps)
        lattice = StepLattice(longest_tokens, largest_batch, largest_prefill, ranks, jumps)
        self._lattice = lattice
        self.knots, self.coarse = lattice.knots, lattice.coarse
        self.batches, self.prefills = lattice.batches, lattice.prefills
        self._rows: dict[int, tuple[list[float], list[float]]] = {}
        self._mixed: dict[int, list[list[float]]] = {}

    def decode_s(self, batch: int, context: float) -> float:
        """Seconds of one decode step of ``batch`` sequences with ``context`` tokens in all."""
        values, slopes = self._rows.get(batch) or self._decode_row(batch)
        knots = self.knots
        mean = context / batch
        i = bisect_right(knots, mean, 0, CONTEXT_KNOTS - 1) - 1
        return values[i] + (mean - knots[i]) * slopes[i]

    def step_s(self, step: ScheduledStep) -> float:
        """Seconds of one step (of the first, when it represents a run)."""
        if not step.prefill:
            return self.decode_s(step.decode, step.context)
        if self.joins and step.prefill == step.prefill_sequences:
            return self.decode_s(step.decode + step.prefill, step.context + step.pairs)
        tokens = float(step.prefill)
        if self.ranks > 1:
            tokens *= step.imbalance(self.ranks)
        batch = step.decode
        batches, prefills, knots = self.batches, self.prefills, self.coarse
        few = step.prefill_sequences < self.ranks  # some ranks have no prompt: not linear in them
        if few or tokens > prefills[-1] or batch > batches[-1]:
            return self._exact(step)
        b = bisect_right(batches, batch, 0, len(batches) - 1) - 1
        p = bisect_right(prefills, tokens, 0, len(prefills) - 1) - 1
        bw = (batch - batches[b]) / (batches[b + 1] - batches[b])
        pw = (tokens - prefills[p]) / (prefills[p + 1] - prefills[p])
        mean = step.context / batch if batch else 0.0
        attended = step.pairs / step.prefill
        c = bisect_right(knots, mean, 0, MIXED_KNOTS - 1) - 1
        a = bisect_right(knots, attended, 0, MIXED_KNOTS - 1) - 1
        cw = (mean - knots[c]) / (knots[c + 1] - knots[c])
        aw = (attended - knots[a]) / (knots[a + 1] - knots[a])
        at = c * MIXED_KNOTS + a
        above = at + MIXED_KNOTS
        more = step.prefill_sequences - self.ranks
        total = 0.0
        for row, row_weight in ((b, 1 - bw), (b + 1, bw)):
            if row_weight == 0.0:
                continue
            table = self._mixed.get(row) or self._mixed_row(row)
            v = table[p]
            left, right = v[at], v[above]
            low = left + (v[at + 1] - left) * aw
            high = right + (v[above + 1] - right) * aw
            total += row_weight * (1 - pw) * (low + (high - low) * cw + more * v[-1])
            if pw:
                v = table[p + 1]
                left, right = v[at], v[above]
                low = left + (v[at + 1] - left) * aw
                high = right + (v[above + 1] - right) * aw
                total += row_weight * pw * (low + (high - low) * cw + more * v[-1])
        return total

    def _exact(self, step: ScheduledStep) -> float:
        more = step.imbalance(self.ranks)
        return self.exact_s(
            StepBatch(
                float(step.decode),
                float(step.context),
                float(step.prefill * more),
                float(step.prefill_sequences),
                float(step.pairs * more),
                float(step.sampled),
            )
        )

    def exact_s(self, batch: StepBatch) -> float:
        """Seconds of a step beyond the lattice, priced by the model itself."""
        return float(self._steps.step_seconds(batch))

    def _decode_row(self, batch: int) -> tuple[list[float], list[float]]:
        first, table, slopes = self.decode_block(batch)
        for i in range(ROW_BLOCK):
            self._rows[first + i] = (table[i].tolist(), slopes[i].tolist())
        return self._rows[batch]

    def decode_block(self, batch: int) -> tuple[int, Floats, Floats]:
        """The decode rows priced together with that of ``batch``.

        The first one's batch; seconds at the knots, and slopes between them, by row.
        """
        first = (batch - 1) // ROW_BLOCK * ROW_BLOCK + 1
        knots = np.array(self.knots)
        seconds = decode_seconds(self._steps, self._lattice, first)
        table = seconds.reshape(ROW_BLOCK, len(knots))
        return first, table, np.diff(table, axis=1) / np.diff(knots)

    def _mixed_row(self, row: int) -> list[list[float]]:
        self._mixed[row] = self.mixed_grid(row).tolist()
        return self._mixed[row]

    def mixed_grid(self, row: int) -> Floats:
        """Per prompt-token lattice point: a (context, attended) table, then the cost of a sequence more.

        The table has a prompt on every rank; with fewer, experts see fewer tokens and no rank waits.
        """
        size = len(self.prefills)
        seconds = mixed_seconds(self._steps, self._lattice, row)
        grid = seconds[: -2 * size].reshape(size, -1)
        each = (seconds[-size:] - seconds[-2 * size : -size]) / MANY_SEQUENCES
        return np.column_stack([grid, each])
