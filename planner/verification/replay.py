"""A capacity above the closed form must be earned again: the group is simulated at that rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from planner.plan.replica_group import ReplicaGroup
from planner.scenario.schema import Service
from planner.serving.placed import Placed
from planner.serving.simulation.window import excess_rate
from planner.solving.assured_simulation import simulate_assured
from planner.verification.check import Check, Verdict, at_most

SLACK = 1e-6
MOST_TIMES = 4.0


def capacity_checks(
    label: str,
    service: Service,
    group: ReplicaGroup,
    placed: Placed,
    closed_form_qps: float,
    others: Sequence[ReplicaGroup],
    seed: int,
) -> Iterator[Check]:
    """The capacity is at most the closed form's, or holds when the fleet is simulated at it again.

    What no replica could ever finish, or ``MOST_TIMES`` the closed form, is refused without playing.
    ``placed``: the group at that rate; ``others``: all groups of the service; a mix is not simulated,
    since its shares would have to be found again.
    """
    statement = f"{label} capacity, recomputed [requests/s]"
    earned = group.capacity_qps <= closed_form_qps * (1 + SLACK)
    beyond = group.capacity_qps > MOST_TIMES * closed_form_qps
    if earned or beyond or len(others) > 1 or excess_rate(service, [placed], placed.rate_qps):
        yield at_most("capacity", statement, group.capacity_qps, closed_form_qps)
        return
    simulated = simulate_assured(service, [placed], seed=seed)
    text = ", ".join(f"{o.key} met by {100 * o.met_low:.2f} % or more" for o in simulated.outcomes)
    yield Check(
        "capacity",
        f"{label} capacity of {group.capacity_qps:.4g} requests/s, above the closed form's "
        f"{closed_form_qps:.4g}, holds when simulated again",
        Verdict.HOLDS if simulated.holds else Verdict.FAILS,
        text,
    )
