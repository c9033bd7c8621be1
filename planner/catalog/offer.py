"""What can be rented: one row of ``catalogs/prices/*.csv``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

MAX_TERM_MONTHS = 36


class Term(StrEnum):
    """How an offer is paid for. ``Term("6-month")`` is a commitment of six months, any of 1 to 36."""

    ON_DEMAND = "on-demand"
    SPOT = "spot"
    ONE_YEAR = "1-year"
    THREE_YEAR = "3-year"
    CAPACITY_BLOCK = "capacity-block"
    OWNED = "owned"

    @classmethod
    def _missing_(cls, value: object) -> Term | None:
        """A commitment by its months; 12 and 36 of them are the years that have names."""
        match = _BY_MONTHS.fullmatch(value) if isinstance(value, str) else None
        if match is None or not 1 <= int(match[1]) <= MAX_TERM_MONTHS:
            return None
        named = _YEARS.get(int(match[1]))
        if named is not None:
            return cls(named)
        term = str.__new__(cls, match[0])
        term._name_ = term._value_ = match[0]
        cls._value2member_map_[match[0]] = term
        return term

    @property
    def months(self) -> int:
        """How long it commits for; 0 where nothing is committed."""
        match = _BY_MONTHS.fullmatch(self.value)
        return int(match[1]) if match else _MONTHS.get(self.value, 0)

    @classmethod
    def named(cls, name: str) -> Term | None:
        """The term of that name, or None."""
        try:
            return cls(name)
        except ValueError:
            return None


MARKETPLACE = "marketplace"
_BY_MONTHS = re.compile(r"([1-9][0-9]?)-month")
_MONTHS = {"capacity-block": 1, "1-year": 12, "3-year": 36}
_YEARS = {12: "1-year", 36: "3-year"}
TERM_NAMES = (*(term.value for term in Term), "N-month (1 to 36)")


@dataclass(frozen=True, slots=True)
class Offer:
    """An instance type of a provider in a region, under a term, at a price [USD per instance-hour].

    ``upfront_share``: part of a commitment's total that is paid when it starts; ``usd_per_hour`` is
    the total over the term's hours however it is paid. ``tier``: hyperscaler, cloud or marketplace, ""
    where it is not said; ``country``: ISO 3166 code; ``obtainability``:
    what is known to make it hard to get.

    Of a quote: ``valid_until``, the last day it may be signed ("" where it does not end), and how many
    nodes it may be signed for, ``min_nodes`` to ``max_nodes`` (None: any number).

    ``network_gbps``: what a node sends to and receives from others of its kind at once [Gb/s]; None where
    nobody states it.
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
    tier: str = ""
    country: str = ""
    obtainability: str = ""
    valid_until: str = ""
    min_nodes: int = 1
    max_nodes: int | None = None
    network_gbps: float | None = None

    @property
    def network_gb_s(self) -> float | None:
        """The share of one of its GPUs in what is stated of the network, per direction [GB/s]."""
        return None if self.network_gbps is None else self.network_gbps / 8 / self.gpu_count

    @property
    def shares_network(self) -> bool:
        """Whether its nodes reach each other over a data centre's network of a known kind.

        The hosts of a marketplace belong to many owners at many sites. Instances of one GPU are sold one
        by one: few clouds state where they stand, or what lies between them.
        """
        if self.network_gbps is not None:
            return True
        one_by_one = self.gpu_count == 1 and self.tier != ""
        return self.tier != MARKETPLACE and not one_by_one

    @property
    def is_limited(self) -> bool:
        """Whether it cannot be had in any number."""
        return self.max_nodes is not None or self.min_nodes > 1

    @property
    def usd_per_gpu_hour(self) -> float:
        """The price of one of its GPUs [USD/h]."""
        return self.usd_per_hour / self.gpu_count

    @property
    def key(self) -> str:
        """A readable, unique label."""
        return f"{self.provider}/{self.region}/{self.instance_type}/{self.term}"
