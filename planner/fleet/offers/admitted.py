"""Which offers a scenario admits, at its own prices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.errors import InputError, nearest
from planner.fleet.offers.node_offers import existing_offers
from planner.scenario.name_checks import TIERS
from planner.scenario.schema import Prices, Scenario

CONFIDENCES = ("high", "medium", "low")
MOST_KEPT = 32  # questions about prices of one catalog


def offers_of(scenario: Scenario, catalog: Catalog, base: Path | None = None) -> tuple[Offer, ...]:
    """Everything a scenario may use at its own prices: the offers it admits, and what runs today.

    Every question about a price is answered from here. ``base``: folder that a relative
    ``prices.file`` is resolved against. Raises what ``admitted_offers`` raises.
    """
    return (
        *admitted_offers(scenario.prices, catalog, base),
        *existing_offers(scenario, catalog),
    )


def offers_of_file(scenario: Scenario, catalog: Catalog) -> tuple[Offer, ...]:
    """Every row of the scenario's own price file, whatever its term; empty where it has none."""
    file = scenario.prices.file
    if file is None:
        return ()
    return catalog.read_prices(Path(file))


def widened(scenario: Scenario) -> Scenario:
    """The same question with offers of every tier and price confidence admitted."""
    prices = scenario.prices.model_copy(update={"tiers": TIERS, "confidence": CONFIDENCES[-1]})
    return scenario.model_copy(update={"prices": prices})


def admitted_offers(
    prices: Prices, catalog: Catalog, base: Path | None = None
) -> tuple[Offer, ...]:
    """Offers of the admitted terms, tiers, confidences, providers and regions.

    The user's price file replaces the catalog.

    Government regions count only when ``regions`` names them; ``factors`` multiply the prices of the
    GPU, provider or term they name, and ``discounts`` lower them. ``base``: folder that a relative
    ``prices.file`` is resolved against. Raises InputError when no offer is left, or a factor names
    nothing on offer.
    """
    if prices.file is None:
        return _of_catalog(catalog, prices.model_dump_json(), prices)
    path = Path(prices.file)
    return _admitted(catalog.read_prices(path if base is None else base / path), prices, catalog)


_latest: WeakKeyDictionary[Catalog, dict[str, tuple[Offer, ...]]] = WeakKeyDictionary()


def _of_catalog(catalog: Catalog, stated: str, prices: Prices) -> tuple[Offer, ...]:
    """The admitted offers of a catalog, looked through once for the latest of its prices ``stated``."""
    latest = _latest.setdefault(catalog, {})
    if stated not in latest:
        found = _admitted(catalog.offers(), prices, catalog)
        if len(latest) >= MOST_KEPT:
            latest.clear()
        latest[stated] = found
    return latest[stated]


def _admitted(offers: Iterable[Offer], prices: Prices, catalog: Catalog) -> tuple[Offer, ...]:
    """Those of ``offers`` that are admitted, at the scenario's own prices; raises InputError for none."""
    admitted = tuple(o for o in offers if is_admitted(o, prices))
    if not admitted:
        raise InputError(
            "no offer is left to choose from",
            where=prices.file or "prices",
            found=f"terms {list(prices.terms)}, tiers {list(prices.tiers)}, "
            f"confidence {prices.confidence} or better, "
            f"providers {prices.providers}, regions {prices.regions}",
            action="see what exists with: planner catalog offers",
        )
    factors = [prices.factors, {name: 1 - share for name, share in prices.discounts.items()}]
    for where, named in zip(("factors", "discounts"), factors, strict=True):
        if named:
            admitted = tuple(_repriced(admitted, named, catalog, f"prices.{where}"))
    return admitted


def is_admitted(offer: Offer, prices: Prices) -> bool:
    """Whether the offer is of an admitted term, tier, confidence, provider and region."""
    return (
        offer.term.value in prices.terms
        and (not offer.tier or offer.tier in prices.tiers)
        and CONFIDENCES.index(offer.confidence) <= CONFIDENCES.index(prices.confidence)
        and (prices.providers == "all" or offer.provider in prices.providers)
        and (offer.region in prices.regions if prices.regions != "all" else not offer.government)
    )


def _repriced(
    offers: tuple[Offer, ...], factors: Mapping[str, float], catalog: Catalog, where: str
) -> Iterator[Offer]:
    names = {n for o in offers for n in (o.gpu, o.provider, o.term.value)} | {"all"}
    canonical = {
        _canonical(name, names, catalog, where): factor for name, factor in factors.items()
    }
    for offer in offers:
        factor = math.prod(
            canonical.get(n, 1.0) for n in ("all", offer.gpu, offer.provider, offer.term.value)
        )
        yield replace(offer, usd_per_hour=offer.usd_per_hour * factor)


def _canonical(name: str, names: Set[str], catalog: Catalog, where: str) -> str:
    if name in names:
        return name
    try:
        gpu = catalog.gpu(name).name
    except InputError:
        gpu = name
    if gpu in names:
        return gpu
    raise InputError(
        "a price factor or discount names nothing on offer",
        where=where,
        found=name,
        allowed="what the admitted offers hold: " + ", ".join(sorted(names)[:24]),
        action=nearest(name, names),
    )
