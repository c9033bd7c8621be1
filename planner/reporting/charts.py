"""The charts of a report: each a figure with a description in words, drawn only when asked for."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from planner.comparison.findings import LatencyCurve, Purchase, WhatIf
from planner.plan import Alternative, Plan
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
    """Cost per hour after each change, largest move first."""
    known = [w for w in what_ifs if w.usd_per_hour is not None]
    known.sort(key=lambda w: -abs((w.usd_per_hour or 0) - (base.usd_per_hour or 0)))
    bars = {"As asked": base.usd_per_hour or 0.0}
    bars |= {f"{w.input} {w.change}": w.usd_per_hour or 0.0 for w in known[: _MOST_BARS - 1]}
    title = "Cost when one input changes, USD per hour"
    return _bars("sensitivity", title, bars, rounding.usd, "As asked")


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
        axes.figure.legend(loc="outside lower center", ncols=3, fontsize=8)

    title = "Memory of one GPU by part"
    height = 1.8 + 0.45 * len(memories)
    return _figure("memory", title, description, paint, height)


def pareto(plan: Plan, others: Sequence[Alternative]) -> tuple[Figure, ...]:
    """Cost against TTFT p99, with the options no other beats in both; none without latencies."""
    points = [
        (a.usd_per_hour, float(a.detail["ttft_p99_s"]), a.label)
        for a in others
        if isinstance(a.detail.get("ttft_p99_s"), (int, float))
    ]
    own = [g.predicted.ttft_p99_s for s in plan.services for g in s.replica_groups]
    known = [t for t in own if t is not None]
    if plan.totals is None or not known or not points:
        return ()
    points.append((plan.totals.usd_per_hour, max(known), "This plan"))
    front = sorted(
        p
        for p in points
        if not any(q[:2] != p[:2] and q[0] <= p[0] and q[1] <= p[1] for q in points)
    )
    description = "; ".join(
        f"{name}: {rounding.usd_per_hour(cost)}, TTFT p99 {rounding.seconds(ttft)}"
        + (" (not beaten in both)" if (cost, ttft, name) in front else "")
        for cost, ttft, name in sorted(points)
    )

    def paint(axes: Axes) -> None:
        axes.plot([p[0] for p in front], [p[1] for p in front], color=canvas.QUIET, lw=1.2)
        axes.scatter(
            [p[0] for p in points[:-1]], [p[1] for p in points[:-1]], color=canvas.QUIET, s=28
        )
        cost, ttft, name = points[-1]
        axes.scatter([cost], [ttft], color=canvas.ACCENT, s=55, zorder=3)
        axes.annotate(name, (cost, ttft), xytext=(7, 5), textcoords="offset points")
        axes.set_xlabel("USD per hour")
        axes.set_ylabel("TTFT p99, s")
        axes.margins(x=0.15, y=0.18)

    return (_figure("pareto", "Cost against latency", description, paint, 2.7),)


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
        f"Latency against rate: {curve.service}",
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
        axes.bar_label(drawn, [write(v) for v in values.values()], padding=3, fontsize=8.5)
        axes.set_yticks(rows, [_wrap(name) for name in values], fontsize=8.5)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines["bottom"].set_visible(False)
        axes.set_xticks([])
        axes.margins(x=0.2)

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
    return "\n".join(textwrap.wrap(text, 26, max_lines=2, placeholder=" …"))


def _slug(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower())
