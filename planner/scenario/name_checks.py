"""Every name in a scenario that a catalog must know: models, GPUs, engines, formats, providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.drafts import draft_model
from planner.catalog.gpus.slices import slice_profiles
from planner.catalog.inline_model import parse_inline
from planner.catalog.offer import TERM_NAMES, Term
from planner.errors import InputError, nearest, raise_problems
from planner.scenario.fleet import MIG
from planner.scenario.schema import Prices, Scenario, Service
from planner.scenario.task import GENERATE, Task
from planner.scenario.text.yaml_source import Loc, Source
from planner.units import counted

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

NATIVE = "native"  # the checkpoint's own weight format, whatever it is
EXISTING = "existing"  # the provider of nodes that run today
POOLED_BY: Mapping[str, tuple[Task, ...]] = {
    "none": ("embed",),
    "score": ("rerank", "classify"),
}
TIERS = ("hyperscaler", "cloud", "marketplace")
SHOWN = 12


def check_names(scenario: Scenario, catalog: Catalog, source: Source | None = None) -> None:
    """Check every catalog name in the scenario; raise InputError with all that are unknown.

    ``source``: the file it was read from, for lines in messages and for files that lie beside it.
    """
    raise_problems(tuple(name_problems(scenario, catalog, source)))


def with_known_providers(scenario: Scenario, catalog: Catalog) -> Scenario:
    """The scenario with the catalog's names for providers (``aws`` for ``amazon``).

    A price list of its own brings its own providers, whose names stay.
    """
    prices = scenario.prices
    aliases = {row.alias: row.provider for row in catalog.provider_aliases()}
    if prices.file is not None:
        return scenario

    def known(name: str) -> str:
        return aliases.get(name.lower(), name)

    changed: dict[str, object] = {
        part: {known(name): value for name, value in getattr(prices, part).items()}
        for part in ("factors", "discounts")
    }
    if prices.providers != "all":
        changed["providers"] = tuple(dict.fromkeys(known(n) for n in prices.providers))
    quotas = tuple(
        q if q.provider is None else q.model_copy(update={"provider": known(q.provider)})
        for q in scenario.limits.quotas
    )
    return scenario.model_copy(
        update={
            "prices": prices.model_copy(update=changed),
            "limits": scenario.limits.model_copy(update={"quotas": quotas}),
        }
    )


def name_problems(
    scenario: Scenario, catalog: Catalog, source: Source | None = None
) -> Iterator[InputError]:
    """Every name that the catalog does not know; ``source`` as for ``check_names``."""
    text = source or Source(scenario.name, {"services": True}, {})
    for index, service in enumerate(scenario.services):
        yield from _service_problems(service, catalog, text, text.service_path(index))
    yield from _limit_problems(scenario, catalog, text)
    for index, existing in enumerate(scenario.existing):
        yield from _look_up(text, ("existing", index, "gpu"), catalog.gpu, (existing.gpu,))
    yield from _slice_problems(scenario, catalog, text)
    yield from _price_problems(scenario.prices, catalog, text)
    yield from _need_problems(scenario, text)
    yield from _ownership_problems(scenario, catalog, text)
    yield from _offer_problems(scenario, catalog, text)


def _slice_problems(scenario: Scenario, catalog: Catalog, source: Source) -> Iterator[InputError]:
    """Every MIG profile is one of some GPU type."""
    known = [MIG, *slice_profiles(catalog.root)]
    for part in scenario.sharing.gpu:
        if isinstance(part, str) and part not in known:
            yield InputError(
                f"unknown MIG profile {part!r}",
                where=source.where("sharing", "gpu"),
                allowed=f"a number below 1 (a time slice), {', '.join(known)}",
                action=nearest(part, known),
            )


def _offer_problems(scenario: Scenario, catalog: Catalog, source: Source) -> Iterator[InputError]:
    """A service that names its GPUs needs one that somebody offers, or that is there already."""
    if scenario.prices.file is not None:
        return
    known = {e.gpu for e in scenario.existing if not tuple(_unknown(catalog, e.gpu))}
    offered = {catalog.gpu(name).name for name in known} | {o.gpu for o in catalog.offers()}
    for index, service in enumerate(scenario.services):
        if service.search.gpus == "all" or any(_unknown(catalog, n) for n in service.search.gpus):
            continue
        names = [catalog.gpu(name).name for name in service.search.gpus]
        if names and not offered.intersection(names):
            yield InputError(
                f"no offer for {', '.join(names)} in the price list",
                where=source.where(*source.service_path(index), "search", "gpus"),
                found=", ".join(service.search.gpus),
                action="give a price list with prices.file, or the nodes you own under `existing`",
            )


def _unknown(catalog: Catalog, gpu: str) -> tuple[InputError, ...]:
    return tuple(_look_up(Source("", {}, {}), (), catalog.gpu, (gpu,)))


def _service_problems(
    service: Service, catalog: Catalog, source: Source, at: Loc
) -> Iterator[InputError]:
    search = service.search
    if isinstance(service.model, str):
        unknown = tuple(_look_up(source, (*at, "model"), catalog.model, (service.model,)))
        yield from unknown or _task_problems(service, service.model, catalog, source, at)
    else:
        try:
            parse_inline(service.model, source.where(*at, "model"))
        except InputError as error:
            yield error
    gpus = () if search.gpus == "all" else search.gpus
    weights = (w for w in search.weights if w != NATIVE)
    yield from _look_up(source, (*at, "search", "gpus"), catalog.gpu, gpus)
    yield from _look_up(source, (*at, "search", "engines"), catalog.engine, search.engines)
    yield from _look_up(source, (*at, "search", "weights"), catalog.weight_format, weights)
    yield from _look_up(source, (*at, "search", "kv_cache"), catalog.kv_format, search.kv_cache)
    pools = search.disaggregation
    for field, named in (
        ("prefill_gpus", pools.prefill_gpus if pools else None),
        ("decode_gpus", pools.decode_gpus if pools else None),
    ):
        place = (*at, "search", "disaggregation", field)
        yield from _look_up(source, place, catalog.gpu, named or ())
    drafts = (way.draft for way in search.speculative if way.draft is not None)
    yield from _look_up(
        source, (*at, "search", "speculative"), lambda name: draft_model(catalog, name), drafts
    )


def _task_problems(
    service: Service, name: str, catalog: Catalog, source: Source, at: Loc
) -> Iterator[InputError]:
    """A model without a language-model head generates nothing; one without any head scores nothing."""
    head = catalog.model(name).head
    if head == "lm" or service.task in POOLED_BY[head]:
        return
    allowed = POOLED_BY[head]
    yield InputError(
        f"{name} has no head for task {service.task}",
        where=source.where(*at, "task" if service.task != GENERATE else "model"),
        found=service.task,
        allowed=", ".join(allowed),
        action=f"give task: {allowed[0]}, without output_tokens and with e2e targets",
    )


def _limit_problems(scenario: Scenario, catalog: Catalog, source: Source) -> Iterator[InputError]:
    for gpu in scenario.limits.stock:
        yield from _look_up(source, ("limits", "stock", gpu), catalog.gpu, (gpu,))
    for index, quota in enumerate(scenario.limits.quotas):
        at = ("limits", "quotas", index)
        if quota.gpu is not None:
            yield from _look_up(source, (*at, "gpu"), catalog.gpu, (quota.gpu,))
        if quota.provider is not None and scenario.prices.file is None:
            known = {o.provider for o in catalog.offers()} | {EXISTING}
            yield from _one_of(source, (*at, "provider"), (quota.provider,), sorted(known))


def _price_problems(prices: Prices, catalog: Catalog, source: Source) -> Iterator[InputError]:
    unknown = tuple(name for name in prices.terms if Term.named(name) is None)
    yield from _one_of(source, ("prices", "terms"), unknown, list(TERM_NAMES))
    yield from _one_of(source, ("prices", "tiers"), prices.tiers, list(TIERS))
    if prices.file is not None:  # it brings its own providers and regions
        if source.lines and not (Path(source.path).parent / prices.file).is_file():
            yield InputError(
                "no such price file",
                where=source.where("prices", "file"),
                found=prices.file,
                allowed="a file beside the scenario's own, or a whole path; with --set also a path from "
                "the working directory",
            )
        return
    offers = catalog.offers()
    yield from _factor_problems(prices, catalog, source)
    if prices.providers != "all":
        known = sorted({o.provider for o in offers})
        yield from _one_of(source, ("prices", "providers"), prices.providers, known)
    if prices.regions != "all":
        known = sorted({o.region for o in offers})
        yield from _one_of(source, ("prices", "regions"), prices.regions, known)


def _ownership_problems(
    scenario: Scenario, catalog: Catalog, source: Source
) -> Iterator[InputError]:
    own = scenario.ownership
    if own is not None and own.server is not None:
        known = [row.name for row in catalog.servers()]
        yield from _one_of(source, ("ownership", "server"), (own.server,), known)


def _need_problems(scenario: Scenario, source: Source) -> Iterator[InputError]:
    """Where a term outlasts the horizon, the scenario says what becomes of the months beyond."""
    horizon = scenario.horizon
    if horizon.need is not None:
        return
    known = {t.value: t for t in Term}
    for name in scenario.prices.terms:
        months = known[name].months if name in known else 0
        if months > horizon.months:
            yield InputError(
                f"a {name} commitment outlasts the horizon of {counted(horizon.months, 'month')}",
                where=source.where("horizon"),
                allowed="horizon.need: ends (the whole commitment is charged) or continues (the "
                "months within the horizon are, and what is left is reported)",
                action=f"add need to horizon, or plan for {months} months",
            )
            return


def _factor_problems(prices: Prices, catalog: Catalog, source: Source) -> Iterator[InputError]:
    """Every factor and discount names a GPU, provider or term, or all; GPUs also by an alias."""
    offers = catalog.offers()
    groups = (
        ("all",),
        sorted(t.value for t in Term),
        sorted({o.provider for o in offers}),
        sorted({o.gpu for o in offers}),
    )
    known = [name for group in groups for name in group]
    named = [(part, n) for part in ("factors", "discounts") for n in getattr(prices, part)]
    for part, name in named:
        if name in known or Term.named(name) is not None:
            continue
        try:
            catalog.gpu(name)
        except InputError:
            yield InputError(
                f"unknown name {name!r}: a price {part.removesuffix('s')} is for a GPU, a provider, "
                "a term or all",
                where=source.where("prices", part, name),
                allowed="; ".join(", ".join(group[:SHOWN]) for group in groups)
                + (", ..." if len(groups[-1]) > SHOWN else ""),
                action=nearest(name, known),
            )


def _one_of(
    source: Source, loc: Loc, names: Iterable[str], known: list[str]
) -> Iterator[InputError]:
    for name in names:
        if name not in known:
            yield InputError(
                f"unknown {str(loc[-1]).removesuffix('s')} {name!r}",
                where=source.where(*loc),
                allowed=", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else ""),
                action=_meant(name, known),
            )


def _meant(name: str, known: list[str]) -> str | None:
    """The known names that begin with ``name``, or hold it; else the nearest one.

    "eu" is the beginning of every European region and near to none.
    """
    requested = name.lower()
    begun = [k for k in known if k.lower().startswith(requested)]
    like = begun or [k for k in known if requested in k.lower()]
    if not requested or not like:
        return nearest(name, known)
    if len(like) == 1:
        return f"did you mean {like[0]!r}?"
    more = f" and {len(like) - SHOWN} more" if len(like) > SHOWN else ""
    return f"did you mean some of {', '.join(like[:SHOWN])}{more}?"


def _look_up(
    source: Source, loc: Loc, look_up: Callable[[str], object], names: Iterable[str]
) -> Iterator[InputError]:
    """Look every name up, and give a complaint the line of its field."""
    for name in names:
        try:
            look_up(name)
        except InputError as error:
            yield InputError(
                error.what,
                where=source.where(*loc),
                found=name if error.found is None else error.found,
                allowed=error.allowed,
                action=error.action,
            )
