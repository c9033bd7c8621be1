"""The charts of a report: each a figure with a description in words, drawn only when asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from planner.comparison.findings import (
    Distribution,
    FrontierPoint,
    LatencyCurve,
    Purchase,
    WhatIf,
)
from planner.comparison.naming import busiest_qps
from planner.plan import Alternative, Plan, ServicePlan
from planner.reporting import canvas, rounding
from planner.reporting.document import Figure
from planner.units import GIB

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BARS = 12


def cost_by_option(plan: Plan, others: Sequence[Alternative]) -> Figure:
    """The plan's cost per hour beside every alternative's."""
    bars = {"This plan": plan.totals.usd_per_hour if plan.totals else 0.0}
    bars |= {a.label: a.usd_per_hour for a in others[: _MOST_BARS - 1]}
    return _bars("cost-by-option", "Cost by option, USD per hour", bars, rounding.usd, "This plan")


def costs(title: str, usd_per_hour: Mapping[str, float], marked: str) -> Figure:
    """Cost per hour of named options, one of them marked."""
    return _bars(
        "costs", title, dict(list(usd_per_hour.items())[:_MOST_BARS]), rounding.usd, marked
    )


def ways_to_pay(purchases: Sequence[Purchase]) -> Figure:
    """Cost over three years of each way to pay that is on offer."""
    bars = {p.way: p.usd_three_years for p in purchases if p.usd_three_years is not None}
    planned = next((p.way for p in purchases if p.planned), "")
    return _bars("ways-to-pay", "Cost over three years, USD", bars, rounding.usd, planned)


def sensitivity(base: WhatIf, what_ifs: Sequence[WhatIf]) -> Figure:
    """By how much each change moves the cost per hour, largest move first."""
    moves = {
        f"{w.input} {w.change}": w.usd_per_hour - (base.usd_per_hour or 0.0)
        for w in what_ifs
        if w.usd_per_hour is not None and base.usd_per_hour not in (None, w.usd_per_hour)
    }
    ranked = sorted(moves.items(), key=lambda move: -abs(move[1]))[:_MOST_BARS]
    title = "What moves the cost, USD per hour more or less"
    return _bars("sensitivity", title, dict(ranked), _signed_usd, "")


def _signed_usd(value: float | None) -> str:
    return f"{'+' if value is not None and value > 0 else ''}{rounding.usd(value)}"


def demand_and_capacity(services: Sequence[ServicePlan]) -> Figure:
    """Each service's demand against what its replicas hold, and hold with one of them failed."""
    held = [sum(g.capacity_qps * g.replicas for g in s.replica_groups) for s in services]
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
        axes.set_yticks(rows, [_wrap(s.name) for s in services])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("requests per second")
        axes.figure.legend(loc="outside lower center", ncols=3, fontsize=9)

    height = 1.3 + 0.4 * len(services)
    return _figure("demand", "Demand against capacity", description, paint, height)


