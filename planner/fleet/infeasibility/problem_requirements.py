"""What a plain ``Problem`` requires that could be required less strictly: demand, stock, caps, resilience."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from planner.fleet.infeasibility.oracle import FeasibilityOutcome, Question, Requirement
from planner.fleet.program.problem import FleetLimits, NodeOffer, Problem, Resilience, Solution

MAX_SEPARATE_SERVICES = 6
MAX_SEPARATE_OFFERS = 6
UNLIMITED_GPUS = 10**6
UNLIMITED_USD_PER_HOUR = 1e9
UNLIMITED_KW = 1e6
UNLIMITED_CAP = 1e9
SMALLEST_SHARE = 1e-6
CENT_USD = 0.01


def outcome_of(problem: Problem, solution: Solution) -> FeasibilityOutcome:
    """The cost of a solution, the GPUs billed in the period with the most, and nodes by offer."""
    if not solution.has_fleet:
        return FeasibilityOutcome(solution.status)
    offers = {offer.key: offer for offer in problem.offers}
    billed = [Counter[str]() for _ in problem.periods]
    for (key, period), nodes in solution.billed.items():
        billed[period][offers[key].gpu] += nodes * offers[key].gpus_per_node
    most: dict[str, int] = {}
    for (key, _), count in solution.billed.items():
        most[key] = max(count, most.get(key, 0))
    largest = max(billed, key=Counter.total)
    return FeasibilityOutcome(
        solution.status, solution.objective_usd_per_hour, dict(+largest), most
    )


def problem_requirements(problem: Problem) -> tuple[Requirement[Problem], ...]:
    """Demand, stock, quotas, fleet limits and resilience of a plain problem."""
    return tuple(_of_problem(problem))


def _of_problem(problem: Problem) -> Iterator[Requirement[Problem]]:
    limits = problem.limits
    services = list(dict.fromkeys(d.service for d in problem.demands))
    groups = [[s] for s in services] if len(services) <= MAX_SEPARATE_SERVICES else [services]
    for group in groups:
        yield _demand(group)
    for gpu, count in sorted(limits.stock.items()):
        yield gpu_cap(f"limits.stock.{gpu}", count, _stock_editor(gpu), gpu)
    if limits.max_gpus is not None:
        yield gpu_cap("limits.max_gpus", limits.max_gpus, _limit_editor("max_gpus", int))
    if limits.max_usd_per_hour is not None:
        yield budget(limits.max_usd_per_hour, _limit_editor("max_usd_per_hour"))
    if limits.max_power_kw is not None:
        yield Requirement(
            name="power",
            current=limits.max_power_kw,
            loosest=UNLIMITED_KW,
            edit=_limit_editor("max_power_kw"),
            write=lambda v: f"{v:g} kW",
        )
    if limits.max_spot_share is not None:
        yield Requirement(
            name="share of spot among the GPUs in use",
            current=limits.max_spot_share,
            loosest=1.0,
            edit=_limit_editor("max_spot_share"),
            write=lambda v: f"{v:g}",
        )
    for cap in limits.caps:
        yield Requirement(
            name=cap.key,
            current=cap.limit,
            loosest=UNLIMITED_CAP,
            edit=_cap_editor(cap.key),
            write=lambda v: f"{v:g}",
        )
    yield from _quotas([o for o in problem.offers if o.max_nodes is not None])
    for field in dataclasses.fields(Resilience):
        lost = getattr(problem.resilience, field.name)
        if lost:
            yield Requirement(
                name=f"{field.name} lost without missing a target",
                current=lost,
                loosest=0,
                edit=_resilience_editor(field.name),
                write=lambda v: f"{v:.0f}",
                whole=True,
            )


def _quotas(offers: list[NodeOffer]) -> Iterator[Requirement[Problem]]:
    if len(offers) > MAX_SEPARATE_OFFERS:
        keys = frozenset(o.key for o in offers)
        yield switch(
            f"quotas of {len(offers)} offers",
            "as listed",
            "none",
            lambda problem: _with_quota(problem, keys, None),
        )
        return
    for offer in offers:
        yield Requirement(
            name=f"quota of {offer.key}",
            current=offer.max_nodes or 0,
            loosest=UNLIMITED_GPUS,
            edit=_quota_editor(offer.key),
            write=lambda v: f"{v:.0f} nodes",
            whole=True,
            enough=_nodes_used(offer.key),
        )


def _quota_editor(key: str) -> Callable[[Problem, float], Problem]:
    return lambda problem, nodes: _with_quota(problem, frozenset({key}), int(nodes))


def _nodes_used(key: str) -> Callable[[FeasibilityOutcome], float]:
    return lambda outcome: outcome.nodes.get(key, 0)


def _with_quota(problem: Problem, keys: frozenset[str], nodes: int | None) -> Problem:
    offers = tuple(
        dataclasses.replace(o, max_nodes=nodes) if o.key in keys else o for o in problem.offers
    )
    return dataclasses.replace(problem, offers=offers)


def _demand(services: list[str]) -> Requirement[Problem]:
    chosen = frozenset(services)

    def edit(problem: Problem, share: float) -> Problem:
        demands = tuple(
            dataclasses.replace(d, rates_qps=tuple(r * share for r in d.rates_qps))
            if d.service in chosen
            else d
            for d in problem.demands
        )
        return dataclasses.replace(problem, demands=demands)

    name = f"rate of {services[0]}" if len(services) == 1 else f"rates of {len(services)} services"
    return Requirement(
        name=name,
        current=1.0,
        loosest=SMALLEST_SHARE,
        edit=edit,
        write=lambda v: f"{100 * v:.3g} %",
    )


def gpu_cap(
    name: str,
    count: int,
    edit: Callable[[Question, float], Question],
    gpu: str | None = None,
) -> Requirement[Question]:
    """A cap on the GPUs billed, of one type or of all; what the cheapest fleet uses suffices."""
    return Requirement(
        name=name,
        current=count,
        loosest=UNLIMITED_GPUS,
        edit=edit,
        write=lambda v: f"{v:.0f} GPUs",
        whole=True,
        enough=lambda outcome: outcome.gpus if gpu is None else outcome.gpus_by_type.get(gpu, 0),
    )


def budget(
    usd_per_hour: float, edit: Callable[[Question, float], Question]
) -> Requirement[Question]:
    """A cap on the cost [USD/h]; the cost of the cheapest fleet is the least that suffices."""
    return Requirement(
        name="limits.max_cost_usd_per_hour",
        current=usd_per_hour,
        loosest=UNLIMITED_USD_PER_HOUR,
        edit=edit,
        write=lambda v: f"${v:,.2f}/h" if v >= CENT_USD else f"${v:g}/h",
        enough=lambda outcome: outcome.usd_per_hour and outcome.usd_per_hour * (1 + 1e-9),
    )


def switch(
    name: str,
    strict: str,
    loose: str,
    loosened: Callable[[Question], Question],
    *,
    widens: bool = False,
) -> Requirement[Question]:
    """A requirement that holds or not, with nothing in between."""
    return Requirement(
        name=name,
        current=0,
        loosest=1,
        edit=lambda question, value: loosened(question) if value else question,
        write=lambda value: loose if value else strict,
        whole=True,
        widens=widens,
    )


def _limit_editor(
    field: str, kind: Callable[[float], float] = float
) -> Callable[[Problem, float], Problem]:
    def edit(problem: Problem, value: float) -> Problem:
        # the field is a name: dataclasses.replace has no type for one that is known at run time alone
        change: dict[str, Any] = {field: kind(value)}
        limits = dataclasses.replace(problem.limits, **change)
        return dataclasses.replace(problem, limits=limits)

    return edit


def _stock_editor(gpu: str) -> Callable[[Problem, float], Problem]:
    def edit(problem: Problem, value: float) -> Problem:
        limits: FleetLimits = dataclasses.replace(
            problem.limits, stock={**problem.limits.stock, gpu: int(value)}
        )
        return dataclasses.replace(problem, limits=limits)

    return edit


def _cap_editor(key: str) -> Callable[[Problem, float], Problem]:
    def edit(problem: Problem, value: float) -> Problem:
        caps = tuple(
            dataclasses.replace(c, limit=value) if c.key == key else c for c in problem.limits.caps
        )
        return dataclasses.replace(problem, limits=dataclasses.replace(problem.limits, caps=caps))

    return edit


def _resilience_editor(field: str) -> Callable[[Problem, float], Problem]:
    def edit(problem: Problem, value: float) -> Problem:
        resilience = dataclasses.replace(problem.resilience, **{field: int(value)})
        return dataclasses.replace(problem, resilience=resilience)

    return edit
