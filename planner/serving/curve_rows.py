"""Curves laid out by row: one row for each rate that each of several replicas is looked at.

The closed form runs over (rate, state). Replicas that agree in all but numbers, with equally many
states, are solved together: the rows of one after those of another, each with its own curves.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.catalog.engine import Scheduler
from planner.serving.closed_form.length_nodes import LengthNodes
from planner.serving.closed_form.replica_curves import ReplicaCurves

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CurveRows:
    """The fields of ``ReplicaCurves`` with a leading axis of rows; numbers are columns (row, 1).

    ``replicas``: how many the rows belong to, equally many each; a single one has one row for all rates.
    """

    replicas: int
    scheduler: Scheduler
    nodes: LengthNodes
    steps_per_request: float
    overlap: float
    tokens_per_step: float
    state: Floats
    width: Floats
    decode_s: Floats
    context_s: Floats
    prefill_s: Floats
    prefill_pair_s: Floats
    prefill_four_s: Floats
    prefill_shared_s: Floats
    prompts_per_step: Floats
    queue_s: Floats
    longest_step_s: Floats
    own_s: Floats
    own_at_output_s: Floats
    gap_s: Floats
    prefill_spread: Floats
    prefill_third: Floats
    slots: Floats
    admission_s: Floats


def equal(c: ReplicaCurves) -> Hashable:
    """Equal for curves that may be laid out together."""
    shared = (c.steps_per_request, c.overlap, c.tokens_per_step)
    return (len(c.state), c.scheduler, id(c.nodes), *shared)


def rows_of(many: Sequence[ReplicaCurves], each: int = 1) -> CurveRows:
    """The curves of replicas that are ``alike``, ``each`` rows of every one."""
    first = many[0]

    def table(values: Sequence[Floats]) -> Floats:
        if len(values) == each == 1:
            return values[0][None]
        return np.repeat(np.concatenate(values).reshape(-1, *values[0].shape), each, axis=0)

    def column(values: Sequence[float]) -> Floats:
        return np.repeat(np.array(values, dtype=float), each)[:, None]

    return CurveRows(
        replicas=len(many),
        scheduler=first.scheduler,
        nodes=first.nodes,
        steps_per_request=first.steps_per_request,
        overlap=first.overlap,
        tokens_per_step=first.tokens_per_step,
        state=table([c.state for c in many]),
        width=table([c.width for c in many]),
        decode_s=table([c.decode_s for c in many]),
        context_s=table([c.context_s for c in many]),
        prefill_s=table([c.prefill_s for c in many]),
        prefill_pair_s=table([c.prefill_pair_s for c in many]),
        prefill_four_s=table([c.prefill_four_s for c in many]),
        prefill_shared_s=table([c.prefill_shared_s for c in many]),
        prompts_per_step=table([c.prompts_per_step for c in many]),
        queue_s=table([c.queue_s for c in many]),
        longest_step_s=table([c.longest_step_s for c in many]),
        own_s=table([c.own_s for c in many]),
        own_at_output_s=table([c.own_at_output_s for c in many]),
        gap_s=table([c.gap_s for c in many]),
        prefill_spread=column([c.prefill_spread for c in many]),
        prefill_third=column([c.prefill_third for c in many]),
        slots=column([c.slots for c in many]),
        admission_s=column([c.admission_s for c in many]),
    )
