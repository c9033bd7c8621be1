"""Which offers a scenario admits, at its own prices."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path

from planner.catalog.offer import Offer
from planner.catalog.store import Catalog
from planner.errors import InputError, nearest
from planner.scenario import Prices


def admitted_offers(
    prices: Prices, catalog: Catalog, base: Path | None = None
) -> tuple[Offer, ...]:
    """Offers of the admitted terms, providers and regions; the user's price file replaces the catalog.

    Government regions count only when ``regions`` names them; ``factors`` multiply the prices of the
    GPU, provider or term they name. ``base``: folder that a relative ``prices.file`` is resolved
    against. Raises InputError when no offer is left, or a factor names nothing on offer.
    """
    if prices.file is None:
        offers: Iterable[Offer] = catalog.offers()
    else:
        path = Path(prices.file)
        offers = catalog.read_prices(path if base is None else base / path)
    admitted = tuple(
        o
        for o in offers
        if o.term.value in prices.terms
        and (prices.providers == "all" or o.provider in prices.providers)
        and (o.region in prices.regions if prices.regions != "all" else not o.government)
    )
    if not admitted:
        raise InputError(
            "no offer is left to choose from",
            where=prices.file or "prices",
            found=f"terms {list(prices.terms)}, providers {prices.providers}, "
            f"regions {prices.regions}",
            action="see what exists with: planner catalog offers",
        )
    return tuple(_repriced(admitted, prices.factors, catalog)) if prices.factors else admitted


def _repriced(
    offers: tuple[Offer, ...], factors: Mapping[str, float], catalog: Catalog
) -> Iterator[Offer]:
    names = {n for o in offers for n in (o.gpu, o.provider, o.term.value)} | {"all"}
    canonical = {_canonical(name, names, catalog): factor for name, factor in factors.items()}
    for offer in offers:
        factor = math.prod(
            canonical.get(n, 1.0) for n in ("all", offer.gpu, offer.provider, offer.term.value)
        )
        yield replace(offer, usd_per_hour=offer.usd_per_hour * factor)


def _canonical(name: str, names: Set[str], catalog: Catalog) -> str:
    if name in names:
        return name
    try:
        gpu = catalog.gpu(name).name
    except InputError:
        gpu = name
    if gpu in names:
        return gpu
    raise InputError(
        "a price factor names nothing on offer",
        where="prices.factors",
        found=name,
        allowed="what the admitted offers hold: " + ", ".join(sorted(names)[:24]),
        action=nearest(name, names),
    )
