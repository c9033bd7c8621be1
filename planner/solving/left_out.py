"""What the search left out, priced: other engines, formats that are not permitted, a mix of one kind more.

Each is the cheapest fleet with that alone, by the closed form and on a few GPU types: those chosen, the
next cheapest, and for fewer bits the cheapest by memory bandwidth. That is an upper bound of what a
full search would find, at a small part of its time.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from planner.catalog.store import Catalog
from planner.fleet.alternatives.narrower_choices import Rival
from planner.fleet.candidates.deployments import service_model
from planner.fleet.candidates.mixing import most_kinds
from planner.fleet.program.problem import Problem, Solution
from planner.fleet.program.solutions import ProvedSolutions
from planner.fleet.program.too_dear import no_dearer
from planner.fleet.sources import Sources
from planner.plan.alternatives import LeftOut
from planner.scenario.name_checks import NATIVE
from planner.scenario.schema import Scenario, Service
from planner.sizing.precision import is_below_native, weights_for
from planner.solving.build_problem import decide
from planner.solving.cheapest import cheapest_alone
from planner.solving.options import SolveOptions
from planner.solving.scenario_program import frame
from planner.solving.schedule import served_beside
from planner.solving.side_questions import SideQuestions
from planner.solving.stages import Decided

MAX_SERVICES = 3
GPU_TYPES = 3
BY_BANDWIDTH = 2
SAME = 0.005  # costs that differ by less, as a share, are compared with the plan's
SECONDS = 6.0  # for each: most are proved in a tenth of it, so that a busy machine prints the same
UNASKED = Solution("unknown", None, None, None)


def left_out(
    decided: Decided,
    rivals: Iterable[Rival],
    sources: Sources,
    questions: SideQuestions,
) -> tuple[LeftOut, ...]:
    """Price what the scenario's search leaves out; nothing where it has many services or pools alone.

    rivals: the narrower choices priced beside the plan, cheapest GPU types first. What ``questions`` leave
    is named with no cost, as what was not found in its time.
    """
    scenario, catalog, proved = decided.scenario, sources.catalog, sources.proved
    brief = dataclasses.replace(questions.effort, time_limit_s=SECONDS)
    if len(scenario.services) > MAX_SERVICES or any(_pools_alone(s) for s in scenario.services):
        return ()

    def price(variant: Scenario) -> Solution:
        few = cheapest_alone(variant, decided.offers, sources, brief, cost_alone=True)
        if few is not None:
            return few.solution
        size = sources.sizing(variant, decided.offers)
        problem = frame(variant, decided.offers, size, catalog, proved=proved).problem
        return decide(problem, brief, cost_alone=True, proved=proved)

    against = questions.ask(
        "what was searched, by the closed form",
        lambda: _by_closed_form(decided, brief, proved),
        None,
    )

    def found(name: str, variant: Scenario) -> LeftOut:
        solution = price(variant)
        return priced(name, solution, against, served_beside(solution, decided))

    others = [
        questions.ask(
            name,
            partial(found, name, variant),
            LeftOut(name=name, usd_per_hour=None, status="unknown"),
        )
        for name, variant in _variants(decided, rivals, catalog)
    ]
    return (*others, *_mixes(decided, catalog, questions, brief, proved))


def priced(
    name: str,
    solution: Solution,
    against: float | None = None,
    served_qps: Mapping[str, float] | None = None,
) -> LeftOut:
    """A solution under the name of what was left out: its cost, None where there is no fleet."""
    found = solution.has_fleet
    cost = solution.objective_usd_per_hour if found else None
    status = solution.status if _is_open(solution) else "optimal"
    return LeftOut(
        name=name,
        usd_per_hour=cost,
        against_usd_per_hour=against,
        status=status,
        served_qps=dict(served_qps or {}) if found else {},
    )


def _is_open(solution: Solution) -> bool:
    """Whether the time ran out before anything was proved."""
    return solution.status in ("feasible", "unknown")


def _by_closed_form(
    decided: Decided, brief: SolveOptions, proved: ProvedSolutions | None
) -> float | None:
    """The cheapest fleet of the search itself before any was simulated [USD/h].

    None where simulations changed its cost by little: the plan is then as good to compare with.
    """
    own, framed = decided.solution.objective_usd_per_hour, decided.framed.problem
    if own is None or decided.problem == framed:
        return None
    cost = decide(framed, brief, cost_alone=True, proved=proved).objective_usd_per_hour
    return None if cost is None or abs(cost - own) <= SAME * own else cost


def _pools_alone(service: Service) -> bool:
    pools = service.search.disaggregation
    return pools is not None and not pools.colocated


def _variants(
    decided: Decided, rivals: Iterable[Rival], catalog: Catalog
) -> Iterator[tuple[str, Scenario]]:
    """Each search that is left out, narrowed to a few GPU types."""
    scenario = decided.scenario
    types = _types(decided, rivals)
    searched = {catalog.engine(e).name for s in scenario.services for e in s.search.engines}
    for engine in catalog.planned_engines():
        if engine not in searched:
            yield engine, _with_search(scenario, types, {"engines": (engine,)})
    light = tuple(dict.fromkeys((*types, *_by_bandwidth(decided, catalog))))
    for name in _not_permitted(scenario, catalog):
        wider = _with_search(scenario, light, {"weights": (name,)}, permitted=True)
        yield f"{name} weights, if permitted", wider


def _with_search(
    scenario: Scenario,
    types: tuple[str, ...],
    change: Mapping[str, object],
    *,
    permitted: bool = False,
) -> Scenario:
    def changed(service: Service) -> Service:
        narrow = {"gpus": types, "disaggregation": None, **change}
        search = service.search.model_copy(update=narrow)
        lower = permitted or service.allow_lower_precision
        return service.model_copy(update={"search": search, "allow_lower_precision": lower})

    return scenario.model_copy(update={"services": tuple(map(changed, scenario.services))})


def _types(decided: Decided, rivals: Iterable[Rival]) -> tuple[str, ...]:
    """GPU types chosen, then those of the cheapest alternatives."""
    gpu_of = {k.key: k.gpu for k in decided.problem.kinds}
    chosen = dict.fromkeys(gpu_of[key] for key in decided.replicas())
    others = (r.name for r in rivals if r.name in gpu_of.values())
    return tuple(dict.fromkeys((*chosen, *others)))[: max(GPU_TYPES, len(chosen))]


def _by_bandwidth(decided: Decided, catalog: Catalog) -> tuple[str, ...]:
    """The GPU types that every service may use, cheapest by memory bandwidth first."""
    price: dict[str, float] = {}
    for offer in decided.offers:
        price[offer.gpu] = min(price.get(offer.gpu, offer.usd_per_gpu_hour), offer.usd_per_gpu_hour)
    allowed = [
        {catalog.gpu(name).name for name in s.search.gpus}
        for s in decided.scenario.services
        if s.search.gpus != "all"
    ]
    usable = (g for g in price if all(g in names for names in allowed))
    ranked = sorted(usable, key=lambda g: (price[g] / catalog.gpu(g).memory_bandwidth_gb_s, g))
    return tuple(ranked[:BY_BANDWIDTH])


def _not_permitted(scenario: Scenario, catalog: Catalog) -> tuple[str, ...]:
    """Weight formats that are searched and that no service's permission admits."""
    strict = [s for s in scenario.services if not s.allow_lower_precision]
    return tuple(
        dict.fromkeys(
            name
            for service in strict
            for name in service.search.weights
            if name != NATIVE and _is_below(service, name, catalog)
        )
    )


