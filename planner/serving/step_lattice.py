"""The steps that a simulation reads between, priced once for each step model.

Simulations of one replica, as predicted and slower, at other rates and beside other replicas, read the
same rows of steps. Those of slowed steps are the model's own times their factor.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from planner.performance.model import CalibratedStepModel
from planner.performance.paced import PacedSteps
from planner.performance.slowed import SlowedSteps
from planner.performance.steps import StepBatch, StepModel

Floats = NDArray[np.float64]

ROW_BLOCK = 32  # decode rows priced together
LATTICE_GROWTH = 1.15
CONTEXT_KNOTS = 20
MIXED_KNOTS = 6
MANY_SEQUENCES = 8
MOST_ROWS = 512  # kept, some 20 kB each


@dataclass(frozen=True)
class StepLattice:
    """Batches, prompt tokens and mean contexts that steps are priced at.

    longest_tokens: the longest context any sequence reaches; largest_batch, largest_prefill: bounds of
    batches and of prompt tokens; ranks: attention-DP ranks. jumps: batches on either side of which steps
    differ at once, as those that are captured as graphs and the next larger (``jumps_of``).
    """

    longest_tokens: int
    largest_batch: int
    largest_prefill: int
    ranks: int = 1
    jumps: tuple[int, ...] = ()

    @cached_property
    def knots(self) -> list[float]:
        """Mean contexts of steps that only decode [tokens]."""
        return _knots(self.longest_tokens, CONTEXT_KNOTS)

    @cached_property
    def coarse(self) -> list[float]:
        """Mean contexts, and tokens that a prompt token attends to, of steps with prompts [tokens]."""
        return _knots(self.longest_tokens, MIXED_KNOTS)

    @cached_property
    def batches(self) -> list[int]:
        """Sequences that decode beside prompts."""
        found = _lattice(self.largest_batch)
        return sorted({0, *found, *(n for n in self.jumps if n < found[-1])})

    @cached_property
    def prefills(self) -> list[int]:
        """Prompt tokens of a step."""
        return _lattice(max(self.largest_prefill, 2))

    def decode_steps(self, first: int) -> StepBatch:
        """Steps of ``ROW_BLOCK`` batches from ``first`` on, each at every one of ``knots``."""
        knots = np.array(self.knots)
        n = np.repeat(np.arange(first, first + ROW_BLOCK, dtype=float), len(knots))
        zero = np.zeros_like(n)
        return StepBatch(n, n * np.tile(knots, ROW_BLOCK), zero, zero, zero, n)

    def mixed_steps(self, row: int) -> StepBatch:
        """Steps of the ``row``th of ``batches`` with prompts on every rank.

        By prompt tokens, mean context and attended tokens; then, by prompt tokens alone, the middle of both
        again, and the same with ``MANY_SEQUENCES`` more.
        """
        knots = np.array(self.coarse)
        prefills = np.array(self.prefills, dtype=float)
        n = float(self.batches[row])
        shape = (len(prefills), MIXED_KNOTS, MIXED_KNOTS)
        tokens = np.broadcast_to(prefills[:, None, None], shape).ravel()
        context = np.broadcast_to(n * knots[None, :, None], shape).ravel()
        pairs = tokens * np.broadcast_to(knots[None, None, :], shape).ravel()
        middle = knots[MIXED_KNOTS // 2]
        size = len(prefills)
        tokens = np.concatenate([tokens, prefills, prefills])
        context = np.concatenate([context, np.full(2 * size, n * middle)])
        pairs = np.concatenate([pairs, prefills * middle, prefills * middle])
        sequences = np.full(len(tokens), float(self.ranks))
        sequences[-size:] += MANY_SEQUENCES
        batch = np.full(len(tokens), n)
        return StepBatch(batch, context, tokens, sequences, pairs, batch + sequences)


def jumps_of(steps: StepModel) -> tuple[int, ...]:
    """Batches at which steps of the model jump: the last that is captured, and the first that is not."""
    while isinstance(steps, SlowedSteps | PacedSteps):
        steps = steps.steps
    if not isinstance(steps, CalibratedStepModel) or steps.graphs is None:
        return ()
    graphs = steps.graphs
    ranks = int(steps.loads.data_parallel * steps.loads.pipeline_parallel)
    alone = [size + side for size in graphs.sizes for side in (-1, 0, 1)]
    return tuple(int(ranks * n) for n in sorted({graphs.every_to, graphs.every_to + 1, *alone}))


def decode_seconds(steps: StepModel, lattice: StepLattice, first: int) -> Floats:
    """Seconds of ``lattice.decode_steps(first)``, found once for a model; not to be written to."""
    return _seconds(steps, lattice, first, False)


def mixed_seconds(steps: StepModel, lattice: StepLattice, row: int) -> Floats:
    """Seconds of ``lattice.mixed_steps(row)``, found once for a model; not to be written to."""
    return _seconds(steps, lattice, row, True)


def _seconds(steps: StepModel, lattice: StepLattice, row: int, mixed: bool) -> Floats:
    if isinstance(steps, SlowedSteps):
        return steps.factor * _seconds(steps.steps, lattice, row, mixed)
    return _priced(_Itself(steps), lattice, row, mixed)


class _Itself:
    """A step model as a key: equal to itself alone, whatever others say."""

    def __init__(self, steps: StepModel) -> None:
        self.steps = steps

    def __hash__(self) -> int:
        return id(self.steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and self.steps is other.steps


@lru_cache(maxsize=MOST_ROWS)
def _priced(model: _Itself, lattice: StepLattice, row: int, mixed: bool) -> Floats:
    batch = lattice.mixed_steps(row) if mixed else lattice.decode_steps(row)
    seconds = np.array(model.steps.step_seconds(batch), dtype=float)
    seconds.flags.writeable = False
    return seconds


def _knots(longest: int, count: int) -> list[float]:
    top = max(float(longest), 64.0)
    return [0.0, *np.geomspace(min(32.0, top / 2), top, count - 1).tolist()]


def _lattice(largest: int) -> list[int]:
    points = [1]
    while points[-1] < largest:
        points.append(min(max(points[-1] + 1, int(points[-1] * LATTICE_GROWTH)), max(largest, 2)))
    return points
