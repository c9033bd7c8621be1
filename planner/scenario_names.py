"""Every name in a scenario that a catalog must know: models, GPUs, engines, formats, providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from planner.errors import InputError, nearest
from planner.scenario import Prices, Scenario
from planner.scenario_source import Loc, Source

if TYPE_CHECKING:
    from planner.catalog.store import Catalog

NATIVE = "native"  # the checkpoint's own weight format, whatever it is
EXISTING = "existing"  # the provider of nodes that run today
SHOWN = 12


def check_names(scenario: Scenario, catalog: Catalog, source: Source | None = None) -> None:
    """Check every catalog name in the scenario; raise InputError at the first unknown one.

    ``source``: the file it was read from, for lines in messages and for files that lie beside it.
    """
    from planner.catalog.inline_model import parse_inline

    text = source or Source(scenario.name, {"services": True}, {})
    for index, service in enumerate(scenario.services):
        at = text.service_path(index)
        search = service.search
        if isinstance(service.model, str):
            _look_up(text, (*at, "model"), catalog.model, (service.model,))
        else:
            parse_inline(service.model, text.where(*at, "model"))
        gpus = () if search.gpus == "all" else search.gpus
        weights = (w for w in search.weights if w != NATIVE)
        _look_up(text, (*at, "search", "gpus"), catalog.gpu, gpus)
        _look_up(text, (*at, "search", "engines"), catalog.engine, search.engines)
        _look_up(text, (*at, "search", "weights"), catalog.weight_format, weights)
        _look_up(text, (*at, "search", "kv_cache"), catalog.kv_format, search.kv_cache)
    _check_limits(scenario, catalog, text)
    for index, existing in enumerate(scenario.existing):
        _look_up(text, ("existing", index, "gpu"), catalog.gpu, (existing.gpu,))
    _check_prices(scenario.prices, catalog, text)


def _check_limits(scenario: Scenario, catalog: Catalog, source: Source) -> None:
    for gpu in scenario.limits.stock:
        _look_up(source, ("limits", "stock", gpu), catalog.gpu, (gpu,))
    for index, quota in enumerate(scenario.limits.quotas):
        at = ("limits", "quotas", index)
        if quota.gpu is not None:
            _look_up(source, (*at, "gpu"), catalog.gpu, (quota.gpu,))
        if quota.provider is not None and scenario.prices.file is None:
            known = {o.provider for o in catalog.offers()} | {EXISTING}
            _one_of(source, (*at, "provider"), (quota.provider,), sorted(known))


def _check_prices(prices: Prices, catalog: Catalog, source: Source) -> None:
    from planner.catalog.offer import Term

    _one_of(source, ("prices", "terms"), prices.terms, [t.value for t in Term])
    if prices.file is not None:  # it brings its own providers and regions
        if source.lines and not (Path(source.path).parent / prices.file).is_file():
            raise InputError(
                "no such price file", where=source.where("prices", "file"), found=prices.file
            )
        return
    offers = catalog.offers()
    _check_factors(prices, catalog, source)
    if prices.providers != "all":
        known = sorted({o.provider for o in offers})
        _one_of(source, ("prices", "providers"), prices.providers, known)
    if prices.regions != "all":
        known = sorted({o.region for o in offers})
        _one_of(source, ("prices", "regions"), prices.regions, known)


def _check_factors(prices: Prices, catalog: Catalog, source: Source) -> None:
    """Every factor names a GPU, provider or term, or all; GPUs also by an alias."""
    from planner.catalog.offer import Term

    offers = catalog.offers()
    groups = (
        ("all",),
        sorted(t.value for t in Term),
        sorted({o.provider for o in offers}),
        sorted({o.gpu for o in offers}),
    )
    known = [name for group in groups for name in group]
    for name in prices.factors:
        if name in known:
            continue
        try:
            catalog.gpu(name)
        except InputError:
            raise InputError(
                f"unknown name {name!r}: a price factor is for a GPU, a provider, a term or all",
                where=source.where("prices", "factors", name),
                allowed="; ".join(", ".join(group[:SHOWN]) for group in groups)
                + (", ..." if len(groups[-1]) > SHOWN else ""),
                action=nearest(name, known),
            ) from None


def _one_of(source: Source, loc: Loc, names: Iterable[str], known: list[str]) -> None:
    for name in names:
        if name not in known:
            raise InputError(
                f"unknown {str(loc[-1]).removesuffix('s')} {name!r}",
                where=source.where(*loc),
                allowed=", ".join(known[:SHOWN]) + (", ..." if len(known) > SHOWN else ""),
                action=nearest(name, known),
            )


def _look_up(
    source: Source, loc: Loc, look_up: Callable[[str], object], names: Iterable[str]
) -> None:
    """Look every name up, and give a complaint the line of its field."""
    for name in names:
        try:
            look_up(name)
        except InputError as error:
            raise InputError(
                error.what,
                where=source.where(*loc),
                found=name if error.found is None else error.found,
                allowed=error.allowed,
                action=error.action,
            ) from None