def _is_below(service: Service, name: str, catalog: Catalog) -> bool:
    model, lookup = service_model(service, catalog), catalog.weight_format
    return is_below_native(model, weights_for(model, name, lookup), lookup)


def _mixes(
    decided: Decided,
    catalog: Catalog,
    questions: SideQuestions,
    brief: SolveOptions,
    proved: ProvedSolutions | None,
) -> Iterator[LeftOut]:
    """One kind of replica more than a service may mix, where its scenario leaves that to the default."""
    scenario, problem = decided.scenario, decided.problem
    for service in scenario.services:
        most = most_kinds(scenario, service, lambda name: catalog.gpu(name).name)
        if service.max_deployments is not None:
            continue
        label = f"{service.name}: " if len(scenario.services) > 1 else ""
        name = f"{label}max_deployments {most + 1}"
        own = decided.solution.objective_usd_per_hour
        wider = _with_kinds(problem, service.name, most + 1)
        if own is not None:
            wider = no_dearer(wider, own)
        solution = questions.ask(
            name, partial(decide, wider, brief, cost_alone=True, proved=proved), UNASKED
        )
        cost = solution.objective_usd_per_hour
        cheaper = cost is not None and own is not None and cost < own * (1 - 1e-6)
        if cheaper or _is_open(solution):
            served = served_beside(solution, decided)
            yield priced(name, solution, served_qps=served)


def _with_kinds(problem: Problem, service: str, most: int) -> Problem:
    demands = tuple(
        dataclasses.replace(d, max_kinds=most) if d.service == service else d
        for d in problem.demands
    )
    return dataclasses.replace(problem, demands=demands)
