"""Values of a stated length distribution at given probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from planner.scenario.lengths import Lengths

if TYPE_CHECKING:
    from planner.workload.trace import Trace

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def normal_quantile(u: Floats) -> Floats:
    """Standard normal quantiles of probabilities ``u`` in (0, 1); not to be written to."""
    return _normal_quantiles(np.asarray(u, dtype=float).tobytes())


@lru_cache(maxsize=64)
def _normal_quantiles(probabilities: bytes) -> Floats:
    inverse = NormalDist().inv_cdf
    found = np.array([inverse(p) for p in np.frombuffer(probabilities).tolist()])
    found.flags.writeable = False
    return found


def is_constant(lengths: Lengths) -> bool:
    """Whether all requests are equal."""
    return lengths.mean is not None and lengths.cv == 0


def request_trace(lengths: Lengths) -> Trace | None:
    """The recorded requests that the lengths name, None where they name none."""
    if lengths.trace is None:
        return None
    from planner.workload.length_tables import is_quantile_table
    from planner.workload.trace import read_trace

    return None if is_quantile_table(lengths.trace) else read_trace(lengths.trace)


def tokens_at(lengths: Lengths, u: Floats, column: Ints | None = None) -> Ints:
    """The lengths at probabilities ``u`` [tokens]; ``column``: those of a request trace."""
    if column is not None:
        return clipped(np.quantile(column, u), lengths.max)
    points = _points(lengths)
    if points:
        values = np.interp(u, [q for q, _ in points], [t for _, t in points])
    elif lengths.cv == 0:
        assert lengths.mean is not None
        values = np.full(len(u), float(lengths.mean))
    else:
        assert lengths.mean is not None
        values = lognormal(float(lengths.mean), lengths.cv, u)
    return clipped(values, lengths.max)


def _points(lengths: Lengths) -> Sequence[tuple[float, float]]:
    if lengths.quantiles is not None:
        return sorted(lengths.quantiles.items())
    if lengths.trace is not None:
        from planner.workload.length_tables import read_quantiles

        return read_quantiles(lengths.trace)
    return ()


def lognormal(mean: float, cv: float, u: Floats) -> Floats:
    """Lognormal quantiles with the mean restored after cutting the tails off at the atoms.

    cv: standard deviation over mean; u: probabilities of the atoms.
    """
    sigma = math.sqrt(math.log1p(cv * cv))
    values = np.exp(sigma * normal_quantile(u) - sigma * sigma / 2)
    return np.asarray(values * (mean / values.mean()))


def clipped(values: Floats | Ints, longest: float | None) -> Ints:
    """Whole tokens, at least one and at most ``longest``.

    values: lengths [tokens].
    """
    cut = np.asarray(values, dtype=float)
    if longest is not None:
        cut = np.minimum(cut, longest)
    return np.maximum(1, np.round(cut)).astype(np.int64)
