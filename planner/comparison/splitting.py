"""How much of a difference in cost each cause brought: the inputs changed one after another.

From the old question to the new one, the causes are changed in a fixed order, each solved again with
those before it. What a step adds is its cause's part; the parts telescope, so they sum exactly to the
difference. Joint effects fall to the cause that is changed later: another order shares them otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from planner.comparison.causes import KINDS, kind_of
from planner.comparison.options import Progress
from planner.errors import InputError
from planner.plan.labels import matched
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario, Service
from planner.solving.lookahead import Solve, expect

SINCE_OLD = "data or settings since the old plan"
OF_NEW = "data or settings of the new plan"


@dataclass(frozen=True, slots=True)
class CostPart:
    """What the causes of one step added to the cost [USD/h], and the cost after it.

    Several causes share a step where no fleet exists between them.
    """

    causes: tuple[str, ...]
    added_usd_per_hour: float
    usd_per_hour: float


def split(
    old: Plan, new: Plan, solve: Solve, progress: Progress | None = None
) -> tuple[CostPart, ...]:
    """The parts of the difference in cost per hour; none when either plan has no cost.

    ``solve`` answers with today's catalogs and settings: what the old plan's question costs with them
    beyond the old plan comes first, what the new plan differs by from its own question comes last.
    """
    if old.totals is None or new.totals is None:
        return ()
    steps = list(_steps(old.scenario, new.scenario))
    expect(solve, (scenario for _, scenario in steps))
    costs: list[tuple[str, float | None]] = []
    for done, (kind, scenario) in enumerate(steps):
        if progress is not None:
            progress(done, len(steps), kind)
        costs.append((kind, _cost(scenario, solve)))
    costs.append((OF_NEW, new.totals.usd_per_hour))
    return tuple(_parts(old.totals.usd_per_hour, costs))


def _steps(old: Scenario, new: Scenario) -> Iterator[tuple[str, Scenario]]:
    """The old question as it is, then with one kind of input after another from the new one."""
    yield SINCE_OLD, old
    at = old
    for kind in KINDS:
        moved = _with_kind(at, new, kind)
        if moved != at:
            at = moved
            yield kind, at


def _with_kind(at: Scenario, new: Scenario, kind: str) -> Scenario:
    """``at`` with every input of that kind as ``new`` has it; services come and go with demand."""
    before, after = ({s.name: s for s in scenario.services} for scenario in (at, new))
    services: list[Service] = []
    for _, a, b in matched(before, after):
        if a is not None and b is not None:
            fields = (f for f in Service.model_fields if kind_of(f) == kind)
            services.append(a.model_copy(update={f: getattr(b, f) for f in fields}))
            continue
        there = b if kind == "demand" else a
        if there is not None:
            services.append(there)
    own = (f for f in Scenario.model_fields if kind_of(f, of_service=False) == kind)
    update = {f: getattr(new, f) for f in own}
    return at.model_copy(update={**update, "services": tuple(services)})


def _cost(scenario: Scenario, solve: Solve) -> float | None:
    try:
        totals = solve(scenario).totals
    except InputError:
        return None
    return totals.usd_per_hour if totals else None


def _parts(start_usd_per_hour: float, costs: list[tuple[str, float | None]]) -> Iterator[CostPart]:
    """Differences from step to step; a step without a fleet is reported with the one after it."""
    last, waiting = start_usd_per_hour, []
    for kind, cost in costs:
        waiting.append(kind)
        if cost is None:
            continue
        if cost != last or len(waiting) > 1 or kind not in (SINCE_OLD, OF_NEW):
            yield CostPart(tuple(dict.fromkeys(waiting)), cost - last, cost)
        last, waiting = cost, []
