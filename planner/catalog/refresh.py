"""Offers from items of the gpuhunt library, requested now or saved to a file, as rows of a price file.

An item names an instance, its place, its price per hour, and how many GPUs of a name and memory it has.
What is not certain is left out and counted: a GPU that the catalog does not know by that name and
memory, an item without GPUs. Of several items for one offer (zones of a region) the cheapest is kept.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from planner.catalog.gpu import GpuSpec
from planner.catalog.offer import Offer, Term
from planner.catalog.offer_rows import OfferRow
from planner.catalog.store import Catalog
from planner.errors import InputError

SAME_MEMORY = 0.1  # relative: marketed memory this close to the item's is the same GPU


class PriceItem(BaseModel):
    """One item as gpuhunt has it; its other fields do not matter here."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    provider: str
    instance_name: str
    location: str
    price: float = Field(gt=0)
    gpu_count: int = Field(ge=0)
    gpu_name: str | None = None
    gpu_memory: float | None = None
    spot: bool = False


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Offers found, and how many items were left out for which reason."""

    offers: tuple[Offer, ...]
    left_out: Mapping[str, int]


def read_items(path: Path) -> tuple[PriceItem, ...]:
    """Items saved as a JSON list of objects. Raises InputError where it is no such file."""
    try:
        return items_of(json.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise InputError("cannot read the items", where=str(path), found=error.strerror) from None
    except json.JSONDecodeError as error:
        raise InputError("the items are no JSON", where=f"{path}:{error.lineno}") from None


def items_of(listed: object, where: str) -> tuple[PriceItem, ...]:
    """Items from plain objects. Raises InputError at the first that is none."""
    try:
        return TypeAdapter(tuple[PriceItem, ...]).validate_python(listed)
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(map(str, first["loc"]))
        raise InputError(
            "not an item of a price list", where=f"{where}:{at}", found=first["msg"]
        ) from None


def refreshed(items: Iterable[PriceItem], catalog: Catalog, day: str, source: str) -> Refreshed:
    """The items as offers of ``day`` (ISO date), in the catalog's names for GPUs and providers."""
    gpus, tiers = (
        _gpus_by_name(catalog),
        {o.provider: (o.tier, o.country) for o in catalog.offers()},
    )
    aliases = {row.alias: row.provider for row in catalog.provider_aliases()}
    found: dict[str, Offer] = {}
    left_out: Counter[str] = Counter()
    for item in items:
        if not item.gpu_count or not item.gpu_name:
            left_out["no GPU"] += 1
            continue
        gpu = _gpu(item, gpus)
        if gpu is None:
            left_out[f"unknown GPU {item.gpu_name} of {item.gpu_memory or 0:g} GB"] += 1
            continue
        provider = aliases.get(item.provider.lower(), item.provider.lower())
        tier, country = tiers.get(provider, ("", ""))
        offer = Offer(
            provider=provider,
            region=item.location,
            instance_type=item.instance_name,
            gpu=gpu.name,
            gpu_count=item.gpu_count,
            term=Term.SPOT if item.spot else Term.ON_DEMAND,
            usd_per_hour=item.price,
            as_of=day,
            source=source,
            confidence="high",
            government="gov" in item.location,
            tier=tier,
            country=country,
        )
        if offer.key not in found or offer.usd_per_hour < found[offer.key].usd_per_hour:
            found[offer.key] = offer
    return Refreshed(tuple(found[key] for key in sorted(found)), dict(left_out))


def price_file(offers: Iterable[Offer]) -> str:
    """The offers as the text of a price file, every column in its order."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = tuple(OfferRow.model_fields)
    writer.writerow(columns)
    for offer in offers:
        row = OfferRow.model_validate({c: getattr(offer, c) for c in columns}).model_dump()
        writer.writerow(["" if v is None else _cell(v) for v in row.values()])
    return text.getvalue()


def _cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _gpus_by_name(catalog: Catalog) -> dict[str, GpuSpec]:
    return {_plain(name): gpu for gpu in catalog.gpus() for name in (*gpu.aliases, gpu.name)}


def _gpu(item: PriceItem, gpus: Mapping[str, GpuSpec]) -> GpuSpec | None:
    """The GPU of the item's name whose memory is the item's."""
    memory = item.gpu_memory or 0.0
    for name in _names(item.gpu_name or "", memory):
        gpu = gpus.get(name)
        if gpu is not None and abs(gpu.marketed_memory_gb - memory) <= SAME_MEMORY * memory:
            return gpu
    return None


def _names(name: str, memory: float) -> Iterator[str]:
    yield _plain(f"{name}{memory:.0f}gb")
    yield _plain(name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