def over_time(
    service: str,
    periods: Sequence[str],
    busiest_qps_by_period: Sequence[float],
    capacity_qps: Sequence[float] | None,
) -> Figure:
    """Demand and capacity of one service, period by period."""
    highest = max(busiest_qps_by_period)
    description = (
        f"The busiest window asks for {rounding.qps(highest)} in {len(periods)} periods"
        + (f", capacity reaches {rounding.qps(max(capacity_qps))}" if capacity_qps else "")
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
    return _figure(f"over-time-{_slug(service)}", title, description, paint, 2.8)


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

    key = f"{spread.metric}-{_slug(spread.service)}"
    title = f"{name} over the requests, simulated: {spread.service}"
    return _figure(key, title, description, paint, 2.7)


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
        axes.set_yticks(range(len(memories)), [_wrap(name) for name in memories])
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("GiB")
        axes.figure.legend(loc="outside lower center", ncols=2, fontsize=9)

    title = "Memory of one GPU by part"
    height = 2.0 + 0.45 * len(memories)
    return _figure("memory", title, description, paint, height)


def pareto(plan: Plan, points: Sequence[FrontierPoint]) -> Figure:
    """Cost against TPOT p99 of fleets that no other beats in both, and where the plan stands."""
    own = [g.predicted.tpot_p99_s for s in plan.services for g in s.replica_groups]
    known = [t for t in own if t is not None]
    description = "; ".join(
        f"TPOT p99 {rounding.seconds(p.tpot_p99_s)} for {rounding.usd_per_hour(p.usd_per_hour)}"
        for p in points
    )

    def paint(axes: Axes) -> None:
        times = [1e3 * p.tpot_p99_s for p in points]
        axes.plot(times, [p.usd_per_hour for p in points], "o-", color=canvas.QUIET, lw=1.2, ms=5)
        if plan.totals is not None and known:
            here = (1e3 * max(known), plan.totals.usd_per_hour)
            axes.plot(*here, "o", color=canvas.ACCENT, ms=8)
            axes.annotate("the plan", here, xytext=(7, 7), textcoords="offset points",
                          color=canvas.ACCENT)  # fmt: skip
        axes.set_xlabel("TPOT p99, milliseconds")
        axes.set_ylabel("USD per hour")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.12)

    return _figure("pareto", "Cost against speed", description, paint, 2.7)


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
                name, (rates[0], values[0]), xytext=(3, 5), textcoords="offset points", color=colour
            )
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: rounding.seconds(value))
        axes.yaxis.set_minor_formatter("")
        axes.axvline(operating, color=canvas.ACCENT, lw=1.2, ls="--")
        axes.axvline(capacity, color=canvas.WARN, lw=1.2, ls=":")
        for x, text, colour in (
            (operating, "now", canvas.ACCENT),
            (capacity, "capacity", canvas.WARN),
        ):
            axes.annotate(
                text, (x, 0.02), xycoords=("data", "axes fraction"), xytext=(3, 0),
                textcoords="offset points", color=colour, fontsize=8, rotation=90,
            )  # fmt: skip
        axes.set_xlabel("requests per second at one replica")

    return _figure(
        f"latency-{_slug(curve.service)}-{_slug(curve.layout)}",
        f"Latency against rate, closed form: {curve.service}",
        description,
        paint,
        2.9,
    )


def cost_curve(
    title: str,
    axis_title: str,
    points: Sequence[tuple[float, float | None]],
    flips: Sequence[float],
) -> Figure:
    """Cost per hour over a swept input; dashed lines where the choice flips."""
    known = [(x, y) for x, y in points if y is not None]
    description = "; ".join(
        f"{rounding.significant(x)}: {rounding.usd_per_hour(y)}" for x, y in points
    )

    def paint(axes: Axes) -> None:
        axes.plot([x for x, _ in known], [y for _, y in known], color=canvas.ACCENT, lw=1.8)
        axes.scatter([x for x, _ in known], [y for _, y in known], color=canvas.ACCENT, s=14)
        for x in flips:
            axes.axvline(x, color=canvas.WARN, lw=1, ls="--")
        axes.set_ylim(bottom=0)
        axes.set_xlabel(axis_title)
        axes.set_ylabel("USD per hour")

    return _figure("cost-curve", title, description, paint, 2.9)


def _bars(
    key: str,
    title: str,
    bars: Mapping[str, float | None],
    write: Callable[[float | None], str],
    marked: str,
) -> Figure:
    values = {name: value for name, value in bars.items() if value is not None}
    description = "; ".join(f"{name}: {write(value)}" for name, value in values.items())

    def paint(axes: Axes) -> None:
        colours = [canvas.ACCENT if n == marked else canvas.QUIET for n in values]
        rows = range(len(values))
        drawn = axes.barh(rows, list(values.values()), color=colours, height=0.62)
        axes.bar_label(drawn, [write(v) for v in values.values()], padding=3, fontsize=9.5)
        axes.set_yticks(rows, [_wrap(name) for name in values], fontsize=9.5)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.axvline(0, color=canvas.RULE, lw=1)
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.margins(x=0.35 if min(values.values(), default=0) < 0 else 0.2)

    return _figure(key, title, description, paint, 0.7 + 0.42 * len(values))


def _figure(
    key: str, title: str, description: str, paint: Callable[[Axes], None], height_in: float
) -> Figure:
    return Figure(
        key,
        title,
        description,
        partial(canvas.draw, key, title, description, paint, height_in=height_in),
    )


def _wrap(text: str) -> str:
    whole = text.replace(" %", "\N{NO-BREAK SPACE}%")
    return "\n".join(textwrap.wrap(whole, 26, max_lines=2, placeholder=" …"))


def _slug(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
