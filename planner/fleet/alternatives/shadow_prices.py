"""What one more unit of a limit is worth, found by solving again with the limit one unit larger.

The dual values of a linear relaxation are not the values of an integer program: one more GPU is
worth nothing until it completes a node. Both the next unit and the next whole node are priced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from planner.fleet.program.problem import Cap, FleetLimits, Problem, Solution

BUDGET_STEP_USD_PER_HOUR = 1.0
POWER_STEP_KW = 1.0


@dataclass(frozen=True, slots=True)
class ShadowValue:
    """Saving from a limit that is ``units`` larger [USD/h].

    ``saving_low`` and ``saving_high`` bound the saving by what the solver proved of both fleets;
    they agree when both are proved to a gap of zero.
    """

    limit: str
    current: float
    units: float
    unit: str
    saving_usd_per_hour: float
    saving_low: float
    saving_high: float

    @property
    def per_unit_usd_per_hour(self) -> float:
        """The saving per unit added [USD/h]."""
        return self.saving_usd_per_hour / self.units


def shadow_values(
    problem: Problem, base: Solution, solve: Callable[[Problem], Solution]
) -> tuple[ShadowValue, ...]:
    """Price every limit of ``problem``, whose cheapest fleet is ``base``; the dearest limit first.

    A limit with room to spare is worth nothing. Raises ValueError when ``base`` holds no fleet.
    """
    if base.objective_usd_per_hour is None or base.bound_usd_per_hour is None:
        raise ValueError("a limit has a value only where a fleet exists")
    values = []
    for name, current, steps, unit, enlarged in _limits(problem):
        for units in steps:
            larger = solve(dataclasses.replace(problem, limits=enlarged(units)))
            if larger.objective_usd_per_hour is None or larger.bound_usd_per_hour is None:
                continue
            saving = base.objective_usd_per_hour - larger.objective_usd_per_hour
            values.append(
                ShadowValue(
                    limit=name,
                    current=current,
                    units=units,
                    unit=unit,
                    saving_usd_per_hour=max(0.0, saving),
                    saving_low=max(0.0, base.bound_usd_per_hour - larger.objective_usd_per_hour),
                    saving_high=max(0.0, base.objective_usd_per_hour - larger.bound_usd_per_hour),
                )
            )
    return tuple(sorted(values, key=lambda v: (-v.per_unit_usd_per_hour, v.limit, v.units)))


def _limits(
    problem: Problem,
) -> Iterator[tuple[str, float, tuple[float, ...], str, Callable[[float], FleetLimits]]]:
    """Name in a scenario, current value, steps to try, unit, and the limits with one enlarged."""
    limits = problem.limits
    for gpu, count in sorted(limits.stock.items()):
        nodes = [o.gpus_per_node for o in problem.offers if o.gpu == gpu]
        if nodes:
            yield f"stock.{gpu}", count, _gpu_steps(nodes), "GPU", _more_stock(limits, gpu)
    if limits.max_gpus is not None:
        nodes = [o.gpus_per_node for o in problem.offers]
        yield "max_gpus", limits.max_gpus, _gpu_steps(nodes), "GPU", _more_gpus(limits)
    for field, name, step, unit in (
        ("max_usd_per_hour", "max_cost_usd_per_hour", BUDGET_STEP_USD_PER_HOUR, "USD/h"),
        ("max_power_kw", "max_power_kw", POWER_STEP_KW, "kW"),
    ):
        value = getattr(limits, field)
        if value is not None:
            yield name, value, (step,), unit, _more(limits, field)

    for cap in limits.caps:
        least = min((w for w in cap.per_node.values() if w > 0), default=0.0)
        if least:
            yield cap.key, cap.limit, tuple(sorted({1.0, least})), "unit", _more_cap(limits, cap)


def _gpu_steps(gpus_per_node: list[int]) -> tuple[float, ...]:
    return tuple(sorted({1.0, *(float(n) for n in gpus_per_node)}))


def _more_stock(limits: FleetLimits, gpu: str) -> Callable[[float], FleetLimits]:
    return lambda units: dataclasses.replace(
        limits, stock={**limits.stock, gpu: limits.stock[gpu] + int(units)}
    )


def _more_gpus(limits: FleetLimits) -> Callable[[float], FleetLimits]:
    return lambda units: dataclasses.replace(limits, max_gpus=(limits.max_gpus or 0) + int(units))


def _more_cap(limits: FleetLimits, cap: Cap) -> Callable[[float], FleetLimits]:
    def enlarged(units: float) -> FleetLimits:
        larger = dataclasses.replace(cap, limit=cap.limit + units)
        caps = tuple(larger if c.key == cap.key else c for c in limits.caps)
        return dataclasses.replace(limits, caps=caps)

    return enlarged


def _more(limits: FleetLimits, field: str) -> Callable[[float], FleetLimits]:
    def enlarged(units: float) -> FleetLimits:
        # the field is a name: dataclasses.replace has no type for one that is known at run time alone
        change: dict[str, Any] = {field: getattr(limits, field) + units}
        return dataclasses.replace(limits, **change)

    return enlarged
