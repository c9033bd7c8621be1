"""What a scenario requires that could be required less strictly, each in its own words.

A relaxed target or a wider search changes which deployments qualify and how much they carry, so
these requirements edit the scenario itself: solving the edited one recomputes its candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from planner.catalog.offer import Term
from planner.fleet.candidates.mixing import most_kinds
from planner.fleet.infeasibility.job_requirements import of_job
from planner.fleet.infeasibility.oracle import Requirement
from planner.fleet.infeasibility.problem_requirements import (
    MAX_SEPARATE_SERVICES,
    SMALLEST_SHARE,
    UNLIMITED_CAP,
    UNLIMITED_GPUS,
    UNLIMITED_KW,
    budget,
    gpu_cap,
    switch,
)
from planner.scenario.lora import Lora
from planner.scenario.schema import Limits, Scenario
from planner.scenario.search.fields import Search
from planner.scenario.slo import Target
from planner.units import duration

NO_TARGET_S = 3600.0
UNLIMITED_VENDORS = 100
UNLIMITED_KINDS = 16
PREDICTION = 0.5
FEW_ADAPTERS = 64  # loaded at once: with fewer, batches rather than memory are short
Path = tuple[str | int, ...]


def scenario_requirements(
    scenario: Scenario,
    unserved: Collection[str] = (),
    other_terms: Collection[str] = (),
    canonical_gpu: Callable[[str], str] = str,
) -> tuple[Requirement[Scenario], ...]:
    """Rates, targets, limits, failures, prices and search of a scenario, as its file names them.

    ``unserved``: services that no deployment can serve as stated. In a fleet of many services theirs
    are the targets listed, and the rates of all others are taken together. ``other_terms``: in which the
    GPUs that the search names are offered, where the admitted terms have none. ``canonical_gpu`` turns a
    GPU name of the scenario into the catalog's.
    """
    return tuple(
        requirement
        for part in (
            _of_services(scenario, unserved),
            _of_limits(scenario.limits),
            _of_failures(scenario),
            _of_terms(scenario, other_terms),
            _of_vendors(scenario),
            _of_search(scenario, unserved, canonical_gpu),
        )
        for requirement in part
    )


def _of_services(scenario: Scenario, unserved: Collection[str]) -> Iterator[Requirement[Scenario]]:
    alone, others = _apart(scenario, unserved)
    for i in alone:
        service = scenario.services[i]
        prefix = "" if len(scenario.services) == 1 else f"{service.name}: "
        yield from _of_adapters(i, prefix, service.lora)
        if service.job is not None:
            yield from of_job(i, prefix, service.job)
            continue
        yield _rate([i], f"{prefix}rate", service.rate)
        for j, target in enumerate(service.slo.targets):
            path = ("services", i, "slo", "targets", j, "seconds")
            yield _target(f"{prefix}{target.key}", target, path)
        if service.assurance is not None and service.assurance.probability > PREDICTION:
            yield Requirement(
                name=f"{prefix}assurance.probability",
                current=service.assurance.probability,
                loosest=PREDICTION,
                edit=_editor(("services", i, "assurance", "probability")),
                write=lambda v: f"{100 * v:.3g} %",
            )
    if others:
        which = f"{'the other' if alone else 'all'} {len(others)} services"
        yield _rate(others, f"rate of {which}", None)


def _of_adapters(i: int, prefix: str, lora: Lora | None) -> Iterator[Requirement[Scenario]]:
    """How many adapters a replica holds at once: fewer leave more memory to the KV cache."""
    loaded = 1 if lora is None else lora.max_loaded or lora.adapters
    if loaded > 1:
        yield Requirement(
            name=f"{prefix}lora.max_loaded",
            current=loaded,
            loosest=FEW_ADAPTERS if loaded > FEW_ADAPTERS else 1,
            edit=_editor(("services", i, "lora", "max_loaded"), int),
            write=lambda v: f"{v:.0f}",
            whole=True,
            trades_off=True,
        )


def _rate(chosen: list[int], name: str, rate_qps: float | None) -> Requirement[Scenario]:
    def edit(scenario: Scenario, share: float) -> Scenario:
        for i in chosen:
            service = scenario.services[i]
            changed = service.model_copy(update=service.rate_change(service.rate * share))
            scenario = _replaced(scenario, ("services", i), changed)
        return scenario

    def write(share: float) -> str:
        return f"{100 * share:.3g} %" if rate_qps is None else f"{rate_qps * share:.3g} requests/s"

    return Requirement(name=name, current=1.0, loosest=SMALLEST_SHARE, edit=edit, write=write)


def _target(name: str, target: Target, path: Path) -> Requirement[Scenario]:
    return Requirement(
        name=name,
        current=target.seconds,
        loosest=max(NO_TARGET_S, target.seconds),
        edit=_editor(path),
        write=duration,
        trades_off=True,
    )


def _of_limits(limits: Limits) -> Iterator[Requirement[Scenario]]:
    for gpu, count in sorted(limits.stock.items()):
        yield gpu_cap(f"limits.stock.{gpu}", count, _editor(("limits", "stock", gpu), int), gpu)
    if limits.max_gpus is not None:
        yield gpu_cap("limits.max_gpus", limits.max_gpus, _editor(("limits", "max_gpus"), int))
    if limits.max_cost_usd_per_hour is not None:
        yield budget(limits.max_cost_usd_per_hour, _editor(("limits", "max_cost_usd_per_hour")))
    if limits.max_power_kw is not None:
        yield _number(
            ("limits", "max_power_kw"), limits.max_power_kw, UNLIMITED_KW, lambda v: f"{v:g} kW"
        )
    if limits.carbon is not None:
        yield _number(
            ("limits", "carbon", "max_kg_per_hour"),
            limits.carbon.max_kg_per_hour,
            UNLIMITED_CAP,
            lambda v: f"{v:g} kg/h",
        )
    for i, quota in enumerate(limits.quotas):
        path = ("limits", "quotas", i, "max_gpus")
        named = [f"{k} {v}" for k, v in quota.model_dump(exclude={"max_gpus"}).items() if v]
        yield Requirement(
            name=f"limits.quotas for {', '.join(named) or 'all offers'}",
            current=quota.max_gpus,
            loosest=UNLIMITED_GPUS,
            edit=_editor(path, int),
            write=lambda v: f"{v:.0f} GPUs",
            whole=True,
        )


def _of_failures(scenario: Scenario) -> Iterator[Requirement[Scenario]]:
    for sort in ("replicas", "nodes", "zones"):
        yield from _count(("failures", sort), getattr(scenario.failures, sort))
    if "spot" in scenario.prices.terms:
        yield from _count(("spot", "pools_lost"), scenario.spot.pools_lost)
        if scenario.spot.max_share < 1:
            yield _number(
                ("spot", "max_share"), scenario.spot.max_share, 1.0, lambda v: f"{100 * v:.3g} %"
            )
        if scenario.spot.reserve_share > 0:
            yield _number(
                ("spot", "reserve_share"),
                scenario.spot.reserve_share,
                0.0,
                lambda v: f"{100 * v:.3g} %",
            )


def _of_terms(scenario: Scenario, other_terms: Collection[str]) -> Iterator[Requirement[Scenario]]:
    """Lead times of the terms admitted, and the terms where none is there from the first day."""
    terms, on_demand = scenario.prices.terms, Term.ON_DEMAND.value
    for term, months in sorted(scenario.horizon.lead_time_months.items()):
        if term in terms and months > 0:
            yield Requirement(
                name=f"horizon.lead_time_months.{term}",
                current=months,
                loosest=0,
                edit=_editor(("horizon", "lead_time_months", term)),
                write=lambda v: f"{v:.3g} months",
                whole=True,
            )
    added = [t for t in dict.fromkeys((on_demand, *sorted(other_terms))) if t not in terms]
    if added:
        wider = (*terms, *added)
        alone = Term.SPOT.value in added and scenario.spot.pools_lost > 0
        relaxed = _joined(wider) + (" with spot.pools_lost: 0" if alone else "")

        def widen(edited: Scenario) -> Scenario:
            edited = _replaced(edited, ("prices", "terms"), wider)
            return _replaced(edited, ("spot", "pools_lost"), 0) if alone else edited

        yield switch("prices.terms", _joined(terms), relaxed, widen)


def _of_vendors(scenario: Scenario) -> Iterator[Requirement[Scenario]]:
    most = scenario.prices.max_vendors
    if most is not None:
        yield Requirement(
            name="prices.max_vendors",
            current=most,
            loosest=UNLIMITED_VENDORS,
            edit=_editor(("prices", "max_vendors"), int),
            write=lambda v: f"{v:.0f}",
            whole=True,
        )


def _of_search(
    scenario: Scenario, unserved: Collection[str], canonical_gpu: Callable[[str], str]
) -> Iterator[Requirement[Scenario]]:
    alone, others = _apart(scenario, unserved)
    single = len(scenario.services) == 1
    for i in alone:
        prefix = "" if single else f"{scenario.services[i].name}: "
        yield from _of_searches(scenario, prefix, [i])
        yield from _of_mixing(scenario, prefix, [i], canonical_gpu)
    if others:
        which = f"{'the other' if alone else 'all'} {len(others)} services"
        yield from _of_searches(scenario, f"{which}: ", others)
        yield from _of_mixing(scenario, f"{which}: ", others, canonical_gpu)
    for field in ("providers", "regions"):
        names = getattr(scenario.prices, field)
        if names != "all":
            yield switch(f"prices.{field}", _joined(names), "all", _any_price(field), widens=True)


def _of_searches(
    scenario: Scenario, prefix: str, chosen: list[int]
) -> Iterator[Requirement[Scenario]]:
    """What the chosen services may try, as one requirement each for all of them."""
    services = [scenario.services[i] for i in chosen]
    named = [s.search.gpus for s in services if s.search.gpus != "all"]
    if named:
        gpus = sorted({gpu for names in named for gpu in names})
        edit = _in_services(chosen, ("search", "gpus"), "all")
        yield switch(f"{prefix}search.gpus", _joined(gpus), "all", edit, widens=True)
    for field in ("tensor_parallel", "weights", "kv_cache"):
        requested = {name for s in services for name in getattr(s.search, field)}
        wider = tuple(sorted(requested | set(getattr(Search(), field))))
        if any(set(getattr(s.search, field)) != set(wider) for s in services):
            yield switch(
                f"{prefix}search.{field}",
                _joined(sorted(requested)),
                _joined(wider),
                _in_services(chosen, ("search", field), wider),
                widens=True,
            )
    yield from _of_pools(scenario, prefix, chosen)
    if not all(s.allow_lower_precision for s in services):
        edit = _in_services(chosen, ("allow_lower_precision",), True)
        yield switch(f"{prefix}allow_lower_precision", "false", "true", edit, widens=True)


def _of_mixing(
    scenario: Scenario, prefix: str, chosen: list[int], canonical_gpu: Callable[[str], str]
) -> Iterator[Requirement[Scenario]]:
    """How many kinds of replica each of the chosen services may mix, stated or not."""
    current = {i: most_kinds(scenario, scenario.services[i], canonical_gpu) for i in chosen}

    def edit(edited: Scenario, kinds: float) -> Scenario:
        for i, most in current.items():
            if kinds > most:
                edited = _replaced(edited, ("services", i, "max_deployments"), int(kinds))
        return edited

    least = min(current.values())
    yield Requirement(
        name=f"{prefix}max_deployments",
        current=least,
        loosest=max(UNLIMITED_KINDS, least),
        edit=edit,
        write=lambda v: f"{v:.0f}",
        whole=True,
        widens=True,
    )


def _of_pools(
    scenario: Scenario, prefix: str, chosen: list[int]
) -> Iterator[Requirement[Scenario]]:
    """A stated KV link, and the wish for disaggregated prefill and decode and nothing else."""
    pools = {i: p for i in chosen if (p := scenario.services[i].search.disaggregation)}
    name, where = f"{prefix}search.disaggregation", ("search", "disaggregation")
    stated = sorted({p.kv_link.gb_s for p in pools.values() if p.kv_link.gb_s is not None})
    if stated:
        edit = _in_services(list(pools), (*where, "kv_link", "gb_s"), None)
        yield switch(f"{name}.kv_link.gb_s", _joined(stated), "the catalog's", edit)
    if not all(p.colocated for p in pools.values()):
        edit = _in_services(list(pools), (*where, "colocated"), True)
        yield switch(f"{name}.colocated", "false", "true", edit, widens=True)


def _apart(scenario: Scenario, unserved: Collection[str]) -> tuple[list[int], list[int]]:
    """Services listed one by one, and those taken together: all apart where they are few."""
    every = range(len(scenario.services))
    if len(every) <= MAX_SEPARATE_SERVICES:
        return list(every), []
    alone = [i for i in every if scenario.services[i].name in unserved][:MAX_SEPARATE_SERVICES]
    return alone, [i for i in every if i not in alone]


def _any_price(field: str) -> Callable[[Scenario], Scenario]:
    widen = _editor(("prices", field), lambda _: "all")
    return lambda scenario: widen(scenario, 1)


def _number(
    path: Path, current: float, loosest: float, write: Callable[[float], str]
) -> Requirement[Scenario]:
    return Requirement(
        name=".".join(map(str, path)),
        current=current,
        loosest=loosest,
        edit=_editor(path),
        write=write,
    )


def _count(path: Path, current: int) -> Iterator[Requirement[Scenario]]:
    """How many of something may fail; asking for none is the least strict."""
    if current:
        yield Requirement(
            name=".".join(map(str, path)),
            current=current,
            loosest=0,
            edit=_editor(path, int),
            write=lambda v: f"{v:.0f}",
            whole=True,
        )


def _editor(
    path: Path, kind: Callable[[float], object] = float
) -> Callable[[Scenario, float], Scenario]:
    """Sets one field of a scenario, by its path, to a number of the right kind."""
    return lambda scenario, value: _replaced(scenario, path, kind(value))


def _in_services(chosen: list[int], path: Path, value: object) -> Callable[[Scenario], Scenario]:
    def edit(scenario: Scenario) -> Scenario:
        for i in chosen:
            scenario = _replaced(scenario, ("services", i, *path), value)
        return scenario

    return edit


def _replaced(part: Any, path: Path, value: object) -> Any:
    """A copy of a document, mapping or tuple with what is at ``path`` replaced."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(part, BaseModel):
        return part.model_copy(update={str(step): _replaced(getattr(part, str(step)), rest, value)})
    if isinstance(part, dict):
        return {**part, step: _replaced(part[step], rest, value)}
    return tuple(_replaced(x, rest, value) if i == step else x for i, x in enumerate(part))


def _joined(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
