"""A plan's question under every way to pay: rent, spot, commitments, own servers, an API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from planner.catalog.money_rows import ApiPriceRow
from planner.catalog.offer import Term
from planner.catalog.store import Catalog
from planner.comparison.ahead import Solve
from planner.comparison.findings import THREE_YEARS, Purchase
from planner.comparison.naming import rented as rented_offers
from planner.comparison.options import Progress
from planner.comparison.owned import Option, buy
from planner.comparison.restriction import restrict
from planner.errors import InputError
from planner.fleet.acquisition import (
    ApiPrice,
    Traffic,
    WayToPay,
    called,
    cash_flows,
    rented,
    reserved,
    side_by_side,
)
from planner.fleet.money import Commitment, usd_per_month
from planner.plan import Plan
from planner.serving.lengths import lengths_of

ONE_YEAR = 12
HORIZONS = (ONE_YEAR, THREE_YEARS)
_TERM_MONTHS = {Term.ONE_YEAR: ONE_YEAR, Term.THREE_YEAR: THREE_YEARS}
_TERMS = (Term.ON_DEMAND, Term.SPOT, Term.ONE_YEAR, Term.THREE_YEAR)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to pay: how it is told, and its cash flows over each horizon."""

    told: Purchase
    flows: Mapping[int, WayToPay]


def purchases(
    plan: Plan,
    catalog: Catalog,
    discount_rate: float,
    solve: Solve | None = None,
    progress: Progress | None = None,
) -> tuple[Purchase, ...]:
    """Every way to pay for what the plan serves, the plan's own first; empty without a plan.

    With ``solve``, each rental term and each server type gets the cheapest fleet of its own; without
    it, only the planned fleet bought, and the API, stand beside the plan. A way that nobody offers
    has no cost and says so. Used around the clock at the mean demand.
    """
    if plan.totals is None:
        return ()
    traffic = _traffic(plan)
    ways: list[_Way | Purchase] = [_planned(plan, catalog)]
    if solve is not None:
        terms = [t for t in _TERMS if {n.term for n in plan.nodes} != {t.value}]
        for done, term in enumerate(terms):
            if progress is not None:
                progress(done, len(terms), f"paying {term.value}")
            ways.append(_rent(plan, catalog, term, solve))
    ways.append(_own(plan, catalog, solve, progress))
    ways.append(_api(plan, catalog, traffic))
    return tuple(_side_by_side(ways, traffic, discount_rate))


def _side_by_side(
    ways: Iterable[_Way | Purchase], traffic: Traffic, rate: float
) -> Iterator[Purchase]:
    ways = tuple(ways)
    known = [w for w in ways if isinstance(w, _Way)]
    one, three = (
        iter(side_by_side([w.flows[months] for w in known], traffic, months, rate))
        for months in HORIZONS
    )
    paid = iter(cash_flows([w.flows[THREE_YEARS] for w in known], THREE_YEARS))
    for way in ways:
        if isinstance(way, Purchase):
            yield way
            continue
        year, years = next(one), next(three)
        yield replace(
            way.told,
            upfront_usd=years.upfront_usd,
            usd_per_month=years.usd_per_month,
            usd_one_year=year.usd_per_month * ONE_YEAR,
            usd_three_years=years.usd_per_month * THREE_YEARS,
            present_value_usd=years.present_value_usd,
            liability_usd=year.liability_usd,
            break_even_month=years.break_even_month,
            cash_flow_usd=next(paid),
        )


def _planned(plan: Plan, catalog: Catalog) -> _Way:
    way = " + ".join(dict.fromkeys(n.term for n in plan.nodes))
    return _Way(replace(_told(plan, way), planned=True), _paid(plan, way, catalog))


def _rent(plan: Plan, catalog: Catalog, term: Term, solve: Solve) -> _Way | Purchase:
    """The cheapest fleet under one rental term."""
    try:
        answer = solve(restrict(plan.scenario, {"term": term.value}))
    except InputError as error:
        return Purchase(term.value, error.what)
    if answer.totals is None:
        return Purchase(term.value, "no fleet is feasible with what is on offer")
    return _Way(_told(answer, term.value), _paid(answer, term.value, catalog))


