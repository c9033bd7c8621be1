"""Charts of money: cost by option, by way to pay, along an input, against speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, cycle
from typing import TYPE_CHECKING

from planner.findings.schema import FrontierPoint, Purchase, WhatIf
from planner.plan.alternatives import Alternative
from planner.plan.money import Cash
from planner.plan.schema import Plan
from planner.reporting import rounding
from planner.reporting.charts import canvas, figures
from planner.reporting.document import Figure

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


def ways_to_pay(purchases: Sequence[Purchase], months: int) -> Figure:
    """Accrued cost of each way to pay that is on offer, over the horizon, and its range of prices."""
    known = [(p, p.cost_usd) for p in purchases if p.cost_usd is not None]
    ranges = [(p.low_usd or usd, usd, p.high_usd or usd) for p, usd in known]
    description = "; ".join(
        f"{p.way}: {rounding.usd(usd)}"
        + (f" ({rounding.usd(low)} to {rounding.usd(high)})" if high > low else "")
        for (p, _), (low, usd, high) in zip(known, ranges, strict=True)
    )

    def paint(axes: Axes) -> None:
        rows = range(len(known))
        colours = [canvas.ACCENT if p.planned else canvas.QUIET for p, _ in known]
        axes.barh(rows, [usd for _, usd in known], color=colours, height=0.55)
        for row, (low, usd, high) in enumerate(ranges):
            axes.plot([low, high], [row, row], color=canvas.INK, lw=1.4, marker="|", ms=7)
            axes.annotate(rounding.usd(usd), (max(usd, high), row), xytext=(6, 0),
                          textcoords="offset points", va="center", fontsize=9.5)  # fmt: skip
        axes.set_yticks(rows, [figures.wrap(p.way) for p, _ in known], fontsize=9.5)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.margins(x=0.25)

    title = f"Cost of {months} months, USD, with its range"
    return figures.figure("ways-to-pay", title, description, paint, 0.7 + 0.45 * len(known))


def cumulative(purchases: Sequence[Purchase]) -> Figure:
    """What each way to pay has cost by the end of each month; lines cross where one breaks even."""
    paid = {p.way: list(accumulate(p.cash_flow_usd)) for p in purchases if p.cash_flow_usd}
    planned = next((p.way for p in purchases if p.planned), "")
    description = "; ".join(
        f"{way}: {rounding.usd(flow[len(flow) // 3])} after {len(flow) // 3} months, "
        f"{rounding.usd(flow[-1])} after {len(flow) - 1}"
        for way, flow in paid.items()
    )

    def paint(axes: Axes) -> None:
        for (way, flow), colour in zip(paid.items(), cycle(canvas.SERIES)):
            width = 2.6 if way == planned else 1.5
            axes.plot([usd / 1e3 for usd in flow], color=colour, lw=width, label=way)
        axes.set_xticks(range(0, len(next(iter(paid.values()))), 6))
        axes.set_ylim(bottom=0)
        axes.set_xlabel("months from now")
        axes.set_ylabel("thousand USD")
        axes.figure.legend(loc="outside lower center", ncols=3, fontsize=9)

    return figures.figure("cumulative", "Paid so far", description, paint, 3.2)


def exposure(cash: Cash) -> Figure:
    """What giving everything up at the end of a month would cost: still owed, and paid for nothing."""
    lost = {
        "still owed": list(cash.exit_owed_usd),
        "paid and unused": list(cash.exit_unused_usd),
        "both": [a + b for a, b in zip(cash.exit_owed_usd, cash.exit_unused_usd, strict=True)],
    }
    most = max(range(len(lost["both"])), key=lost["both"].__getitem__)
    description = (
        f"at most {rounding.usd(lost['both'][most])}, at month {most}; "
        f"{rounding.usd(lost['both'][-1])} at month {len(lost['both']) - 1}"
    )

    def paint(axes: Axes) -> None:
        for (name, usd), colour in zip(lost.items(), cycle(canvas.SERIES)):
            width = 2.6 if name == "both" else 1.5
            axes.step(range(len(usd)), [u / 1e3 for u in usd], where="post", color=colour,
                      lw=width, label=name)  # fmt: skip
        axes.set_ylim(bottom=0)
        axes.set_xlabel("months from now")
        axes.set_ylabel("thousand USD")
        axes.figure.legend(loc="outside lower center", ncols=3, fontsize=9)

    return figures.figure("exposure", "Lost if cancelled", description, paint, 2.9)


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


def pareto(plan: Plan, points: Sequence[FrontierPoint]) -> Figure:
    """Cost against TPOT p99 of fleets that no other beats in both, and where the plan stands."""
    own = [g.predicted.tpot_p99_s for g in plan.groups]
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

    return figures.figure("pareto", "Cost against speed", description, paint, 2.7)


def cost_curve(
    title: str,
    axis_title: str,
    points: Sequence[tuple[float, float | None]],
    flips: Sequence[float],
) -> Figure:
    """Cost per hour over a swept input; dashed lines where the choice changes."""
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

    return figures.figure("cost-curve", title, description, paint, 2.9)


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
        axes.set_yticks(rows, [figures.wrap(name) for name in values], fontsize=9.5)
        axes.invert_yaxis()
        axes.grid(visible=False)
        axes.spines[["bottom", "left"]].set_visible(False)
        axes.axvline(0, color=canvas.RULE, lw=1)
        axes.tick_params(axis="y", length=0)
        axes.set_xticks([])
        axes.margins(x=0.35 if min(values.values(), default=0) < 0 else 0.2)

    return figures.figure(key, title, description, paint, 0.7 + 0.42 * len(values))
