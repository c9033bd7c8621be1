"""What hosted APIs would charge for a plan's tokens, service by service.

Of prompt tokens, the share that a service's scenario takes for prefix-cache hits is charged at the price
of cached input where the row has one. Requests that may wait cost less at hosts that take batches, which
is said beside the price: a service with latency targets cannot use it. Prices of several services come
together as the mean over their tokens, so that the plan's mean request costs what the requests of all
services cost on average:

    input price = sum rate prompt price_in / sum rate prompt,  output price likewise
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.catalog.money_rows import ApiBatchRow, ApiPriceRow
from planner.catalog.store import Catalog
from planner.errors import PlannerError
from planner.money.ways_to_pay import ApiPrice
from planner.plan.schema import Plan
from planner.sizing.parameters import count_parameters
from planner.units import dollars
from planner.workload.lengths import lengths_of

NEAR = math.log(1.5)  # a model replaces one with at most half more, or a third fewer, parameters


@dataclass(frozen=True, slots=True)
class ApiQuote:
    """One service's tokens, and every price at which a host serves its model or one near to it.

    ``prompt_qps``, ``output_qps``: tokens per second; ``cached_share``: of the prompt tokens; ``instead``:
    why the rows are of another model, "" where they are not; ``batches``: what hosts take off in a batch.
    """

    service: str
    model: str
    prompt_qps: float
    output_qps: float
    cached_share: float
    rows: tuple[ApiPriceRow, ...]
    instead: str = ""
    batches: tuple[ApiBatchRow, ...] = ()

    def input_price(self, row: ApiPriceRow) -> float:
        """USD per million prompt tokens, some of them cached."""
        cached = row.cached_input_usd_per_million
        if cached is None:
            return row.input_usd_per_million
        share = self.cached_share
        return (1 - share) * row.input_usd_per_million + share * cached

    def usd_per_second(self, row: ApiPriceRow) -> float:
        """What the service's tokens cost at a row's prices."""
        tokens = self.prompt_qps * self.input_price(row)
        return (tokens + self.output_qps * row.output_usd_per_million) / 1e6

    @property
    def best(self) -> ApiPriceRow:
        """The cheapest row for these tokens."""
        return min(self.rows, key=lambda r: (self.usd_per_second(r), r.provider))

    @property
    def dearest(self) -> ApiPriceRow:
        """The dearest row for these tokens."""
        return max(self.rows, key=lambda r: (self.usd_per_second(r), r.provider))

    @property
    def best_batch(self) -> tuple[ApiPriceRow, ApiBatchRow] | None:
        """The cheapest row in a batch, uncached, and its host's terms; None where no host takes batches."""
        terms = {b.provider: b for b in self.batches}
        able = [(row, terms[row.provider]) for row in self.rows if row.provider in terms]
        return min(
            able, key=lambda x: (self._batch_usd_per_second(*x), x[0].provider), default=None
        )

    def _batch_usd_per_second(self, row: ApiPriceRow, terms: ApiBatchRow) -> float:
        prompt = self.prompt_qps * row.input_usd_per_million
        whole = (prompt + self.output_qps * row.output_usd_per_million) / 1e6
        return (1 - terms.discount) * whole

    def _in_batch(self) -> str:
        """The cheapest batch in words; "" where none is cheaper than the price that is paid at once."""
        found = self.best_batch
        if found is None or self._batch_usd_per_second(*found) >= self.usd_per_second(self.best):
            return ""
        row, terms = found
        share = 1 - terms.discount
        return (
            f" (in a batch, answered within {terms.within_hours:g} h, {row.provider} takes "
            f"{dollars(share * row.input_usd_per_million)} and "
            f"{dollars(share * row.output_usd_per_million)})"
        )

    def described(self, *, named: bool) -> str:
        """The cheapest price in words; ``named``: with the service it is for."""
        row = self.best
        cached = row.cached_input_usd_per_million
        return (
            (f"{self.service}: " if named else "")
            + f"{row.provider}: {dollars(row.input_usd_per_million)} per million input tokens"
            + (f" ({dollars(cached)} cached)" if cached is not None else "")
            + f", {dollars(row.output_usd_per_million)} per million output tokens"
            + (f", for {self.instead}" if self.instead else "")
            + self._in_batch()
        )


def api_quotes(plan: Plan, catalog: Catalog) -> tuple[ApiQuote, ...]:
    """One quote for each service that is served.

    Without rows where no model is near, or where nothing is generated.
    """
    requested = {s.name: s for s in plan.scenario.services}
    quotes = []
    batches = catalog.api_batches()
    for service in plan.services:
        if service.served_qps <= 0:
            continue
        lengths = lengths_of(requested[service.name])
        priced = lengths.generates  # a chat model's price per token is no price of an embedding
        rows, instead = rows_for(service.model, catalog) if priced else ((), "")
        quotes.append(
            ApiQuote(
                service.name,
                service.model,
                service.served_qps * lengths.mean_prompt,
                service.served_qps * lengths.mean_written,
                requested[service.name].assumptions.prefix_hit_share
                if service.prefix_hits is None
                else service.prefix_hits.share,
                rows,
                instead,
                batches,
            )
        )
    return tuple(quotes)


def api_price(quotes: Iterable[ApiQuote], *, cheapest: bool) -> ApiPrice:
    """The mean price per token over all services, each at its cheapest or dearest row."""
    quotes = tuple(quotes)
    chosen = [(q, q.best if cheapest else q.dearest) for q in quotes]
    prompt, output = sum(q.prompt_qps for q in quotes), sum(q.output_qps for q in quotes)
    return ApiPrice(
        "API",
        math.fsum(q.prompt_qps * q.input_price(row) for q, row in chosen) / prompt,
        math.fsum(q.output_qps * row.output_usd_per_million for q, row in chosen) / output,
    )


def rows_for(model: str, catalog: Catalog) -> tuple[tuple[ApiPriceRow, ...], str]:
    """Prices of the model; else of one of the same config; else of the nearest by its parameters."""
    by_model: dict[str, list[ApiPriceRow]] = {}
    for row in catalog.api_prices():
        by_model.setdefault(row.model.lower(), []).append(row)
    if own := by_model.get(model.lower()):
        return tuple(own), ""
    names = next((e.names for e in catalog.model_index() if _among(model, e.names)), ())
    relatives = [r for name in names for r in by_model.get(name.lower(), ())]
    if relatives:
        return tuple(relatives), f"its relative {relatives[0].model}"
    near = _nearest(model, by_model, catalog)
    if near is None:
        return (), ""
    rows = tuple(by_model[near.lower()])
    return rows, f"{rows[0].model}, the nearest model that has a price"


def _among(name: str, names: Iterable[str]) -> bool:
    return name.lower() in (n.lower() for n in names)


def _nearest(model: str, by_model: Mapping[str, list[ApiPriceRow]], catalog: Catalog) -> str | None:
    """The priced model whose active and total parameters are nearest, within half more of each."""
    own = _parameters(model, catalog)
    if own is None:
        return None
    near = []
    for name in by_model:
        other = _parameters(name, catalog)
        if other is None:
            continue
        apart = [abs(math.log(a / b)) for a, b in zip(own, other, strict=True)]
        if max(apart) <= NEAR:
            near.append((sum(apart), name))
    return min(near)[1] if near else None


def _parameters(model: str, catalog: Catalog) -> tuple[float, float] | None:
    """Active and total parameters; None for a model that the catalog cannot count."""
    try:
        counted = count_parameters(catalog.model(model))
    except PlannerError:
        return None
    return counted.active, counted.total
