"""Curves laid out by row: one row for each rate that each of several replicas is looked at.

The closed form runs over (rate, state). Replicas that agree in all but numbers are solved together: the
rows of one after those of another, each with its own curves. A replica with fewer states than another
repeats its last one, which costs nothing to work out alike; only sums over the states of a row must leave
it out, and are taken by ``added``, in the order of a replica alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.serving.closed_form.length_nodes import LengthNodes
from planner.serving.closed_form.replica_curves import ReplicaCurves

Floats = NDArray[np.float64]


class CurveRows:
    """The fields of ``ReplicaCurves`` with a leading axis of rows; numbers are columns (row, 1).

    ``replicas``: how many the rows belong to, equally many each; a single one has one row for all rates.
    ``states``: of each of them; ``runs``: rows with equally many states, and how many.
    A field is laid out when it is first read: a latency reads a few of them.
    """

    def __init__(self, many: Sequence[ReplicaCurves], each: int) -> None:
        self._many, self._each = many, each
        self.replicas = len(many)
        self.states = tuple(len(c.state) for c in many)
        self.runs = _runs(self.states, each)
        self.scheduler: Scheduler = many[0].scheduler
        self.nodes: LengthNodes = many[0].nodes
        self.steps_per_request = many[0].steps_per_request
        self.overlap = many[0].overlap
        self.tokens_per_step = many[0].tokens_per_step

    @cached_property
    def state(self) -> Floats:
        return self._table([c.state for c in self._many])

    @cached_property
    def width(self) -> Floats:
        return self._table([c.width for c in self._many])

    @cached_property
    def decode_s(self) -> Floats:
        return self._table([c.decode_s for c in self._many])

    @cached_property
    def context_s(self) -> Floats:
        return self._table([c.context_s for c in self._many])

    @cached_property
    def prefill_s(self) -> Floats:
        return self._table([c.prefill_s for c in self._many])

    @cached_property
    def prefill_pair_s(self) -> Floats:
        return self._table([c.prefill_pair_s for c in self._many])

    @cached_property
    def prefill_four_s(self) -> Floats:
        return self._table([c.prefill_four_s for c in self._many])

    @cached_property
    def prefill_shared_s(self) -> Floats:
        return self._table([c.prefill_shared_s for c in self._many])

    @cached_property
    def prompts_per_step(self) -> Floats:
        return self._table([c.prompts_per_step for c in self._many])

    @cached_property
    def queue_s(self) -> Floats:
        return self._table([c.queue_s for c in self._many])

    @cached_property
    def longest_step_s(self) -> Floats:
        return self._table([c.longest_step_s for c in self._many])

    @cached_property
    def own_s(self) -> Floats:
        return self._table([c.own_s for c in self._many])

    @cached_property
    def own_at_output_s(self) -> Floats:
        return self._table([c.own_at_output_s for c in self._many])

    @cached_property
    def gap_s(self) -> Floats:
        return self._table([c.gap_s for c in self._many])

    @cached_property
    def prefill_spread(self) -> Floats:
        return self._column([c.prefill_spread for c in self._many])

    @cached_property
    def prefill_third(self) -> Floats:
        return self._column([c.prefill_third for c in self._many])

    @cached_property
    def slots(self) -> Floats:
        return self._column([c.slots for c in self._many])

    @cached_property
    def admission_s(self) -> Floats:
        return self._column([c.admission_s for c in self._many])

    def added(self, values: Floats) -> Floats:
        """The sum over the states of each row, of values by (row, state)."""
        if len(self.runs) == 1:
            return np.asarray(values.sum(axis=1))
        return np.concatenate([values[rows, :states].sum(axis=1) for rows, states in self.runs])

    def at_end(self, values: Floats, new: Floats) -> None:
        """Set values by (row, state) or (row, state, node) at the last state, ``new`` by row."""
        for rows, states in self.runs:
            values[rows, states - 1 :] = new[rows, None]

    def over_nodes(self, values: Floats, weight: Floats) -> Floats:
        """The weighted sum over the nodes of values by (row, state, node)."""
        if len(self.runs) == 1:
            return np.asarray(values @ weight)
        rows, width = values.shape[:2]
        found = np.empty((rows, width))
        for run, states in self.runs:
            found[run, :states] = values[run, :states] @ weight
            found[run, states:] = found[run, states - 1 : states]
        return found

    def _table(self, values: Sequence[Floats]) -> Floats:
        if len(values) == self._each == 1:
            return values[0][None]
        if len(self.runs) == 1:
            stacked = np.concatenate(values).reshape(-1, *values[0].shape)
            return np.repeat(stacked, self._each, axis=0)
        shape = (self.replicas, self._each, max(self.states), *values[0].shape[1:])
        found = np.empty(shape)
        for mine, value in zip(found, values, strict=True):
            mine[:, : len(value)] = value
            mine[:, len(value) :] = value[-1]
        return found.reshape(-1, *shape[2:])

    def _column(self, values: Sequence[float]) -> Floats:
        return np.repeat(np.array(values, dtype=float), self._each)[:, None]


def _runs(states: Sequence[int], each: int) -> tuple[tuple[slice, int], ...]:
    """Rows of replicas with equally many states that follow each other."""
    if len(set(states)) == 1:
        return ((slice(None), states[0]),)
    starts = [k for k, n in enumerate(states) if k == 0 or n != states[k - 1]]
    ends = [*starts[1:], len(states)]
    return tuple(
        (slice(each * start, each * end), states[start])
        for start, end in zip(starts, ends, strict=True)
    )


def equal(c: ReplicaCurves) -> Hashable:
    """Equal for curves that may be laid out together."""
    shared = (c.steps_per_request, c.overlap, c.tokens_per_step)
    return (c.scheduler, id(c.nodes), *shared)


def rows_of(many: Sequence[ReplicaCurves], each: int = 1) -> CurveRows:
    """The curves of replicas that are ``equal``, ``each`` rows of every one."""
    return CurveRows(many, each)
