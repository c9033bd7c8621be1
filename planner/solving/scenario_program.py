"""A scenario framed as a program: its candidates sized, its periods laid out, the hours of its jobs found."""

from __future__ import annotations

from collections.abc import Callable

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.periods import Calendar
from planner.fleet.program.solutions import ProvedSolutions
from planner.scenario.schema import Scenario, Service
from planner.solving.build_problem import problem_of
from planner.solving.job_hours import framed_problem
from planner.solving.stages import Framed

Size = Callable[[Service], CandidateSet]


def frame(
    scenario: Scenario,
    offers: tuple[Offer, ...],
    size: Size,
    catalog: Catalog,
    calendar: Calendar | None = None,
    proved: ProvedSolutions | None = None,
) -> Framed:
    """Size the candidates of every service with ``size``, and write the program of the scenario.

    ``calendar``: the periods, where they and the hours of jobs are known from a like scenario. ``proved``:
    programs of the same question that were solved before.
    """
    sets = {s.name: size(s) for s in scenario.services}
    if calendar is not None:
        problem = problem_of(scenario, sets, offers, catalog, calendar)
    else:
        problem, calendar = framed_problem(scenario, sets, offers, catalog, proved)
    return Framed(scenario, offers, sets, problem, calendar)
