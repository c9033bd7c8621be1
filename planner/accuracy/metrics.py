"""How far predictions lie from measurements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def percentage_errors(predicted: Floats, measured: Floats) -> dict[str, float]:
    """Return mean and median absolute percentage error and the bias [%].

    bias: 100 * (geometric mean of predicted / measured - 1).
    """
    relative = np.abs(predicted / measured - 1)
    return {
        "mean_absolute_error_pct": float(100 * relative.mean()),
        "median_absolute_error_pct": float(100 * np.median(relative)),
        "bias_pct": float(100 * (np.exp(np.log(predicted / measured).mean()) - 1)),
    }


def errors_if_any(predicted: Floats, measured: Floats) -> dict[str, float | None]:
    """Return ``percentage_errors``, each None over no points."""
    if len(predicted):
        return dict(percentage_errors(predicted, measured))
    return dict.fromkeys(("mean_absolute_error_pct", "median_absolute_error_pct", "bias_pct"))


def spearman(predicted: Sequence[float], measured: Sequence[float]) -> float | None:
    """Return the rank correlation, ties sharing their mean rank; None when one side is constant."""
    a, b = _ranks(predicted), _ranks(measured)
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def mean_rank_correlation(
    groups: Iterable[object], predicted: Sequence[float], measured: Sequence[float], least: int = 3
) -> float | None:
    """Return the mean over groups of at least ``least`` points of their rank correlation."""
    members: dict[object, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    values = []
    for indices in members.values():
        if len(indices) >= least:
            value = spearman([predicted[i] for i in indices], [measured[i] for i in indices])
            if value is not None:
                values.append(value)
    return float(np.mean(values)) if values else None


def weighted_quantiles(values: Floats, weights: Floats, levels: Sequence[float]) -> Floats:
    """Quantiles of a weighted sample, linear between the middles of the weights."""
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(levels, share / weights.sum(), values[order])


def equal_groups(groups: Sequence[object]) -> Floats:
    """Weights of members under which every group counts alike, whatever its size."""
    sizes = Counter(groups)
    return np.array([1.0 / sizes[group] for group in groups])


def _ranks(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=float)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    upper = np.cumsum(counts)
    ranks: Floats = (upper - (counts - 1) / 2)[inverse].astype(float)
    return ranks
