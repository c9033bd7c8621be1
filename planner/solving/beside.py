"""The fleets priced beside the plan: each other GPU type, without a margin, of all offers, other searches.

Each is a program of its own. Together they have a time (``SolveOptions.side_s``); what it does not suffice
for is named in ``FleetsBeside.not_priced``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from planner.fleet.alternatives.narrower_choices import (
    Restriction,
    Rival,
    rival,
    rival_gpus,
    unprotected,
)
from planner.fleet.candidates.feasibility import lower_precision
from planner.fleet.program.problem import Problem, ReplicaKind, Solution
from planner.fleet.sources import Sources
from planner.solving.build_problem import decide
from planner.solving.decision_rows import effort_of_rows, of_all_offers, without_margin
from planner.solving.left_out import left_out
from planner.solving.options import Progress, SolveOptions
from planner.solving.side_questions import SideQuestions, silent
from planner.solving.stages import Decided, FleetsBeside

RIVAL_SECONDS = 5.0  # for each alternative: most are proved in far less
WITHOUT_MARGIN = "the same without a margin"
ALL_OFFERS = "the cheapest of all offers"

Solve = Callable[[Problem], Solution]


def fleets_beside(
    decided: Decided,
    sources: Sources,
    effort: SolveOptions,
    progress: Progress = silent,
) -> FleetsBeside:
    """Price the fleets beside the plan, in the time that the effort has for all of them.

    Raises InputError for a price file that does not exist.
    """
    brief = effort.beside()
    questions = SideQuestions(brief, progress, "pricing the alternatives: ")
    rivals, native = rivals_of(decided, sources, questions)
    equal = effort_of_rows(decided, brief)
    return FleetsBeside(
        rivals=rivals,
        native=native,
        without_margin=questions.ask(
            WITHOUT_MARGIN,
            lambda: without_margin(decided, sources, equal),
            None,
        ),
        all_offers=questions.ask(
            ALL_OFFERS,
            lambda: of_all_offers(decided, sources, equal),
            None,
        ),
        left_out=left_out(decided, rivals, sources, questions),
        not_priced=tuple(questions.left),
        stopped=questions.stopped,
    )


def rivals_of(
    decided: Decided, sources: Sources, questions: SideQuestions
) -> tuple[tuple[Rival, ...], Rival | None]:
    """Price what was not chosen: every other GPU type, native precision, prompts and answers the other way.

    A rival that is not proved in a few seconds is shown at the best cost found; one without any is left.
    """
    effort = questions.effort
    brief = replace(effort, time_limit_s=min(effort.time_limit_s, RIVAL_SECONDS))

    def asked(name: str, find: Callable[[Solve], Rival | None]) -> Rival | None:
        found = questions.ask(name, lambda: find(again), None)
        if unknown:
            unknown.clear()
            questions.left.append(name)
        return found

    unknown: list[Solution] = []

    def again(problem: Problem) -> Solution:
        solution = decide(problem, brief, proved=sources.proved)
        if solution.status == "unknown":
            unknown.append(solution)
        return solution

    def narrowed(name: Restriction, keep: Callable[[ReplicaKind], bool]) -> Rival | None:
        return asked(name, lambda solve: rival(decided.problem, name, keep, solve))

    def is_native(kind: ReplicaKind) -> bool:
        return not lower_precision(decided.by_key[kind.key].deployment, sources.catalog)

    chosen = decided.replicas()
    gpus = {k.gpu for k in decided.problem.kinds if k.key in chosen}
    only = gpus if len(gpus) == 1 else set()
    if all(is_native(k) for k in decided.problem.kinds if k.key in chosen):
        native = None
    else:
        native = narrowed(Restriction.NATIVE, is_native)
    bare = asked(Restriction.UNPROTECTED, lambda solve: unprotected(decided.problem, solve))
    in_units = {k.key for k in decided.problem.kinds if decided.by_key[k.key].prefill}
    pools = None
    if any(key in in_units for key in chosen):
        pools = narrowed(Restriction.TOGETHER, lambda k: k.key not in in_units)
    elif in_units:
        pools = narrowed(Restriction.APART, lambda k: k.key in in_units)
    others = rival_gpus(decided.problem, asked, count=effort.rivals, without=only)
    first = tuple(r for r in (bare, pools) if r)
    apart = pools.solution.most_replicas() if pools and pools.name is Restriction.APART else None
    news = tuple(r for r in others if r.solution.most_replicas() != apart)
    return (*first, *news), native
