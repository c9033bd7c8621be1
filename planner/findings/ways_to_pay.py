"""A plan's question under every way to pay: rent, spot, commitments, own servers, an API.

All ways are compared over the plan's horizon, with the need going on or ending as the scenario says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from planner.catalog.offer import Term
from planner.catalog.store import Catalog
from planner.comparison.options import Progress
from planner.comparison.restriction import restrict
from planner.errors import InputError
from planner.findings.api_tokens import api_price, api_quotes
from planner.findings.break_even import PaymentOption, break_even_months
from planner.findings.owned_servers import Meanwhile, buy
from planner.findings.ranges import with_rented_range
from planner.findings.resale import sold_at_horizon_usd
from planner.findings.same_work import serves_less
from planner.findings.schema import Purchase
from planner.fleet.offers.admitted import offers_of, offers_of_file
from planner.money.ways_to_pay import Traffic, WayToPay, called, held, side_by_side
from planner.plan.labels import rented as rented_offers
from planner.plan.money import Rental
from planner.plan.rented_nodes import RentedNodes
from planner.plan.schema import NodeCount, Plan
from planner.scenario.schema import Scenario
from planner.solving.lookahead import Solve
from planner.solving.side_questions import NotAsked
from planner.units import HOURS_PER_MONTH
from planner.workload.lengths import lengths_of

_TERMS = (Term.ON_DEMAND, Term.SPOT, Term.ONE_YEAR, Term.THREE_YEAR)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to pay: how it is described, and its payments."""

    text: Purchase
    paid: WayToPay


def purchases(
    plan: Plan,
    catalog: Catalog,
    discount_rate: float,
    solve: Solve | None = None,
    progress: Progress | None = None,
) -> tuple[Purchase, ...]:
    """Every way to pay for what the plan serves, the plan's own first; empty where it serves nothing.

    With ``solve``, each rental term and each server type gets the cheapest fleet of its own; without
    it, only the planned fleet bought, and the API, are listed with the plan. A way that nobody offers
    has no cost and says so.
    """
    if plan.totals is None or not any(s.served_qps for s in plan.services):
        return ()
    traffic = traffic_of(plan)
    planned = _paid(plan, " + ".join(dict.fromkeys(n.term for n in plan.nodes)), catalog)
    ways: list[_Way | Purchase] = [replace(planned, text=replace(planned.text, planned=True))]
    if solve is not None:
        offered = terms_on_offer(plan.scenario, catalog)
        terms = [t for t in offered if {n.term for n in plan.nodes} != {t.value}]
        for done, term in enumerate(terms):
            if progress is not None:
                progress(done, len(terms), f"paying {term.value}")
            ways.append(_rent(plan, term, solve, catalog))
    meanwhile = _meanwhile(plan, ways, catalog)
    ways.append(_own(plan, meanwhile, catalog, solve, progress))
    ways.append(_api(plan, catalog, traffic))
    return tuple(_side_by_side(ways, plan, traffic, discount_rate))


def _side_by_side(
    ways: Iterable[_Way | Purchase], plan: Plan, traffic: Traffic, rate: float
) -> Iterator[Purchase]:
    ways = tuple(ways)
    known = [w.paid for w in ways if isinstance(w, _Way)]
    rows = iter(side_by_side(known, traffic, plan.scenario.horizon.months, rate))
    base = next(_payment_option(w) for w in ways if isinstance(w, _Way))
    for way in ways:
        if isinstance(way, Purchase):
            yield way
            continue
        row = next(rows)
        mine = _payment_option(way)
        first = way.paid is known[0]
        cash, counted = (None, None) if first else break_even_months(mine, base, rate)
        yield replace(
            way.text,
            cost_usd=row.cost_usd,
            usd_per_month=row.usd_per_month,
            left_usd=row.left_usd,
            due_at_signature_usd=row.due_at_signature_usd,
            upfront_usd=row.upfront_usd,
            first_year_usd=row.first_year_usd,
            cash_usd=row.cash_usd,
            owed_usd=row.owed_usd,
            present_value_usd=row.present_value_usd,
            break_even_month=cash,
            counted_break_even_month=counted,
            leaves=mine.leaves or base.leaves,
            owed_early_usd=_owed_early_usd(mine),
            sold_usd=sold_at_horizon_usd(way.paid.ledger, rate) if way.text.owned else 0.0,
            cash_flow_usd=way.paid.ledger.by_month(),
        )


