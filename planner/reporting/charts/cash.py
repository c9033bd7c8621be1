"""Charts of money over time and of what may move it: cash by month, the tornado."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from planner.findings.schema import PLAN, Swing
from planner.plan.money import Cash
from planner.reporting import rounding
from planner.reporting.charts import canvas, figures
from planner.reporting.document import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_SEEN = 1e-4  # of the cost: what moves it less is not drawn


def cash_by_month(cash: Cash) -> Figure:
    """What is paid at the end of each month, month 0 being signature."""
    paid = list(cash.by_month)
    most = max(range(len(paid)), key=paid.__getitem__)
    description = (
        f"{rounding.usd(paid[0])} at signature; at most {rounding.usd(paid[most])}, at month {most}; "
        f"{rounding.usd(sum(paid))} in all"
    )

    def paint(axes: Axes) -> None:
        axes.bar(range(len(paid)), [usd / 1e3 for usd in paid], color=canvas.ACCENT, width=0.7)
        axes.grid(axis="x", visible=False)
        axes.set_xlabel("months from now")
        axes.set_ylabel("thousand USD")

    return figures.figure("cash-by-month", "Cash by month", description, paint, 2.6)


def tornado(swings: Sequence[Swing], usd_per_month: float, of: str) -> Figure | None:
    """Both ends of every input around the cost per month as it is, the widest on top.

    None where no input moves it, as on GPUs that cost nothing.
    """
    known = [(s, _ends(s)) for s in swings]
    least = _SEEN * usd_per_month  # an end that moves less would be drawn over its opposite
    rows = [(s, e) for s, e in known if e and max(abs(x - usd_per_month) for x in e) > least]
    if not rows:
        return None
    description = "; ".join(
        f"{s.input} {s.low} to {s.high}: {rounding.usd(low)} to {rounding.usd(high)}"
        for s, (low, high) in rows
    )
    if of == PLAN:
        description += "; the fleet is chosen again at each end"

    def paint(axes: Axes) -> None:
        for row, (swing, (low, high)) in enumerate(rows):
            for end, text, colour in (
                (low, swing.low, canvas.QUIET),
                (high, swing.high, canvas.ACCENT),
            ):
                width = (end - usd_per_month) / 1e3
                axes.barh(row, width, left=usd_per_month / 1e3, color=colour, height=0.6)
                if abs(end - usd_per_month) > least:
                    side = "left" if width > 0 else "right"
                    axes.annotate(text, (end / 1e3, row), xytext=(4 if width > 0 else -4, 0),
                                  textcoords="offset points", ha=side, va="center",
                                  fontsize=8.5)  # fmt: skip
        axes.set_yticks(range(len(rows)), [figures.wrap(s.input) for s, _ in rows], fontsize=9.5)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.axvline(usd_per_month / 1e3, color=canvas.RULE, lw=1.2)
        widest = max(len(text) for s, _ in rows for text in (s.low, s.high))
        axes.margins(x=0.1 + widest / 40)  # room for the texts at the ends
        axes.set_xlabel("thousand USD per month")

    title = f"What moves the cost of {of}"
    height = 1.0 + 0.42 * len(rows)
    return figures.figure(f"tornado-{figures.slug(of)}", title, description, paint, height)


def _ends(swing: Swing) -> tuple[float, float] | None:
    if swing.low_usd_per_month is None or swing.high_usd_per_month is None:
        return None
    return swing.low_usd_per_month, swing.high_usd_per_month
