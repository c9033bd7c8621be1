"""The proof of a plan's cost: its program framed and solved again, and no cheaper fleet holds.

The program is solved with every candidate at its closed-form capacity, or above it where the plan's own
replicas were confirmed in the simulator. What the simulator took from other candidates is not taken on
trust: each cheaper fleet is simulated here, and only where it misses a target are its capacities lowered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from planner.fleet.program.capacity_factors import scaled
from planner.fleet.program.problem import Problem, Solution
from planner.plan.schema import Plan
from planner.solving.assured_simulation import share_held
from planner.solving.build_problem import decide
from planner.solving.options import SolveOptions
from planner.solving.request_streams import streams_of
from planner.solving.simulation_loop import MARGIN
from planner.solving.stages import Decided
from planner.verification.check import Check, Verdict, at_least, at_most, number_text, skipped

FAMILY = "certificate"
EXACT = 1e-6
MOST_ROUNDS = 8


def proof_checks(
    plan: Plan, decided: Decided, free: Problem, effort: SolveOptions
) -> Iterator[Check]:
    """The plan's bound and status against its program solved again.

    decided: the plan's decision; free: the program with closed-form capacities.
    """
    objective, bound = plan.objective_usd_per_hour, plan.bound_usd_per_hour
    if objective is None or bound is None:
        return
    exact = replace(effort, gap=0.0)
    problem = _with_own_capacities(plan, decided.problem, free)
    tolerance = max(effort.gap, EXACT)
    for _ in range(MOST_ROUNDS):
        again = decide(problem, exact)
        cost = again.objective_usd_per_hour
        if cost is None:
            found = f"the program is {again.status}"
            verdict = Verdict.FAILS if again.status == "infeasible" else Verdict.SKIPPED
            yield Check(FAMILY, "a fleet exists, solved again", verdict, found)
            return
        if plan.verification.method == "none" or cost >= bound * (1 - EXACT):
            break
        lowered = _lowered(decided, problem, again, plan.provenance.seed)
        if lowered is None:
            break
        problem = scaled(problem, lowered)
    else:
        reason = f"cheaper fleets missed a target in {MOST_ROUNDS} rounds of simulation"
        yield skipped(FAMILY, "the bound, solved again", reason)
        return
    if _unserved(again) < _unserved(decided.solution) * (1 - EXACT) - EXACT:
        yield at_most(
            FAMILY,
            "no fleet serves more [requests/s unserved]",
            _unserved(decided.solution),
            _unserved(again),
        )
    yield at_most(FAMILY, "the bound is at most the least cost, solved again", bound, cost)
    if plan.status != "optimal":
        return
    statement = "no fleet is cheaper, solved again [USD/h]"
    if again.status == "optimal":
        yield at_most(FAMILY, statement, objective, cost / max(1 - tolerance, EXACT))
        yield at_least(FAMILY, "the fleet costs what is needed at least [USD/h]", objective, cost)
    elif objective > cost * (1 + tolerance):
        yield Check(
            FAMILY, statement, Verdict.FAILS, number_text(objective), f"<= {number_text(cost)}"
        )
    else:
        proved = number_text(again.bound_usd_per_hour)
        yield skipped(FAMILY, statement, f"a bound of {proved} USD/h was proved in the time given")


def _unserved(solution: Solution) -> float:
    return math.fsum(solution.unserved_qps.values())


def _with_own_capacities(plan: Plan, counted: Problem, free: Problem) -> Problem:
    """The free program, with the plan's own replicas as the plan counts them."""
    own = {g.key(s.name) for s in plan.services for g in s.replica_groups}
    known = {k.key: k for k in counted.kinds}
    return replace(
        free,
        kinds=tuple(known[k.key] if k.key in own and k.key in known else k for k in free.kinds),
    )


def _lowered(
    decided: Decided, problem: Problem, solution: Solution, seed: int
) -> dict[str, float] | None:
    """Factors on the capacities of a cheaper fleet that misses a target; None where every one holds."""
    factors: dict[str, float] = {}
    for stream in streams_of(replace(decided, problem=problem, solution=solution)):
        placed = tuple(stream.placed.values())
        share = share_held(stream.service, placed, seed=seed, lengths=stream.lengths).share
        if share < 1:
            factors |= {
                k: min(1.0, MARGIN * share * load / stream.placed[k].replicas)
                for k, load in stream.load.items()
            }
    return factors or None
