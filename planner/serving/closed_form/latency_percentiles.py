"""Percentiles of latencies that are worked out when first read: most candidates are never reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class LatencyPercentiles(Mapping[str, float]):
    """Percentiles [s] by key, such as ``ttft_p99``.

    wanted: percentiles by metric (``ttft``, of a request class ``chat/ttft``). percentiles: those of one
    metric [s], in the order requested; none where the metric is undefined.
    """

    def __init__(
        self,
        wanted: Mapping[str, Iterable[float]],
        percentiles: Callable[[str, Floats], Iterable[float]],
    ) -> None:
        self._wanted = {metric: sorted(set(requested)) for metric, requested in wanted.items()}
        self._percentiles = percentiles
        self._known: dict[str, dict[str, float]] = {}

    def _of(self, metric: str) -> dict[str, float]:
        if metric not in self._known:
            requested = self._wanted[metric]
            found = self._percentiles(metric, np.array(requested))
            self._known[metric] = {
                f"{metric}_p{q:g}": float(value) for q, value in zip(requested, found, strict=False)
            }
        return self._known[metric]

    def __getitem__(self, key: str) -> float:
        metric = key.rpartition("_p")[0]
        if metric not in self._wanted:
            raise KeyError(key)
        return self._of(metric)[key]

    def __iter__(self) -> Iterator[str]:
        for metric in self._wanted:
            yield from self._of(metric)

    def __len__(self) -> int:
        return sum(len(self._of(metric)) for metric in self._wanted)
