"""Pareto frontiers by epsilon constraints: cost against latency, cost against resilience.

Each point is a fleet solved to proof under one bound on the other objective; a point is kept when
no other is at least as good in both and better in one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from planner.fleet.problem import Problem, Resilience, Solution

Fleet = TypeVar("Fleet")


@dataclass(frozen=True, slots=True)
class FrontierPoint(Generic[Fleet]):
    """The cheapest fleet under ``bound`` on the other objective, and what it ``achieved`` there."""

    bound: float
    achieved: float
    usd_per_hour: float
    fleet: Fleet


@dataclass(frozen=True, slots=True)
class ResilienceStep:
    """One degree of resilience: what may fail, its cheapest fleet, and its price over none [USD/h].

    ``solution.status`` "infeasible": no fleet survives it; cost and price are then None.
    """

    name: str
    resilience: Resilience
    solution: Solution
    usd_per_hour: float | None
    price_usd_per_hour: float | None


def trace_frontier(
    cheapest_under: Callable[[float], tuple[float, float, Fleet] | None],
    *,
    loosest: float,
    tightest: float,
    step_share: float,
    max_points: int = 50,
) -> tuple[FrontierPoint[Fleet], ...]:
    """Walk the bound from ``loosest`` to ``tightest``; both objectives are minimised.

    ``cheapest_under(bound)`` returns (cost [USD/h], achieved, fleet) of the cheapest fleet whose
    other objective is at most ``bound``, or None when there is none. The next bound lies
    ``step_share`` below what was achieved, so no fleet further than that from a point is missed.
    """
    points: list[FrontierPoint[Fleet]] = []
    bound = loosest
    while bound >= tightest and len(points) < max_points:
        answer = cheapest_under(bound)
        if answer is None:
            break
        usd_per_hour, achieved, fleet = answer
        if achieved > bound * (1 + 1e-9):
            raise ValueError(f"the fleet achieved {achieved}, above its bound {bound}")
        points.append(FrontierPoint(bound, achieved, usd_per_hour, fleet))
        bound = achieved * (1 - step_share)
    return undominated(points)


def undominated(points: Iterable[FrontierPoint[Fleet]]) -> tuple[FrontierPoint[Fleet], ...]:
    """The points no other beats, by cost; of equal points one is kept."""
    kept: list[FrontierPoint[Fleet]] = []
    for point in sorted(points, key=lambda p: (p.usd_per_hour, p.achieved)):
        if not kept or point.achieved < kept[-1].achieved:
            kept.append(point)
    return tuple(kept)


def resilience_steps(
    problem: Problem, solve: Callable[[Problem], Solution], *, max_nodes: int = 1
) -> tuple[ResilienceStep, ...]:
    """The price of resilience: nothing lost, a replica, nodes, a zone, a whole spot pool.

    Each is solved on its own; the price is the cost above the fleet that survives nothing. Zones and
    spot pools are tried where the offers have more than one zone or any spot.
    """
    zones = {o.zone for o in problem.offers}
    levels = {"nothing": Resilience(), "one replica": Resilience(replicas=1)}
    for nodes in range(1, max_nodes + 1):
        levels["one node" if nodes == 1 else f"{nodes} nodes"] = Resilience(nodes=nodes)
    if len(zones) > 1:
        levels["one zone"] = Resilience(zones=1)
    if any(o.spot for o in problem.offers):
        levels["one spot pool"] = Resilience(spot_pools=1)
    steps: list[ResilienceStep] = []
    for name, resilience in levels.items():
        solution = solve(dataclasses.replace(problem, resilience=resilience))
        cost = solution.objective_usd_per_hour
        none = steps[0].usd_per_hour if steps else cost
        price = None if cost is None or none is None else cost - none
        steps.append(ResilienceStep(name, resilience, solution, cost, price))
    return tuple(steps)
