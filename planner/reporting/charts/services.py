"""Charts of what runs: demand against capacity, latency, memory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from planner.findings.schema import Distribution, LatencyCurve
from planner.plan.labels import busiest_qps, held_qps
from planner.plan.schema import ServicePlan
from planner.reporting import rounding
from planner.reporting.charts import canvas, figures
from planner.reporting.document import Figure
from planner.units import GIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FULL = 0.98  # of its capacity: a replica that gets more runs at it


def demand_and_capacity(services: Sequence[ServicePlan]) -> Figure:
    """Each service's demand against what its replicas hold, and hold with one of them failed."""
    held = [held_qps(s) for s in services]
    left = [
        whole - max(g.capacity_qps for g in s.replica_groups)
        for whole, s in zip(held, services, strict=True)
    ]
    description = "; ".join(
        f"{s.name}: busiest demand {rounding.qps(busiest_qps(s))}, capacity {rounding.qps(whole)}, "
        f"{rounding.qps(less)} with one replica failed"
        for s, whole, less in zip(services, held, left, strict=True)
    )

    def paint(axes: Axes) -> None:
        rows = range(len(services))
        axes.barh(rows, held, color=canvas.QUIET, height=0.5, label="capacity")
        axes.barh(rows, left, color=canvas.ACCENT, height=0.5, label="with one replica failed")
        for row, service in enumerate(services):
            axes.plot([busiest_qps(service)] * 2, [row - 0.38, row + 0.38], color=canvas.WARN, lw=2.5,
                      label="busiest demand" if row == 0 else None)  # fmt: skip
        axes.set_yticks(rows, [figures.wrap(s.name) for s in services])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("requests per second")
        axes.figure.legend(loc="outside lower center", ncols=3, fontsize=9)

    height = 1.3 + 0.4 * len(services)
    return figures.figure("demand", "Demand against capacity", description, paint, height)


def over_time(
    service: str,
    periods: Sequence[str],
    busiest_qps_by_period: Sequence[float],
    capacity_qps: Sequence[float] | None,
) -> Figure:
    """Demand and capacity of one service, period by period."""
    highest = max(busiest_qps_by_period)
    description = f"The busiest window needs {rounding.qps(highest)} in {len(periods)} periods" + (
        f", capacity reaches {rounding.qps(max(capacity_qps))}" if capacity_qps else ""
    )

    def paint(axes: Axes) -> None:
        edges = range(len(periods) + 1)
        if capacity_qps:
            axes.stairs(capacity_qps, edges, color=canvas.QUIET, fill=True, label="capacity")
        axes.stairs(busiest_qps_by_period, edges, color=canvas.WARN, lw=1.8, baseline=None,
                    label="busiest demand")  # fmt: skip
        step = max(1, len(periods) // 6)
        axes.set_xticks(list(edges)[:-1:step], periods[::step], fontsize=9)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("requests per second")
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize=9)

    title = f"Demand against capacity over time: {service}"
    return figures.figure(f"over-time-{figures.slug(service)}", title, description, paint, 2.8)


def distribution(spread: Distribution) -> Figure:
    """The share of requests that are at most so slow, simulated as planned."""
    name = spread.metric.upper()
    description = "; ".join(
        f"{rounding.share(share)} of requests within {rounding.seconds(at_most_s)}"
        for share, at_most_s in spread.quantiles_s
    )

    def paint(axes: Axes) -> None:
        shares, times = zip(*spread.quantiles_s, strict=True)
        axes.plot(times, [100 * s for s in shares], color=canvas.ACCENT, lw=1.8)
        axes.xaxis.set_major_formatter(lambda value, _: rounding.seconds(value))
        axes.locator_params(axis="x", nbins=5)
        axes.set_ylim(0, 100)
        axes.set_ylabel("% of requests")

    key = f"{spread.metric}-{figures.slug(spread.service)}"
    title = f"{name} over the requests, simulated: {spread.service}"
    return figures.figure(key, title, description, paint, 2.7)


def memory(memories: Mapping[str, Mapping[str, float]], parts: Mapping[str, str]) -> Figure:
    """Memory of one GPU by part, a stacked bar per layout."""
    description = "; ".join(
        f"{layout}: " + ", ".join(f"{t} {rounding.gib(m[k])}" for k, t in parts.items() if m.get(k))
        for layout, m in memories.items()
    )

    def paint(axes: Axes) -> None:
        for row, used in enumerate(memories.values()):
            left = 0.0
            for colour, key in zip(canvas.SERIES, parts, strict=True):
                size = used.get(key, 0.0) / GIB
                label = parts[key] if row == 0 else None
                axes.barh(row, size, left=left, color=colour, height=0.55, label=label)
                left += size
        axes.set_yticks(range(len(memories)), [figures.wrap(name) for name in memories])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("GiB")
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize=9)

    title = "Memory of one GPU by part"
    height = 2.0 + 0.45 * len(memories)
    return figures.figure("memory", title, description, paint, height)


def _named(value: float) -> bool:
    """Whether a tick between powers of ten is written out: at 2 and at 5."""
    return round(value / 10 ** math.floor(math.log10(value))) in (2, 5)


def latency_curve(curve: LatencyCurve) -> Figure:
    """TTFT and TPOT p99 of one replica over its rate, with the operating point marked."""
    operating, capacity = curve.operating_qps, curve.capacity_qps
    description = (
        f"One replica of {curve.layout} operates at {rounding.qps(operating)} of the "
        f"{rounding.qps(capacity)} it holds. "
        + "; ".join(
            f"{rounding.qps(p.rate_qps)}: TTFT p99 {rounding.seconds(p.ttft_p99_s)}, "
            f"TPOT p99 {rounding.seconds(p.tpot_p99_s)}"
            for p in curve.points
        )
    )

    def paint(axes: Axes) -> None:
        rates = [p.rate_qps for p in curve.points]
        for name, colour, values in (
            ("TTFT p99", canvas.SERIES[0], [p.ttft_p99_s for p in curve.points]),
            ("TPOT p99", canvas.SERIES[1], [p.tpot_p99_s for p in curve.points]),
        ):
            axes.plot(rates, values, color=colour, lw=1.8)
            axes.annotate(
                name, (rates[0], values[0]), xytext=(3, 9), textcoords="offset points", color=colour
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: rounding.seconds(value))
        axes.yaxis.set_minor_formatter(
            lambda value, _: rounding.seconds(value) if _named(value) else ""
        )
        axes.tick_params(axis="y", which="minor", labelsize=8)
        axes.axvline(operating, color=canvas.ACCENT, lw=1.2, ls="--")
        axes.axvline(capacity, color=canvas.WARN, lw=1.2, ls=":")
        full = operating > _FULL * capacity
        for x, text, colour in (
            (operating, "" if full else "now", canvas.ACCENT),
            (capacity, "now, at capacity" if full else "capacity", canvas.WARN),
        ):
            axes.annotate(
                text, (x, 0.02), xycoords=("data", "axes fraction"), xytext=(3, 0),
                textcoords="offset points", color=colour, fontsize=8, rotation=90,
            )  # fmt: skip
        axes.set_xlabel("requests per second at one replica")

    return figures.figure(
        f"latency-{figures.slug(curve.service)}-{figures.slug(curve.layout)}",
        f"Latency against rate, closed form: {curve.service}",
        description,
        paint,
        2.9,
    )
