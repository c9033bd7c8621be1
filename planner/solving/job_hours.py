"""The hours in which batch jobs are worked on, decided before the fleet is.

A job's work may lie anywhere in its window. The program is solved once with every job's rate movable over
the periods of each window (``Demand.windows``), start-up times left out: replicas then stand where the
fleet of the other services is idle, or where hours are cheap. What those replicas can do is used from
the start of the window on, each hour in full, until the work is done. Hours that cost the same come out in
any order, with nodes started over and over; so the same hours are also put next to each other, the largest
first and the largest last. A hundred nodes for an hour cost what ten do for ten, so the work is also
levelled: one number of GPUs, whole nodes, from the start of the window until it is done. Start-up counts
again when these are compared, and with the same work spread evenly over its window: what costs no more is
kept in the order even, level, largest first, largest last. The rates that come out are demand like any
other: the fleet is decided, checked and verified for them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.fleet.candidates.candidate import CandidateSet
from planner.fleet.periods import DAY, Calendar, billed_hours
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.scenario.job import Job
from planner.scenario.schema import Scenario
from planner.solving.build_problem import calendar_for, decide, problem_of, start_up_of
from planner.solving.options import SolveOptions

EFFORT = SolveOptions(time_limit_s=20.0)  # for the hours of all jobs; what is best by then is taken
SAME = 1e-3  # relative: costs that differ by less are the same; a smaller fleet over more hours is kept
LARGEST_FIRST, LARGEST_LAST, AS_FOUND = 1, -1, 0
ORDERS = (LARGEST_FIRST, LARGEST_LAST, AS_FOUND)
SPARE = 1e-6  # of the work: less than this is the solver's tolerance

Sets = Mapping[str, CandidateSet]


def framed_problem(
    scenario: Scenario,
    sets: Sets,
    offers: tuple[Offer, ...],
    catalog: Catalog,
    proved: ProvedSolutions | None = None,
) -> tuple[Problem, Calendar]:
    """The program of a scenario and its periods, with the work of its jobs in the hours that suit.

    ``proved``: programs of the same question that were solved before; the one returned is among them then.
    """
    calendar = calendar_for(scenario, catalog)
    problem = problem_of(scenario, sets, offers, catalog, calendar)
    jobs = {s.name: s.job for s in scenario.services if s.job is not None}
    if not jobs or not problem.kinds:
        return problem, calendar
    solution = decide(_movable(problem, jobs), EFFORT, proved=proved)
    if not solution.has_fleet:
        return problem, calendar
    start_up_hours = start_up_of(scenario, catalog)
    options = [{name: tuple(calendar.sizing_qps[name]) for name in jobs}]
    windows = {name: windows_of(job, len(calendar.hours)) for name, job in jobs.items()}
    fleets = {name: _gpus_and_held(problem, solution, name) for name in jobs}
    node = _gpus_per_node(problem, solution)
    # where stock is short the work that is left is what the movable program left, in all of its hours
    levels = (
        (_one_after_another(calendar.sizing_qps, windows, fleets, node),)
        if problem.serve_all
        else ()
    )
    orders = (
        {name: in_order(windows[name], *fleets[name], order) for name in jobs} for order in ORDERS
    )
    for held in (*levels, *orders):
        rates = {
            name: earliest(calendar.sizing_qps[name], windows[name], held[name]) for name in jobs
        }
        if rates not in options:
            options.append(rates)
    plans = [_with_rates(calendar, r, start_up_hours) for r in options]
    problems = [problem_of(scenario, sets, offers, catalog, plan) for plan in plans]
    kept = first_of_the_cheapest(problems, proved)
    return problems[kept], plans[kept]


def first_of_the_cheapest(problems: Sequence[Problem], proved: ProvedSolutions | None) -> int:
    """The first problem that costs no more than the cheapest.

    The last ones, whose hours were found to be cheap, come first; the others only need to cost as little, and
    most are seen to be dearer at a small part of the time their own optimum takes.
    """
    usd = [math.inf] * len(problems)
    for i in reversed(range(len(problems))):
        problem, most = problems[i], min(usd) * (1 + 2 * SAME)
        if problem.serve_all and most < math.inf:
            limits = replace(problem.limits, mean_usd_per_hour=most)
            problem = replace(problem, limits=limits)
        usd[i] = _usd(decide(problem, EFFORT, cost_alone=True, proved=proved))
    return next(i for i, cost in enumerate(usd) if cost <= min(usd) * (1 + SAME))


def _usd(solution: Solution) -> float:
    """What a solution costs [USD/h]; infinite where there is none."""
    found = solution.objective_usd_per_hour
    return math.inf if found is None else found


def windows_of(job: Job, periods: int) -> tuple[tuple[int, ...], ...]:
    """The periods of each day's window, in the order of time; days follow themselves."""
    return tuple(tuple(first + h for h in job.hours) for first in range(0, periods, DAY))


def earliest(
    even_qps: Sequence[float], windows: Sequence[Sequence[int]], held_qps: Sequence[float]
) -> tuple[float, ...]:
    """The work of each window in its first hours, as much in each as is held; what is over, evenly.

    even_qps: the work as an even rate over its window [requests/s]; held_qps: what the replicas of each
    period can do [requests/s]. Hours of a window are equally long, so that rates add up to the work.
    """
    rates = [0.0] * len(even_qps)
    for window in windows:
        work = left = sum(even_qps[t] for t in window)
        for t in window:
            rates[t] = min(held_qps[t], left)
            left -= rates[t]
        if left > SPARE * work:
            for t in window:
                rates[t] += left / len(window)
    return tuple(rates)


