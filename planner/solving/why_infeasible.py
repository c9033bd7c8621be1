"""Why a scenario has no fleet: its requirements relaxed one by one, its candidates looked up again."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from planner.catalog.store import Catalog
from planner.fleet.infeasibility.explain import Explanation, explain
from planner.fleet.infeasibility.oracle import FeasibilityOutcome
from planner.fleet.infeasibility.problem_requirements import outcome_of
from planner.fleet.infeasibility.scenario_requirements import scenario_requirements
from planner.fleet.rejection_reason import RejectionReason
from planner.fleet.sized_before import SizedBefore
from planner.fleet.sources import Sources
from planner.scenario.schema import Scenario
from planner.solving.build_problem import decide
from planner.solving.options import Progress, SolveOptions
from planner.solving.scenario_program import frame
from planner.solving.side_questions import SideQuestions, silent
from planner.solving.stages import Framed

SHOWN = 3  # rejected deployments of a service
OUT_OF_TIME = (
    "The time for explaining it ran out: fewer may conflict, and nearer ways out may exist."
)
STOPPED = "Explaining it was stopped: fewer may conflict, and nearer ways out may exist."
TOO_LONG = (
    "State shorter prompt_tokens or output_tokens (max bounds a distribution), plan a model with a longer "
    "context, or, where its model card describes YaRN, a config.json with that rope_scaling."
)
MODEL_LEN = "Raise search.settings.max_model_len_tokens, or state shorter prompts and outputs."
UNEXPLAINED = Explanation("No fleet meets the scenario.", (), ())


def explained(
    framed: Framed,
    sources: Sources,
    effort: SolveOptions,
    progress: Progress = silent,
) -> Explanation:
    """The smallest conflict of an infeasible scenario, and the nearest way out of each requirement.

    Where the time of ``effort`` ends before all questions are asked, or Ctrl-C ends it, what is explained is
    still proved, but a smaller conflict and nearer ways out may exist; the summary says so.
    """
    catalog = sources.catalog
    before = SizedBefore(sources.catalog, sources.calibration, sources.known)
    questions = SideQuestions(effort, progress, "explaining why no fleet exists: ")

    def attempt(scenario: Scenario) -> FeasibilityOutcome:
        name = f"question {questions.asked + 1}"
        return questions.ask(name, lambda: solved(scenario), FeasibilityOutcome("unknown"))

    def solved(scenario: Scenario) -> FeasibilityOutcome:
        offers = sources.offers(scenario)
        problem = frame(scenario, offers, before.sizing(scenario, offers), catalog).problem
        return outcome_of(problem, decide(problem, effort, proved=sources.proved))

    unserved = [name for name, s in framed.candidates.items() if not s.candidates]
    requirements = scenario_requirements(
        framed.scenario, unserved, _other_terms(framed, catalog), lambda n: catalog.gpu(n).name
    )
    found = explain(
        framed.scenario,
        requirements,
        attempt,
        _misses(framed),
        _advice(framed),
        lambda: questions.is_over,
    )
    if not questions.left:
        return found
    summary = f"{found.summary} {STOPPED if questions.stopped else OUT_OF_TIME}"
    return replace(found, summary=summary, stopped=questions.stopped)


def _other_terms(framed: Framed, catalog: Catalog) -> set[str]:
    """Terms in which GPUs are offered that the search names and the admitted offers lack."""
    lacking = {
        r.label
        for found in framed.candidates.values()
        for r in found.rejections
        if r.reason == RejectionReason.NO_PRICE
    }
    listed = catalog.offers() if lacking and framed.scenario.prices.file is None else ()
    return {o.term.value for o in listed if o.gpu in lacking}


def _misses(framed: Framed) -> Iterator[str]:
    """Why single deployments were rejected, nearest first; what all of a service share is said once."""
    for name, found in framed.candidates.items():
        service = f"{name}: " if len(framed.candidates) > 1 else ""
        nearest = sorted(found.rejections, key=lambda r: (r.is_floor, r.miss or math.inf))
        if not found.candidates and len({(r.reason, r.detail) for r in nearest}) == 1:
            yield f"{service}{nearest[0].reason} ({nearest[0].detail})"
        elif not found.candidates and len({r.reason for r in nearest}) == 1:
            first = nearest[0]
            yield f"{service}{first.reason}, in every deployment; nearest is {first.label} ({first.detail})"
        else:
            yield from (f"{r.label}: {r.reason} ({r.detail})" for r in nearest[:SHOWN])


def _advice(framed: Framed) -> Iterator[str]:
    """What to change where a service has no deployment left, for reasons that no requirement is about."""
    for service in framed.scenario.services:
        found = framed.candidates[service.name]
        reasons = set() if found.candidates else {r.reason for r in found.rejections}
        pinned = service.search.settings.max_model_len_tokens is not None
        if reasons == {RejectionReason.TOO_LONG}:
            yield MODEL_LEN if pinned else TOO_LONG
        elif reasons == {RejectionReason.NO_DRAFT}:
            yield "Add none to search.speculative, or name a draft model of your own."
        elif RejectionReason.UNSUPPORTED in reasons:
            yield "search.engines, search.weights and search.kv_cache say what may be launched."