def _payment_option(way: _Way) -> PaymentOption:
    """The way as it stands month by month."""
    return PaymentOption(
        way.paid.ledger, tuple(r.holding for r in way.text.rentals), way.text.owned
    )


def _owed_early_usd(way: PaymentOption) -> float:
    """The most that giving up at the end of a month of the horizon leaves to be paid [USD]."""
    return max(
        math.fsum(h.usd_per_month * (1 - h.upfront_share) * h.exit_months(m) for h in way.holdings)
        for m in range(way.ledger.months + 1)
    )


def _rent(plan: Plan, term: Term, solve: Solve, catalog: Catalog) -> _Way | Purchase:
    """The cheapest fleet under one rental term."""
    try:
        answer = solve(restrict(plan.scenario, {"term": term.value}))
    except InputError as error:
        return Purchase(term.value, error.what)
    if answer.totals is None:
        return Purchase(term.value, "no fleet is feasible with what is on offer")
    less = serves_less(answer, plan)
    return Purchase(term.value, less) if less else _paid(answer, term.value, catalog)


def terms_on_offer(question: Scenario, catalog: Catalog) -> tuple[Term, ...]:
    """The usual terms, and every other that the scenario's own quotes are for, the shortest first."""
    quotes = offers_of_file(question, catalog)
    quoted = {o.term for o in quotes if o.term.months and o.term not in _TERMS}
    return (*_TERMS, *sorted(quoted, key=lambda t: t.months))


def _paid(plan: Plan, way: str, catalog: Catalog) -> _Way:
    """A fleet's payments: commitments by their terms from when they begin, the rest by the hour."""
    rentals, horizon = rentals_of(plan), plan.scenario.horizon
    paid = held(way, (r.holding for r in rentals), horizon.months, ends=horizon.ends)
    text = with_rented_range(replace(_text(plan, way), rentals=rentals), plan.scenario, catalog)
    return _Way(text, paid)


def rentals_of(plan: Plan) -> tuple[Rental, ...]:
    """The plan's holdings; of a plan that does not state them, its nodes held to the horizon's end."""
    months = plan.scenario.horizon.months
    return plan.rentals or tuple(_rental(n, months) for n in plan.nodes)


def _rental(node: NodeCount, horizon_months: int) -> Rental:
    """A node held throughout; a commitment paid for part of the time began that much before the end."""
    committed = Term(node.term).months > 0
    months = math.ceil(horizon_months * node.hours_share - 1e-9) if committed else horizon_months
    share = 1.0 if committed else node.hours_share
    return Rental(
        **{field: getattr(node, field) for field in RentedNodes.model_fields},
        from_month=horizon_months - months + 1,
        months=months,
        hours_per_month=share * HOURS_PER_MONTH,
        upfront_share=node.upfront_share,
    )


def _meanwhile(
    plan: Plan, ways: Iterable[_Way | Purchase], catalog: Catalog
) -> Meanwhile | Purchase:
    """What can be rented for a few months: the first way without commitments, else the plan's nodes
    at their price on demand; returned as a way without a cost where that is not known.
    """
    for way in ways:
        if isinstance(way, _Way) and not any(r.holding.term_months for r in way.text.rentals):
            what = "the plan is rented" if way.text.planned else f"{way.text.way} is rented"
            return Meanwhile(what, way.text.rentals, way.paid.ledger)
    rentals = _on_demand(plan, catalog)
    if rentals is None:
        return Purchase("owned", "no price on demand for the months until delivery")
    horizon = plan.scenario.horizon
    paid = held("on-demand", (r.holding for r in rentals), horizon.months, ends=horizon.ends)
    return Meanwhile("the planned nodes are rented on demand", rentals, paid.ledger)


def _on_demand(plan: Plan, catalog: Catalog) -> tuple[Rental, ...] | None:
    """The planned nodes by the hour, at their own offers on demand; None where one has none."""
    requested = restrict(plan.scenario, {"term": Term.ON_DEMAND.value})
    try:
        offers = offers_of(requested, catalog)
    except InputError:
        return None
    prices = {(o.provider, o.region, o.instance_type): o.usd_per_hour for o in offers}
    found = []
    for rental in rentals_of(plan):
        price = prices.get((rental.provider, rental.region, rental.instance_type))
        if price is None:
            return None
        by_the_hour = {"term": Term.ON_DEMAND.value, "usd_per_hour_each": price, "upfront_share": 0}
        found.append(rental.model_copy(update=by_the_hour))
    return tuple(found)


