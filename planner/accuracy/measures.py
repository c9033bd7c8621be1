"""The quantities a benchmark reports: a latency's mean or percentile, or a rate of the whole run.

Column names carry metric, statistic and unit: ``ttft_ms`` (mean), ``ttft_p50_ms`` or
``ttft_median_ms``, ``tpot_p99_ms``, ``e2e_p99_s``; latencies may be given in ``_ms`` or ``_s``. Rates
and totals have one name each: ``makespan_s``, ``output_tokens_per_s``, ``tokens_per_s_per_gpu``
(prompt and output tokens), ``output_tokens_per_s_per_gpu``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LATENCIES = ("ttft", "tpot", "itl", "e2e")
TOTALS = (
    "makespan_s",
    "output_tokens_per_s",
    "tokens_per_s_per_gpu",
    "output_tokens_per_s_per_gpu",
)
MS = 1e3
_COLUMN = re.compile(
    r"(?P<metric>ttft|tpot|itl|e2e)(?:_(?P<statistic>mean|median|p\d{1,2}(?:\.\d+)?))?_(?P<unit>ms|s)"
)


@dataclass(frozen=True, slots=True, order=True)
class Measure:
    """One reported quantity.

    metric: ttft, tpot, itl (gaps between the pieces a client receives), e2e [s], or one of ``TOTALS``.
    percentile: of requests (of gaps for itl); None is the mean, or the total of a run.
    """

    metric: str
    percentile: float | None = None

    @property
    def name(self) -> str:
        """The canonical column: times to a token in ``_ms``, of a request or a run in ``_s``."""
        if self.metric not in LATENCIES:
            return self.metric
        statistic = "" if self.percentile is None else f"_p{self.percentile:g}"
        return f"{self.metric}{statistic}_{'s' if self.metric == 'e2e' else 'ms'}"

    @property
    def is_latency(self) -> bool:
        """Whether each request has this quantity."""
        return self.metric in LATENCIES


TTFT, TPOT = Measure("ttft"), Measure("tpot")


@dataclass(frozen=True, slots=True)
class MeasureColumn:
    """A column of measurements: its quantity, and what one unit is in seconds or tokens/s."""

    name: str
    measure: Measure
    unit: float


def column(name: str) -> MeasureColumn | None:
    """Return the quantity a column holds; None when it holds none."""
    if name in TOTALS:
        return MeasureColumn(name, Measure(name), 1.0)
    match = _COLUMN.fullmatch(name)
    if match is None:
        return None
    statistic = match["statistic"] or "mean"
    percentile = {"mean": None, "median": 50.0}.get(statistic, 0.0)
    if percentile == 0.0:
        percentile = float(statistic[1:])
    if percentile is not None and not 0 < percentile < 100:
        return None
    return MeasureColumn(
        name, Measure(match["metric"], percentile), 1 / MS if match["unit"] == "ms" else 1.0
    )


def in_unit(measure: Measure, value: float) -> float:
    """A value in seconds or tokens/s in the unit of its canonical column."""
    return value * MS if measure.name.endswith("_ms") else value
