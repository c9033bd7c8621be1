"""What can be rented: one row of ``catalogs/prices/*.csv``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Term(StrEnum):
    """How an offer is paid for."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    ONE_YEAR = "1-year"
    THREE_YEAR = "3-year"
    CAPACITY_BLOCK = "capacity-block"
    OWNED = "owned"


@dataclass(frozen=True, slots=True)
class Offer:
    """An instance type of a provider in a region, under a term, at a price [USD per instance-hour].

    ``upfront_share``: part of a commitment's total that is paid when it starts; ``usd_per_hour`` is
    the total over the term's hours however it is paid.
    """

    provider: str
    region: str
    instance_type: str
    gpu: str
    gpu_count: int
    term: Term
    usd_per_hour: float
    as_of: str
    source: str
    confidence: str = "medium"
    government: bool = False
    note: str = ""
    upfront_share: float = 0.0

    @property
    def usd_per_gpu_hour(self) -> float:
        """The price of one of its GPUs [USD/h]."""
        return self.usd_per_hour / self.gpu_count

    @property
    def key(self) -> str:
        """A readable, unique label."""
        return f"{self.provider}/{self.region}/{self.instance_type}/{self.term.value}"