def _own(
    plan: Plan,
    meanwhile: Meanwhile | Purchase,
    catalog: Catalog,
    solve: Solve | None,
    progress: Progress | None,
) -> _Way | Purchase:
    """Own servers: the cheapest over the horizon among the GPU types that can be bought."""
    if isinstance(meanwhile, Purchase):
        return meanwhile
    horizon = plan.scenario.horizon
    options: list[_Way] = []
    none = "no price of a server that could serve it"
    gpus = _buyable(plan, catalog)
    for done, gpu in enumerate(gpus):
        groups = plan.groups
        fleet = plan if {name for g in groups for name in g.gpus_by_type} == {gpu} else None
        if fleet is None and solve is not None:
            if progress is not None:
                progress(done, len(gpus), f"buying {gpu}")
            try:
                fleet = solve(restrict(plan.scenario, {"gpu": gpu}))
            except NotAsked as left:
                none = left.what
                continue
            except InputError:
                continue
        if fleet is not None and fleet.totals is not None and not serves_less(fleet, plan):
            found = buy(fleet, gpu, meanwhile, catalog, horizon.months, ends=horizon.ends)
            options += (_Way(text, paid) for text, paid in found)
    if not options:
        return Purchase("owned", none)
    return min(options, key=lambda way: way.paid.ledger.cost_usd)


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
    """The cheapest APIs that serve the same models, or the nearest to them, for all services together."""
    quotes = api_quotes(plan, catalog)
    if not quotes:
        return Purchase("API", "nothing is served")
    missing = [q.model for q in quotes if not q.rows]
    if missing:
        return Purchase("API", f"no API price of {', '.join(missing)}, nor of a model near to it")
    months = plan.scenario.horizon.months
    price = api_price(quotes, cheapest=True)
    paid = called(price, traffic, months)
    dearest = called(api_price(quotes, cheapest=False), traffic, months)
    best = [q.best for q in quotes]
    text = Purchase(
        way="API",
        what="; ".join(q.described(named=len(quotes) > 1) for q in quotes),
        as_of=min(row.as_of for row in best),
        source="; ".join(dict.fromkeys(row.source for row in best)),
        confidence="; ".join(dict.fromkeys(row.confidence for row in best)),
        api=price,
        low_usd=paid.ledger.cost_usd,
        high_usd=dearest.ledger.cost_usd,
    )
    return _Way(text, paid)


def _text(plan: Plan, way: str) -> Purchase:
    """A rented fleet in words, with the oldest of its price dates."""
    return Purchase(
        way=way,
        what=" and ".join(_in_words(rented_offers(plan))),
        as_of=min((n.price_as_of for n in plan.nodes if n.price_as_of), default=""),
        source="; ".join(dict.fromkeys(n.price_source for n in plan.nodes)),
        confidence="; ".join(dict.fromkeys(n.price_confidence for n in plan.nodes)),
    )


def _in_words(nodes: Iterable[NodeCount]) -> Iterator[str]:
    """Each instance type once, however many regions it is rented in."""
    same: dict[tuple[str, str, int, str], list[NodeCount]] = {}
    for n in nodes:
        same.setdefault((n.instance_type, n.provider, n.gpus_per_node, n.gpu), []).append(n)
    for (instance, provider, gpus, gpu), rented in same.items():
        regions = len({n.region for n in rented})
        spread = f", in {regions} regions" if regions > 1 else ""
        count = sum(n.count for n in rented)
        yield f"{count} x {instance} ({provider}, {gpus} x {gpu}{spread})"


def traffic_of(plan: Plan) -> Traffic:
    """Demand of the whole plan: today's rate, growing as the horizon says to the mean that is served."""
    served = {s.name: s.served_qps for s in plan.services}
    rate = sum(served.values())
    lengths = {s.name: lengths_of(s) for s in plan.scenario.services}
    horizon = plan.scenario.horizon
    return Traffic(
        rate_qps=rate / horizon.mean_growth(1, horizon.months),
        prompt_tokens=sum(served[n] * x.mean_prompt for n, x in lengths.items()) / rate,
        output_tokens=sum(served[n] * x.mean_written for n, x in lengths.items()) / rate,
        growth_per_month=horizon.growth_per_month,
    )
