"""What a scenario asks that could be asked less strictly, each in its own words.

A relaxed target or a wider search changes which deployments qualify and how much they carry, so
these requirements edit the scenario itself: solving the edited one recomputes its candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from planner.fleet.infeasible import Requirement
from planner.fleet.requirements import (
    MAX_SEPARATE_SERVICES,
    SMALLEST_SHARE,
    budget,
    gpu_cap,
    switch,
)
from planner.scenario import Limits, Scenario, Search, Service, Target

NO_TARGET_S = 3600.0


def scenario_requirements(
    scenario: Scenario, unserved: Collection[str] = ()
) -> tuple[Requirement[Scenario], ...]:
    """Rates, targets, limits, prices and search of a scenario, as its file names them.

    ``unserved``: services that no deployment can serve as asked. In a fleet of many services theirs
    are the targets listed, and the rates of all others are taken together.
    """
    return tuple(_of_scenario(scenario, unserved))


def _of_scenario(scenario: Scenario, unserved: Collection[str]) -> Iterator[Requirement[Scenario]]:
    few = len(scenario.services) <= MAX_SEPARATE_SERVICES
    others: list[int] = []
    listed = 0
    for i, service in enumerate(scenario.services):
        if not few and (service.name not in unserved or listed >= MAX_SEPARATE_SERVICES):
            others.append(i)
            continue
        listed += 1
        prefix = "" if len(scenario.services) == 1 else f"{service.name}: "
        yield _rate([i], f"{prefix}rate", service.rate)
        for target in service.slo.targets:
            yield _target([i], f"{prefix}{target.key}", target)
    if others:
        yield _rate(
            others, f"rate of {'the other' if listed else 'all'} {len(others)} services", None
        )
    yield from _of_limits(scenario.limits)
    yield from _of_search(scenario)


def _rate(chosen: list[int], name: str, rate_qps: float | None) -> Requirement[Scenario]:
    def edit(scenario: Scenario, share: float) -> Scenario:
        return _edit_services(scenario, chosen, lambda s: {"rate": s.rate * share})

    def write(share: float) -> str:
        return f"{100 * share:.3g} %" if rate_qps is None else f"{rate_qps * share:.3g} requests/s"

    return Requirement(name=name, current=1.0, loosest=SMALLEST_SHARE, edit=edit, write=write)


def _target(chosen: list[int], name: str, target: Target) -> Requirement[Scenario]:
    def edit(scenario: Scenario, seconds: float) -> Scenario:
        def loosened(service: Service) -> dict[str, Any]:
            targets = tuple(
                t.model_copy(update={"seconds": seconds}) if t.key == target.key else t
                for t in service.slo.targets
            )
            return {"slo": service.slo.model_copy(update={"targets": targets})}

        return _edit_services(scenario, chosen, loosened)

    return Requirement(
        name=name,
        current=target.seconds,
        loosest=max(NO_TARGET_S, target.seconds),
        edit=edit,
        write=lambda v: f"{v:.3g} s" if v >= 1 else f"{1000 * v:.3g} ms",
    )


def _of_limits(limits: Limits) -> Iterator[Requirement[Scenario]]:
    for gpu, count in sorted(limits.stock.items()):
        yield gpu_cap(f"limits.stock.{gpu}", count, _scenario_stock_editor(gpu), gpu)
    if limits.max_gpus is not None:
        edit = _scenario_limit_editor("max_gpus", int)
        yield gpu_cap("limits.max_gpus", limits.max_gpus, edit)
    if limits.max_cost_usd_per_hour is not None:
        edit = _scenario_limit_editor("max_cost_usd_per_hour")
        yield budget(limits.max_cost_usd_per_hour, edit)


def _of_search(scenario: Scenario) -> Iterator[Requirement[Scenario]]:
    everyone = list(range(len(scenario.services)))
    named = [s.search.gpus for s in scenario.services if s.search.gpus != "all"]
    if named:
        gpus = sorted({gpu for names in named for gpu in names})
        yield switch("search.gpus", _joined(gpus), "all", _search_editor("gpus", "all"))
    for field in ("tensor_parallel", "weights", "kv_cache"):
        asked = {name for s in scenario.services for name in getattr(s.search, field)}
        wider = tuple(sorted(asked | set(getattr(Search(), field))))
        if any(set(getattr(s.search, field)) != set(wider) for s in scenario.services):
            yield switch(
                f"search.{field}",
                _joined(sorted(asked)),
                _joined(wider),
                _search_editor(field, wider),
            )
    if not all(s.allow_lower_precision for s in scenario.services):
        yield switch(
            "allow_lower_precision",
            "false",
            "true",
            lambda s: _edit_services(s, everyone, lambda _: {"allow_lower_precision": True}),
        )
    for field in ("providers", "regions"):
        names = getattr(scenario.prices, field)
        if names != "all":
            yield switch(f"prices.{field}", ", ".join(names), "all", _price_editor(field))


def _search_editor(field: str, value: object) -> Callable[[Scenario], Scenario]:
    def edit(scenario: Scenario) -> Scenario:
        everyone = list(range(len(scenario.services)))
        return _edit_services(
            scenario,
            everyone,
            lambda service: {"search": service.search.model_copy(update={field: value})},
        )

    return edit


def _joined(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _price_editor(field: str) -> Callable[[Scenario], Scenario]:
    def edit(scenario: Scenario) -> Scenario:
        prices = scenario.prices.model_copy(update={field: "all"})
        return scenario.model_copy(update={"prices": prices})

    return edit


def _scenario_limit_editor(
    field: str, kind: Callable[[float], float] = float
) -> Callable[[Scenario, float], Scenario]:
    def edit(scenario: Scenario, value: float) -> Scenario:
        limits = scenario.limits.model_copy(update={field: kind(value)})
        return scenario.model_copy(update={"limits": limits})

    return edit


def _scenario_stock_editor(gpu: str) -> Callable[[Scenario, float], Scenario]:
    def edit(scenario: Scenario, value: float) -> Scenario:
        stock = {**scenario.limits.stock, gpu: int(value)}
        limits = scenario.limits.model_copy(update={"stock": stock})
        return scenario.model_copy(update={"limits": limits})

    return edit


def _edit_services(
    scenario: Scenario, chosen: list[int], change: Callable[[Service], dict[str, Any]]
) -> Scenario:
    services = tuple(
        service.model_copy(update=change(service)) if i in chosen else service
        for i, service in enumerate(scenario.services)
    )
    return scenario.model_copy(update={"services": services})
