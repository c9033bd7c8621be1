"""What the cheapest fleet was chosen from, in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from planner.catalog.store import Catalog
from planner.fleet.candidates.deployments import service_model
from planner.fleet.candidates.layouts import layouts
from planner.scenario.fields import Names
from planner.scenario.schema import Service
from planner.sizing.precision import is_below_native, weights_for
from planner.solving.stages import Decided
from planner.units import counted


def searched(decided: Decided, catalog: Catalog) -> str:
    """Engines, GPU types, parallel layouts and formats that were tried, over all services."""
    services = decided.scenario.services
    offered = {o.gpu for o in decided.offers}
    named = [
        {catalog.gpu(g).name for g in names} if names != "all" else offered
        for s in services
        for names in _gpu_names(s)
    ]
    engines = dict.fromkeys(catalog.engine(e) for s in services for e in s.search.engines)
    formats = dict.fromkeys(f for s in services for f in _formats(s, catalog))
    gpus = len(set[str]().union(*named) & offered)
    return ", ".join(
        (
            " and ".join(f"{e.name} {e.version}" for e in engines),
            counted(gpus, "GPU type"),
            _cuts(services, catalog),
            f"weights {' or '.join(formats)}",
            *_drafts(services),
        )
    )


def _drafts(services: Iterable[Service]) -> tuple[str, ...]:
    """The ways to draft that any search names, where one does."""
    ways = dict.fromkeys(w.draft or w.method for s in services for w in s.search.speculative)
    return () if set(ways) == {"none"} else (f"drafts {' or '.join(ways)}",)


def _gpu_names(service: Service) -> tuple[Names | Literal["all"], ...]:
    """The GPUs that replicas of the service may have, or the pools of its units."""
    search, pools = service.search, service.search.disaggregation
    if pools is None:
        return (search.gpus,)
    own = (pools.prefill_gpus or search.gpus, pools.decode_gpus or search.gpus)
    return (*own, search.gpus) if pools.colocated else own


def _cuts(services: Iterable[Service], catalog: Catalog) -> str:
    """The degrees of each kind of parallelism, those of one alone left out."""
    spanned = [x for s in services for x in layouts(s.search, service_model(s, catalog))]
    axes = (
        ("TP", {x.tensor for x in spanned}),
        ("PP", {x.pipeline for x in spanned}),
        ("DP", {x.data for x in spanned}),
        ("EP", {x.expert for x in spanned}),
    )
    return " ".join(
        f"{tag} {'/'.join(map(str, sorted(degrees)))}"
        for tag, degrees in axes
        if tag == "TP" or degrees != {1}
    )


def _formats(service: Service, catalog: Catalog) -> tuple[str, ...]:
    """Weight formats that the search names and that need no permission, or have it."""
    model, lookup = service_model(service, catalog), catalog.weight_format
    named = dict.fromkeys(weights_for(model, w, lookup) for w in service.search.weights)
    return tuple(
        f.name
        for f in named
        if service.allow_lower_precision or not is_below_native(model, f, lookup)
    )
