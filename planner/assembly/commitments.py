"""What a plan's commitments leave owed, or paid for nothing, when its horizon ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from planner.plan.money import Rental
from planner.scenario.fleet import Horizon


def liabilities(rentals: Iterable[Rental], horizon: Horizon) -> Iterator[str]:
    """One warning per commitment that outlasts the horizon: what is owed or paid ahead then.

    Where the need continues the plan charges the months within the horizon only; where it ends, the
    whole terms are charged, and the warning says what is paid for months that nobody uses.
    """
    for rental in rentals:
        held = rental.holding
        if not held.months_beyond:
            continue
        amounts = [
            f"${usd:,.0f} {word}"
            for usd, word in ((held.owed_usd, "still owed"), (held.paid_ahead_usd, "paid ahead"))
            if usd
        ]
        charged = "all of it charged to this plan" if horizon.ends else "not charged to this plan"
        yield (
            f"{rental.count}x {rental.instance_type} of {rental.provider} is committed for "
            f"{held.term_months} months from month {rental.from_month}: {held.months_beyond} of those months "
            f"lie beyond the horizon of {horizon.months}, with {' and '.join(amounts)} when it ends, "
            f"{charged}"
        )
