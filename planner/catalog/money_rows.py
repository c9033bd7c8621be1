"""The rows of ``catalogs/prices/`` that are no offers: APIs per token, servers, running costs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from planner.catalog.tables import IsoDate, TableRow

Confidence = Literal["high", "medium", "low"]


class ApiPriceRow(TableRow):
    """What a hosted API charges for a model [USD per million tokens]."""

    provider: str
    model: str
    input_usd_per_million: float = Field(ge=0, le=1000)
    output_usd_per_million: float = Field(ge=0, le=1000)
    cached_input_usd_per_million: float | None = Field(default=None, ge=0, le=1000)
    as_of: IsoDate
    source: str
    confidence: Confidence
    note: str = ""


class ApiBatchRow(TableRow):
    """What a host takes off its prices for requests sent together and answered within hours.

    ``discount``: share of the price; prices of cached input are not lowered further.
    """

    provider: str
    discount: float = Field(gt=0, lt=1)
    within_hours: float = Field(gt=0, le=168)
    as_of: IsoDate
    source: str
    confidence: Confidence
    note: str = ""


class ProviderAliasRow(TableRow):
    """Another name of a provider, as a source of prices writes it."""

    alias: str
    provider: str
    as_of: IsoDate
    source: str


class ServiceLevelRow(TableRow):
    """What a provider promises of its instances: ``monthly_uptime`` in its words, else it owes a credit."""

    provider: str
    monthly_uptime: str
    as_of: IsoDate
    source: str
    confidence: Confidence
    note: str = ""


class CountryRow(TableRow):
    """Where the country of an offer lies; ``country``: ISO 3166 code."""

    country: str
    continent: str
    as_of: IsoDate
    source: str


class NetworkRow(TableRow):
    """What joins instances of a type: ``gbps`` of each to its like and back at once [Gb/s].

    instance_type: a name, or a pattern with ``*``; network: its kind, with links where they are stated.
    """

    provider: str
    instance_type: str
    gbps: float = Field(gt=0)
    network: str
    as_of: IsoDate
    source: str
    confidence: Literal["high", "medium", "low"]
    note: str = ""


class ServerPowerRow(TableRow):
    """What a server draws at full load [kW], of GPU types without a price of one."""

    server: str
    gpu: str
    gpus: int = Field(ge=1)
    max_power_kw: float = Field(gt=0)
    as_of: IsoDate
    source: str
    confidence: Confidence
    note: str = ""


class ServerRow(TableRow):
    """A server that can be bought: price [USD] with its range, and power of the whole server [kW]."""

    name: str
    gpu: str
    gpus: int = Field(gt=0)
    price_usd: float = Field(gt=0)
    price_low_usd: float = Field(gt=0)
    price_high_usd: float = Field(gt=0)
    max_power_kw: float = Field(gt=0)
    idle_power_kw: float = Field(gt=0)
    as_of: IsoDate
    source: str
    confidence: Confidence
    note: str = ""


class OwnershipRow(TableRow):
    """One default of what running an owned server costs, with its range; ``unit`` says in what."""

    item: str
    value: float = Field(ge=0)
    low: float = Field(ge=0)
    high: float = Field(ge=0)
    unit: str
    as_of: IsoDate
    source: str
    confidence: Confidence
    note: str = ""
