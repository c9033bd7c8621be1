"""How often measurements of left-out models lie inside the intervals drawn around measured kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.accuracy.kernels.samples import measured
from planner.accuracy.kernels.shipped import KernelsDone, group_weights
from planner.accuracy.metrics import weighted_quantiles
from planner.accuracy.samples import Floats

LEVEL = 0.8
ONE_SIDED = (0.5, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Shares of runs, every group of runs having equal weight.

    inside: within the 80 % interval. below: measured times at most the prediction times the margin of
    each level of ONE_SIDED; a plan sized at that margin holds that often.
    """

    kind: str
    groups: int
    inside: float
    below: tuple[float, ...]


def coverage(done: KernelsDone, families: dict[str, str], kind: str) -> Coverage:
    """Coverage of left-out models; each family's quantiles come from the other families alone."""
    tpot, ttft = measured(done.samples)
    wanted, predicted = (
        (tpot, done.left_out.tpot_s) if kind == "tpot" else (ttft, done.left_out.ttft_s)
    )
    known = done.trusted & ~np.isnan(wanted)
    off = np.log(wanted / predicted)
    family = np.array([families[s.model_name] for s in done.samples])
    weights = group_weights(done.samples)
    inside, below = np.zeros(len(off)), np.zeros((len(off), len(ONE_SIDED)))
    for name in sorted(set(family.tolist())):
        own, rest = known & (family == name), known & (family != name)
        low, high = _quantiles(off, weights, rest, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        inside[own] = (off[own] >= min(low, 0.0)) & (off[own] <= max(high, 0.0))
        margins = _quantiles(off, weights, rest, ONE_SIDED)
        below[own] = off[own, None] <= margins
    share = weights[known] / weights[known].sum()
    groups = {s.point.group for s, used in zip(done.samples, known, strict=True) if used}
    return Coverage(
        kind,
        len(groups),
        float(share @ inside[known]),
        tuple(float(value) for value in share @ below[known]),
    )


def _quantiles(
    off: Floats, weights: Floats, rows: NDArray[np.bool_], levels: tuple[float, ...]
) -> Floats:
    return weighted_quantiles(off[rows], weights[rows], levels)
