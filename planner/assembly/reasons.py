"""Why this and not that: alternatives, what was ruled out, why nothing works."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from planner.fleet.candidates import TOO_SLOW, Rejection
from planner.fleet.rivals import Rival
from planner.plan import Alternative, Infeasibility, RejectionGroup, Relaxation, Totals
from planner.solved import Solved

EXAMPLES = 3


def alternative_of(rival: Rival, solved: Solved, totals: Totals | None) -> Alternative:
    """What the narrower choice costs, and the plainest reason it lost."""
    problem, solution = rival.problem, rival.solution
    gpus = {o.key: o.gpus_per_node for o in problem.offers}
    billed = sum(n * gpus[key] for (key, _), n in solution.billed.items())
    cost = solution.objective_usd_per_hour or 0.0
    groups = [
        f"{n}x ({solved.by_key[kind].deployment.label})"
        for (kind, _), n in sorted(solution.replicas.items())
        if n
    ]
    return Alternative(
        label="; ".join(groups),
        gpus=billed,
        usd_per_hour=cost,
        reason=_why_it_lost(rival, billed, cost, totals),
        detail={"restricted_to": rival.name, "status": solution.status},
    )


def _why_it_lost(rival: Rival, gpus: int, cost: float, totals: Totals | None) -> str:
    if totals is None:
        return "no plan to compare with"
    each, own = cost / gpus, totals.usd_per_hour / totals.gpus_rented
    if rival.name == "native precision":
        return "the checkpoint's own precision; quality is not modelled"
    if cost <= totals.usd_per_hour * (1 + 1e-9):
        return "costs the same; the tie went to fewer GPUs, then to the lower TPOT"
    if gpus > totals.gpus_rented and each >= own:
        return f"needs {gpus} GPUs where {totals.gpus_rented} do, and each costs more"
    if gpus > totals.gpus_rented:
        return f"cheaper per GPU, but it takes {gpus} where {totals.gpus_rented} do"
    return f"fewer or as many GPUs, but each costs {each / own:.1f} times as much"


def rejection_groups(solved: Solved) -> Iterator[RejectionGroup]:
    """Rejections by reason, the most frequent first, each with its nearest miss."""
    by_reason: dict[str, list[Rejection]] = defaultdict(list)
    for candidates in solved.candidates.values():
        for rejection in candidates.rejections:
            by_reason[rejection.reason].append(rejection)
    for reason, group in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        ranked = sorted(group, key=lambda r: (r.miss is None, r.miss or 0.0, r.label))
        yield RejectionGroup(
            reason=reason,
            count=len(group),
            nearest_miss=f"{ranked[0].label}: {ranked[0].detail}",
            examples=tuple(r.label for r in ranked[:EXAMPLES]),
        )


def infeasibility_of(solved: Solved) -> Infeasibility | None:
    """The explanation in the plan's shape; None when there is a fleet."""
    why = solved.explanation
    if why is None:
        return None
    nearest = _nearest_miss(solved, why.conflict)
    told = f" Nearest miss: {nearest.label} ({nearest.detail})." if nearest else ""
    return Infeasibility(
        summary=why.summary + told,
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


def _nearest_miss(solved: Solved, conflict: Iterable[str]) -> Rejection | None:
    """The rejection that came closest among services without a candidate.

    Where a latency target is in conflict, only what misses a target counts.
    """
    keys = {t.key for s in solved.scenario.services for t in s.slo.targets}
    on_time = not any(key in text for text in conflict for key in keys)
    missed = (
        r
        for s in solved.candidates.values()
        if not s.candidates
        for r in s.rejections
        if r.miss is not None and (on_time or r.reason == TOO_SLOW)
    )
    return min(missed, key=lambda r: (r.miss, r.label), default=None)