def _paid(plan: Plan, way: str, catalog: Catalog) -> dict[int, WayToPay]:
    """A fleet's payments over each horizon: commitments by their terms, the rest by the hour.

    Nodes committed for part of the time only (a fleet that grows) are paid by the hour at their mean.
    """
    shares = {
        (o.provider, o.region, o.instance_type, o.term): o.upfront_share for o in catalog.offers()
    }
    committed: dict[int, tuple[float, float]] = {}
    by_the_hour = 0.0
    for n in plan.nodes:
        months = _TERM_MONTHS.get(Term(n.term))
        if months is None or n.hours_share < 1:
            by_the_hour += n.usd_per_hour
            continue
        ahead = shares.get((n.provider, n.region, n.instance_type, Term(n.term)), 0.0)
        recurring, upfront = committed.get(months, (0.0, 0.0))
        recurring += n.usd_per_hour * (1 - ahead)
        upfront += usd_per_month(n.usd_per_hour * ahead) * months
        committed[months] = (recurring, upfront)
    commitments = [Commitment(hourly, m, upfront) for m, (hourly, upfront) in committed.items()]
    paid = {}
    for months in HORIZONS:
        ways = [reserved(way, c, months) for c in commitments]
        ways.append(rented(way, by_the_hour, months))
        flows = sorted((f for w in ways for f in w.flows), key=lambda f: (f.month, f.item))
        paid[months] = WayToPay(way, tuple(flows), sum(w.liability_usd for w in ways))
    return paid


def _own(
    plan: Plan, catalog: Catalog, solve: Solve | None, progress: Progress | None
) -> _Way | Purchase:
    """Own servers: the cheapest over three years among the GPU types that can be bought."""
    options: list[Option] = []
    gpus = _buyable(plan, catalog)
    for done, gpu in enumerate(gpus):
        fleet = plan if {g.gpu for s in plan.services for g in s.replica_groups} == {gpu} else None
        if fleet is None and solve is not None:
            if progress is not None:
                progress(done, len(gpus), f"buying {gpu}")
            try:
                fleet = solve(restrict(plan.scenario, {"gpu": gpu}))
            except InputError:
                continue
        if fleet is not None and fleet.totals is not None:
            options += buy(fleet, gpu, plan, catalog, HORIZONS)
    if not options:
        return Purchase("owned", "no price of a server that could serve it")
    _, told, flows = min(options, key=lambda option: option[0])
    return _Way(told, flows)


def _buyable(plan: Plan, catalog: Catalog) -> tuple[str, ...]:
    """GPU types that can be bought and that every service may use."""
    allowed = [
        {catalog.gpu(name).name for name in s.search.gpus}
        for s in plan.scenario.services
        if s.search.gpus != "all"
    ]
    gpus = dict.fromkeys(catalog.gpu(row.gpu).name for row in catalog.servers())
    return tuple(g for g in gpus if all(g in names for names in allowed))


def _api(plan: Plan, catalog: Catalog, traffic: Traffic) -> _Way | Purchase:
    """The cheapest API that serves the same model; only for plans of one service."""
    if len(plan.services) != 1:
        return Purchase("API", "only worked out for plans of one service")
    model = plan.services[0].model
    rows = _api_rows(model, catalog)
    if not rows:
        return Purchase("API", f"no API price of {model}")

    def price(row: ApiPriceRow) -> ApiPrice:
        return ApiPrice("API", row.input_usd_per_million, row.output_usd_per_million)

    row = min(rows, key=lambda r: (price(r).usd_per_request(traffic), r.provider))
    told = Purchase(
        way="API",
        what=f"{row.provider}: {row.input_usd_per_million:g} USD per million input tokens, "
        f"{row.output_usd_per_million:g} per million output tokens"
        + ("" if row.model.lower() == model.lower() else f", for its relative {row.model}"),
        as_of=row.as_of,
        source=row.source,
        confidence=row.confidence,
    )
    return _Way(told, {m: called(price(row), traffic, m) for m in HORIZONS})


def _api_rows(model: str, catalog: Catalog) -> list[ApiPriceRow]:
    """Prices of the model itself; else of checkpoints that share its config, and so its cost to serve."""
    prices = catalog.api_prices()
    own = [r for r in prices if r.model.lower() == model.lower()]
    shared = ({n.lower() for n in entry.names} for entry in catalog.model_index())
    relatives = next((names for names in shared if model.lower() in names), set())
    return own or [r for r in prices if r.model.lower() in relatives]


def _told(plan: Plan, way: str) -> Purchase:
    """A rented fleet in words, with the oldest of its price dates."""
    return Purchase(
        way=way,
        what=" and ".join(
            f"{n.count} x {n.instance_type} ({n.provider}, {n.gpus_per_node} x {n.gpu})"
            for n in rented_offers(plan)
        ),
        as_of=min((n.price_as_of for n in plan.nodes), default=""),
        source="; ".join(dict.fromkeys(n.price_source for n in plan.nodes)),
        confidence="; ".join(dict.fromkeys(n.price_confidence for n in plan.nodes)),
    )


def _traffic(plan: Plan) -> Traffic:
    """Mean demand of the whole plan."""
    served = {s.name: s.served_qps for s in plan.services}
    rate = sum(served.values())
    lengths = {s.name: lengths_of(s) for s in plan.scenario.services}
    return Traffic(
        rate_qps=rate,
        prompt_tokens=sum(served[n] * x.mean_prompt for n, x in lengths.items()) / rate,
        output_tokens=sum(served[n] * x.mean_output for n, x in lengths.items()) / rate,
    )
