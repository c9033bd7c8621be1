"""The rows of a price file: ``catalogs/prices/*.csv``, or a user's own with the same columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from planner.catalog.offer import Offer, Term
from planner.catalog.tables import IsoDate, TableRow, read_rows
from planner.errors import CatalogError, PlannerError, nearest

MAX_USD_PER_HOUR = 100_000.0


class OfferRow(TableRow):
    """One offer; ``catalogs/README.md`` says what each column means."""

    provider: str
    region: str
    instance_type: str
    gpu: str
    gpu_count: int = Field(gt=0, le=1024)
    term: Term
    usd_per_hour: float = Field(gt=0, le=MAX_USD_PER_HOUR)
    as_of: IsoDate
    source: str
    confidence: Literal["high", "medium", "low"] = "medium"
    government: bool = False
    note: str = ""
    upfront_share: float = Field(default=0.0, ge=0, le=1)
    tier: Literal["", "hyperscaler", "cloud", "marketplace"] = ""
    country: str = Field(default="", pattern=r"^([A-Z]{2})?$")
    obtainability: str = ""
    valid_until: IsoDate | Literal[""] = ""
    min_nodes: int = Field(default=1, ge=1, le=100_000)
    max_nodes: int | None = Field(default=None, ge=1, le=100_000)
    network_gbps: float | None = Field(default=None, gt=0, le=1_000_000)

    @model_validator(mode="after")
    def _numbers_rise(self) -> OfferRow:
        if self.max_nodes is not None and self.max_nodes < self.min_nodes:
            raise ValueError("max_nodes must not be below min_nodes")
        return self


def read_offers(
    path: Path,
    error: type[PlannerError] = CatalogError,
    resolve_gpu: Callable[[str], str | None] | None = None,
    gpu_names: Iterable[str] = (),
    network_gbps: Callable[[OfferRow], float | None] = lambda row: row.network_gbps,
) -> tuple[Offer, ...]:
    """Return every offer of a price file, in file order.

    ``resolve_gpu`` turns a written GPU name into its canonical one; ``None`` from it is an error that
    names the nearest of ``gpu_names``. ``network_gbps``: what joins instances of an offer [Gb/s].
    Raises ``error`` with file, line and column when a cell is wrong or an offer is listed twice.
    """
    offers: dict[str, Offer] = {}
    for line, row in read_rows(path, OfferRow, error):
        gpu = resolve_gpu(row.gpu) if resolve_gpu else row.gpu
        if gpu is None:
            raise error(
                "unknown GPU",
                where=f"{path}:{line}:gpu",
                found=row.gpu,
                allowed="a name listed by: planner catalog gpus",
                action=nearest(row.gpu, gpu_names),
            )
        offer = Offer(**{**row.__dict__, "gpu": gpu, "network_gbps": network_gbps(row)})
        key = offer.key
        if key in offers:
            raise error(
                "the offer is listed twice",
                where=f"{path}:{line}",
                found=key,
                allowed="one price for each provider, region, instance type and term",
            )
        offers[key] = offer
    return tuple(offers.values())
