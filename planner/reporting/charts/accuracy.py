"""Predicted against measured, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from planner.reporting.charts import canvas, figures
from planner.reporting.document import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAND = 0.15


def tpot_scatter(
    key: str,
    title: str,
    engines: Sequence[str],
    measured_s: NDArray[np.float64],
    predicted_s: NDArray[np.float64],
) -> Figure:
    """One dot per measured run, a colour per engine; the band is 15 % either way."""
    inside = np.abs(predicted_s / measured_s - 1) <= BAND
    description = (
        f"Predicted against measured TPOT of {len(measured_s)} runs on logarithmic axes, by engine; "
        f"{100 * inside.mean():.0f} % lie within 15 % of the diagonal."
    )

    def paint(axes: Axes) -> None:
        low, high = 1e3 * measured_s.min() * 0.8, 1e3 * measured_s.max() * 1.25
        ends = np.array([low, high])
        axes.plot(ends, ends, color=canvas.INK, lw=0.8)
        axes.fill_between(ends, ends * (1 - BAND), ends * (1 + BAND), color=canvas.RULE, lw=0)
        for index, engine in enumerate(sorted(set(engines))):
            chosen = np.array([name == engine for name in engines])
            axes.plot(
                1e3 * measured_s[chosen],
                1e3 * predicted_s[chosen],
                ".",
                ms=2.5,
                color=canvas.SERIES[index],
                label=engine,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda ms, _: f"{ms:g}")
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
        axes.set_xlabel("measured TPOT, ms")
        axes.set_ylabel("predicted TPOT, ms")
        axes.legend(loc="upper left", markerscale=4)

    return figures.figure(key, title, description, paint, 4.2)
