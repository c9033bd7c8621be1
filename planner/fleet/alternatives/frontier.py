"""Pareto frontiers by epsilon constraints: cost against latency, cost against resilience.

Each point is a fleet solved to proof under one bound on the other objective; a point is kept when
no other is at least as good in both and better in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from planner.fleet.program.problem import Resilience

Fleet = TypeVar("Fleet")


@dataclass(frozen=True, slots=True)
class FrontierSolution(Generic[Fleet]):
    """The cheapest fleet under ``bound`` on the other objective, and what it ``achieved`` there."""

    bound: float
    achieved: float
    usd_per_hour: float
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class ResilienceStep(Generic[Fleet]):
    """One degree of resilience: what may fail, its cheapest fleet, and its price over none [USD/h].

    Cost and price are None where no fleet survives it.
    """

    name: str
    resilience: Resilience
    fleet: Fleet
    usd_per_hour: float | None
    price_usd_per_hour: float | None


def trace_frontier(
    cheapest_under: Callable[[float], tuple[float, float, Fleet] | None],
    *,
    loosest: float,
    tightest: float,
    step_share: float,
    max_points: int = 50,
) -> tuple[FrontierSolution[Fleet], ...]:
    """Walk the bound from ``loosest`` to ``tightest``; both objectives are minimised.

    ``cheapest_under(bound)`` returns (cost [USD/h], achieved, fleet) of the cheapest fleet whose
    other objective is at most ``bound``, or None when there is none. The next bound lies
    ``step_share`` below what was achieved, so no fleet further than that from a point is missed; the last
    is ``tightest`` itself, unless a fleet achieved that already.
    """
    points: list[FrontierSolution[Fleet]] = []
    bound = loosest
    while bound >= tightest and len(points) < max_points:
        answer = cheapest_under(bound)
        if answer is None:
            break
        usd_per_hour, achieved, fleet = answer
        if achieved > bound * (1 + 1e-9):
            raise ValueError(f"the fleet achieved {achieved}, above its bound {bound}")
        points.append(FrontierSolution(bound, achieved, usd_per_hour, fleet))
        if achieved <= tightest:
            break
        bound = max(achieved * (1 - step_share), tightest)
    return undominated(points)


def undominated(points: Iterable[FrontierSolution[Fleet]]) -> tuple[FrontierSolution[Fleet], ...]:
    """The points no other beats, by cost; of equal points one is kept."""
    kept: list[FrontierSolution[Fleet]] = []
    for point in sorted(points, key=lambda p: (p.usd_per_hour, p.achieved)):
        if not kept or point.achieved < kept[-1].achieved:
            kept.append(point)
    return tuple(kept)


def resilience_steps(
    levels: Mapping[str, Resilience],
    cheapest_surviving: Callable[[Resilience], tuple[float | None, Fleet] | None],
) -> tuple[ResilienceStep[Fleet], ...]:
    """The price of resilience: each level solved on its own, the first being the one without.

    ``cheapest_surviving(resilience)`` returns the cost [USD/h], None where there is none, and the fleet;
    None for a level that is left, as all after it are.
    """
    steps: list[ResilienceStep[Fleet]] = []
    for name, resilience in levels.items():
        answer = cheapest_surviving(resilience)
        if answer is None:
            continue
        cost, fleet = answer
        none = steps[0].usd_per_hour if steps else cost
        price = None if cost is None or none is None else cost - none
        steps.append(ResilienceStep(name, resilience, fleet, cost, price))
    return tuple(steps)


def levels_of(*, zones: bool, spot: bool) -> dict[str, Resilience]:
    """Nothing lost, a replica, a node; a zone or a whole spot pool where there are any."""
    levels = {
        "nothing": Resilience(),
        "one replica": Resilience(replicas=1),
        "one node": Resilience(nodes=1),
    }
    if zones:
        levels["one zone"] = Resilience(zones=1)
    if spot:
        levels["one spot pool"] = Resilience(spot_pools=1)
    return levels
