"""What a scenario asks that could be asked less strictly, each in its own words.

A relaxed target or a wider search changes which deployments qualify and how much they carry, so
these requirements edit the scenario itself: solving the edited one recomputes its candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def scenario_requirements(scenario: Scenario) -> tuple[Requirement[Scenario], ...]:
    """Rates, targets, limits, prices and search of a scenario, as its file names them."""
    return tuple(_of_scenario(scenario))


def _of_scenario(scenario: Scenario) -> Iterator[Requirement[Scenario]]:
    alone = len(scenario.services) == 1
    if len(scenario.services) <= MAX_SEPARATE_SERVICES:
        for i, service in enumerate(scenario.services):
            prefix = "" if alone else f"{service.name}: "
            yield _rate([i], f"{prefix}rate", service.rate)
            for target in service.slo.targets:
                yield _target([i], f"{prefix}{target.key}", target)
    else:
        everyone = list(range(len(scenario.services)))
        yield _rate(everyone, f"rate of all {len(everyone)} services", None)
        yield _all_targets(everyone)
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


def _all_targets(chosen: list[int]) -> Requirement[Scenario]:
    def edit(scenario: Scenario, factor: float) -> Scenario:
        def loosened(service: Service) -> dict[str, Any]:
            targets = tuple(
                t.model_copy(update={"seconds": t.seconds * factor}) for t in service.slo.targets
            )
            return {"slo": service.slo.model_copy(update={"targets": targets})}

        return _edit_services(scenario, chosen, loosened)

    return Requirement(
        name=f"latency targets of all {len(chosen)} services",
        current=1.0,
        loosest=NO_TARGET_S,
        edit=edit,
        write=lambda v: "as given" if v == 1 else f"{v:.3g} times as long",
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
        yield switch(
            "search.gpus",
            ", ".join(gpus),
            "all",
            lambda s: _edit_services(s, everyone, _search_edit(gpus="all")),
        )
    default = Search().tensor_parallel
    if any(not set(default) <= set(s.search.tensor_parallel) for s in scenario.services):
        degrees = sorted({d for s in scenario.services for d in s.search.tensor_parallel})
        wider = tuple(sorted({*default, *degrees}))
        yield switch(
            "search.tensor_parallel",
            str(degrees),
            str(list(wider)),
            lambda s: _edit_services(s, everyone, _search_edit(tensor_parallel=wider)),
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


def _search_edit(**update: Any) -> Callable[[Service], dict[str, Any]]:
    return lambda service: {"search": service.search.model_copy(update=update)}


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