def in_order(
    windows: Sequence[Sequence[int]],
    gpus: Sequence[float],
    others: Sequence[float],
    each_qps: float,
    order: int,
) -> tuple[float, ...]:
    """What a job's replicas can do in each period with the fleets of a window's hours in another order.

    gpus: in use in each period, others: of them for other services; each_qps: of one GPU of the job
    [requests/s]. order: 1 puts the largest fleets first, -1 last, 0 leaves them.
    """
    moved = list(gpus)
    for window in windows if order else ():
        for t, number in zip(
            window, sorted((gpus[t] for t in window), reverse=order > 0), strict=True
        ):
            moved[t] = number
    return tuple(max(0.0, g - o) * each_qps for g, o in zip(moved, others, strict=True))


def _one_after_another(
    even_qps: Mapping[str, Sequence[float]],
    windows: Mapping[str, Sequence[Sequence[int]]],
    fleets: Mapping[str, tuple[Sequence[float], Sequence[float], float]],
    node: int,
) -> dict[str, tuple[float, ...]]:
    """What the replicas of each job can do in each period, levelled in turn: most GPU-hours first.

    fleets: as of ``_gpus_and_held``. A job's GPUs are no longer free for those after it.
    """
    own = [np.subtract(gpus, others) for gpus, others, _ in fleets.values()]
    gpus = np.max([gpus for gpus, _, _ in fleets.values()], axis=0)
    taken = gpus - np.sum(own, axis=0)
    held: dict[str, tuple[float, ...]] = {}
    work = {name: sum(even_qps[name]) / max(each, SPARE) for name, (_, _, each) in fleets.items()}
    for name in sorted(work, key=lambda name: (-work[name], name)):
        each = fleets[name][2]
        held[name] = level(even_qps[name], windows[name], taken.tolist(), each, node)
        used = earliest(even_qps[name], windows[name], held[name])
        taken = taken + np.array(used) / max(each, SPARE)
    return held


def level(
    even_qps: Sequence[float],
    windows: Sequence[Sequence[int]],
    others: Sequence[float],
    each_qps: float,
    node: int,
) -> tuple[float, ...]:
    """What a job's replicas can do in each period with one number of GPUs in all of a window's hours.

    The number is of whole nodes, other services' GPUs among them: of those that finish the work in its
    window the one that takes the fewest GPU-hours, and the smallest of these. others, each_qps: as in
    ``in_order``; node: GPUs of one.
    """
    held = [0.0] * len(even_qps)
    for window in windows if each_qps > 0 else ():
        work, best = sum(even_qps[t] for t in window), (math.inf, 0)
        most = math.ceil((work / each_qps + max(others[t] for t in window)) / node)
        for total in range(node, most * node + 1, node):
            taken, left = 0.0, work
            for t in window:
                if left <= SPARE * work:
                    break
                free = max(0.0, total - others[t])
                needed = node * math.ceil(left / each_qps / node - SPARE)
                taken, left = taken + min(free, needed), left - free * each_qps
            if left <= SPARE * work:
                best = min(best, (round(taken, 6), total))
        for t in window:
            held[t] = max(0.0, best[1] - others[t]) * each_qps
    return tuple(held)


def _gpus_per_node(problem: Problem, solution: Solution) -> int:
    """GPUs of the largest node that a solution pays for; at least those of its largest replica."""
    nodes = {key for (key, _), number in solution.billed.items() if number}
    largest = max((o.gpus_per_node for o in problem.offers if o.key in nodes), default=1)
    kinds = {key for (key, _), number in solution.replicas.items() if number}
    return max(largest, *(k.gpus for k in problem.kinds if k.key in kinds), 1)


def _movable(problem: Problem, jobs: Mapping[str, Job]) -> Problem:
    """The program with the work of every job movable within its windows."""
    periods = len(problem.period_hours)
    return replace(
        problem,
        demands=tuple(
            replace(d, windows=windows_of(jobs[d.service], periods)) if d.service in jobs else d
            for d in problem.demands
        ),
    )


def _gpus_and_held(
    problem: Problem, solution: Solution, service: str
) -> tuple[tuple[float, ...], tuple[float, ...], float]:
    """GPUs in use in each period, those of other services, and what one of a job's does [requests/s]."""
    gpus, own, held = (np.zeros(len(problem.period_hours)) for _ in range(3))
    for kind in problem.kinds:
        capacity = kind.capacity_qps.get(service, 0.0)
        for t in problem.periods:
            replicas = solution.replicas.get((kind.key, t), 0)
            gpus[t] += replicas * kind.gpus
            own[t] += replicas * kind.gpus if capacity else 0.0
            held[t] += replicas * capacity
    each = float(held.sum() / own.sum()) if own.sum() else 0.0
    return tuple(gpus.tolist()), tuple((gpus - own).tolist()), each


def _with_rates(
    calendar: Calendar, rates: Mapping[str, tuple[float, ...]], start_up_hours: float
) -> Calendar:
    """The calendar with the jobs' rates in it; stages serve on average what they grow to less."""
    sizing = {**calendar.sizing_qps, **rates}
    mean = {
        name: tuple(
            rate * whole / even if even > 0 else 0.0
            for rate, whole, even in zip(
                of_job, calendar.mean_qps[name], calendar.sizing_qps[name], strict=True
            )
        )
        for name, of_job in rates.items()
    }
    return replace(
        calendar,
        sizing_qps=sizing,
        mean_qps={**calendar.mean_qps, **mean},
        billed_hours=billed_hours(calendar.hours, sizing, start_up_hours),
    )
