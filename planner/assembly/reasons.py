"""Why this and not that: alternatives, what was rejected, why nothing works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from planner.fleet.alternatives.narrower_choices import Restriction, Rival
from planner.fleet.candidates.candidate import Rejection
from planner.fleet.program.problem import Solution
from planner.fleet.rejection_reason import RejectionReason
from planner.plan.alternatives import Alternative, Infeasibility, RejectionGroup, Relaxation
from planner.plan.schema import Totals
from planner.solving.schedule import served_beside
from planner.solving.stages import Decided, InfeasibleScenario
from planner.units import counted

EXAMPLES = 3
CENT = 0.01  # of prices in a sentence [USD/h]
ROUNDING = 1e-6  # sums of floats that differ by less are equal
EQUAL = 0.005  # prices per GPU that differ by less are reported as the same


def alternative_of(rival: Rival, decided: Decided, totals: Totals | None) -> Alternative:
    """What the narrower choice costs, and the plainest reason it lost."""
    solution = rival.solution
    billed = solution.most_gpus(rival.problem)
    cost = solution.objective_usd_per_hour or 0.0
    return Alternative(
        label=decided.label_of(solution) or "no fleet",
        gpus=billed,
        usd_per_hour=cost,
        reason=_why_it_lost(rival, decided, billed, cost, totals),
        restricted_to=rival.name,
        status=solution.status,
        served_qps=served_beside(solution, decided),
    )


def serves_as_much(rival: Rival, decided: Decided) -> bool:
    """Whether the narrower choice carries all that the plan carries (it may not when stock is short)."""
    return _carried(rival.solution) >= _carried(decided.solution) * (1 - ROUNDING)


def _carried(solution: Solution) -> float:
    """Requests/s over all demands, summed over periods."""
    return sum(solution.routed_qps.values())


def _why_it_lost(
    rival: Rival, decided: Decided, gpus: int, cost: float, totals: Totals | None
) -> str:
    if totals is None:
        return "no plan to compare with"
    if not serves_as_much(rival, decided):
        part = _carried(rival.solution) / _carried(decided.solution)
        return f"serves only {100 * part:.0f} % of the requests that the plan serves"
    if rival.name is Restriction.UNPROTECTED:
        price = totals.usd_per_hour - cost
        more = f"${price:,.2f}/h" if price >= CENT / 2 else "nothing more"
        return f"survives no failure; surviving the losses the scenario names costs {more}"
    if rival.name is Restriction.NATIVE:
        return "the checkpoint's own precision; quality is not modelled"
    if cost <= totals.usd_per_hour * (1 + ROUNDING):
        return "costs the same; the tie went to fewer GPUs, then to the lower TPOT"
    if not totals.usd_per_hour:
        return f"costs ${cost:,.2f}/h; the plan's GPUs run already, at no cost per hour"
    rented = totals.gpus_rented
    of_plan = f"{rented} {'does' if rented == 1 else 'do'}"
    ratio = (cost / gpus) / (totals.usd_per_hour / rented)
    if abs(ratio - 1) < EQUAL:
        return f"the same price per GPU, but it takes {gpus} where {of_plan}"
    if gpus > rented and ratio > 1:
        return f"needs {gpus} GPUs where {of_plan}, and each costs more"
    if gpus > rented:
        return f"cheaper per GPU, but it takes {gpus} where {of_plan}"
    fewer = "as many GPUs" if gpus == rented else f"only {counted(gpus, 'GPU')}"
    return f"{fewer}, but each costs {_times(ratio)}"


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times as much" if ratio >= 1.5 else f"{100 * (ratio - 1):.0f} % more"


def rejection_groups(decided: Decided) -> Iterator[RejectionGroup]:
    """Rejections by reason, the most frequent first, each with its nearest miss."""
    by_reason: dict[RejectionReason, list[Rejection]] = defaultdict(list)
    for candidates in decided.candidates.values():
        for rejection in candidates.rejections:
            by_reason[rejection.reason].append(rejection)
    for reason, group in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        ranked = sorted(group, key=lambda r: (r.miss is None, r.is_floor, r.miss or 0.0, r.label))
        yield RejectionGroup(
            reason=reason,
            count=len(group),
            nearest_miss=f"{ranked[0].label}: {ranked[0].detail}",
            examples=tuple(r.label for r in ranked[:EXAMPLES]),
        )


def infeasibility_of(scenario: InfeasibleScenario) -> Infeasibility:
    """The explanation in the plan's shape."""
    why, decided = scenario.explanation, scenario.decided
    nearest = _nearest_miss(decided, on_latency=why.on_latency)
    stated = ""
    if nearest is not None and nearest.detail not in why.summary:
        stated = f" Nearest miss: {nearest.label} ({nearest.detail})."
    return Infeasibility(
        summary=" ".join((*without_price(decided), why.summary)) + stated,
        conflict=why.conflict,
        relaxations=tuple(
            Relaxation(
                requirement=r.requirement,
                current=r.current,
                relaxed=r.relaxed,
                usd_per_hour=r.usd_per_hour,
                gpus=r.gpus,
            )
            for r in why.relaxations
        ),
    )


def without_price(decided: Decided) -> tuple[str, ...]:
    """One sentence for each GPU type that the search names and that has no price."""
    details = (
        r.detail
        for candidates in decided.candidates.values()
        for r in candidates.rejections
        if r.reason == RejectionReason.NO_PRICE
    )
    return tuple(f"{detail[0].upper()}{detail[1:]}." for detail in dict.fromkeys(details))


def _nearest_miss(decided: Decided, *, on_latency: bool) -> Rejection | None:
    """The rejection that came closest among services without a candidate.

    Where a latency target is in conflict, only what misses a target counts; predictions come before
    physical floors, which are no measure of how near a deployment is.
    """
    missed = (
        r
        for s in decided.candidates.values()
        if not s.candidates
        for r in s.rejections
        if r.miss is not None and (not on_latency or r.reason == RejectionReason.TOO_SLOW)
    )
    return min(missed, key=lambda r: (r.is_floor, r.miss, r.label), default=None)
