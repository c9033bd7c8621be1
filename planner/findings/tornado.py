"""A paired tornado: each input moved to its low and to its high end by itself, and what it costs then.

The ends are those of the data: prices of the same GPU on offer, the prediction interval of the step time, the
rows' ranges of what servers cost; demand and lengths move by a fifth where the scenario states no spread.

A step that takes ``f`` times as long is answered exactly by the same fleet in a time ``f`` times as slow:
``f`` times the rate with every target a factor ``f`` shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from planner.comparison import restriction
from planner.comparison.options import Progress
from planner.errors import InputError
from planner.findings.owned_servers import paid
from planner.findings.ownership_terms import OwnershipTerms
from planner.findings.schema import PLAN, OwnedFleet, Purchase, Swing
from planner.money.ledger import ledger
from planner.money.ownership import OwnedServer
from planner.plan.schema import Plan
from planner.scenario.schema import Scenario, Service
from planner.scenario.slo import Slo
from planner.scenario.task import GENERATE
from planner.solving.lookahead import Solve, expect
from planner.solving.side_questions import NotAsked
from planner.units import dollars

SPREAD = 0.2  # of demand and lengths, where nothing better is known
HITS = 0.3  # prefix hits more than assumed, at the high end

OWNED = "owned"


@dataclass(frozen=True, slots=True)
class _End:
    """One end of a pair: in words, and the question with the input there."""

    text: str
    moved: Scenario


def swings(
    plan: Plan,
    ways: tuple[Purchase, ...],
    terms: OwnershipTerms,
    solve: Solve,
    progress: Progress | None = None,
) -> tuple[Swing, ...]:
    """Every input whose ends are known, the widest first among those of the plan, then of servers."""
    pairs = tuple(_pairs(plan, ways))
    expect(solve, (end.moved for _, low, high in pairs for end in (low, high)))
    found = []
    for done, (name, low, high) in enumerate(pairs):
        if progress is not None:
            progress(done, len(pairs), f"{name} {low.text} to {high.text}")
        with suppress(NotAsked):
            costs = [_usd_per_month(end.moved, solve) for end in (low, high)]
            found.append(Swing(name, PLAN, low.text, high.text, *costs))
    found.sort(key=lambda s: -s.width_usd)
    return (*found, *sorted(_of_servers(plan, ways, terms), key=lambda s: -s.width_usd))


def _usd_per_month(question: Scenario, solve: Solve) -> float | None:
    try:
        totals = solve(question).totals
    except NotAsked:
        raise
    except InputError:
        return None
    return totals.usd_per_month if totals else None


def _pairs(plan: Plan, ways: tuple[Purchase, ...]) -> Iterator[tuple[str, _End, _End]]:
    question = plan.scenario
    planned = next((w for w in ways if w.planned), None)
    if planned is not None and planned.cost_usd and planned.low_usd and planned.high_usd:
        ends = [usd / planned.cost_usd for usd in (planned.low_usd, planned.high_usd)]
        gpus = () if ends[0] == ends[1] else tuple(dict.fromkeys(n.gpu for n in plan.nodes))
        if gpus:
            yield _pair(
                "Price of the planned GPUs", ends, lambda q, f: _with_prices(q, gpus, f), question
            )
    rate = sum(s.rate for s in question.services)
    yield _pair(
        "Demand", _spread(question), lambda q, f: restriction.with_rate(q, rate * f), question
    )
    if all(_has_means(s) for s in question.services):
        yield _pair("Lengths", (1 - SPREAD, 1 + SPREAD), _with_lengths, question)
    step = _step_time(plan)
    if step is not None:
        yield _pair("Step time", step, _with_step_time, question)
    if any(_thinks(s) for s in question.services):
        yield _pair("Think time", (0.5, 2.0), _with_think_time, question)
    if any(s.conversations is None for s in question.services):
        yield _hits(question)


def _has_means(service: Service) -> bool:
    """Whether its lengths are its own, and stated by their means."""
    return bool(service.prompt_tokens.mean and service.output_tokens.mean and not service.classes)


def _thinks(service: Service) -> bool:
    return service.conversations is not None and service.conversations.think_time is not None


def _with_think_time(question: Scenario, factor: float) -> Scenario:
    def paused(service: Service) -> Service:
        talk = service.conversations
        if talk is None or talk.think_time is None:
            return service
        talk = talk.model_copy(update={"think_time": talk.think_time.times(factor)})
        return service.model_copy(update={"conversations": talk})

    return _each(question, paused)


def _pair(
    name: str,
    ends: tuple[float, float] | list[float],
    move: Callable[[Scenario, float], Scenario],
    question: Scenario,
) -> tuple[str, _End, _End]:
    low, high = (_End(_change(f), move(question, f)) for f in ends)
    return name, low, high


def _change(factor: float) -> str:
    percent = round(100 * (factor - 1))
    return f"{percent:+d} %" if percent else "as planned"


def _spread(question: Scenario) -> tuple[float, float]:
    """A standard deviation of the forecast where the scenario states one."""
    stated = [s.assurance.demand_cv for s in question.services if s.assurance is not None]
    spread = max(stated, default=0.0) or SPREAD
    return max(0.05, 1 - spread), 1 + spread


def _with_prices(question: Scenario, gpus: tuple[str, ...], factor: float) -> Scenario:
    for gpu in gpus:
        question = restriction.with_price_factor(question, factor, of=gpu)
    return question


def _with_lengths(question: Scenario, factor: float) -> Scenario:
    def longer(service: Service) -> Service:
        lengths = {
            name: value.model_copy(update={"mean": max(1.0, (value.mean or 1.0) * factor)})
            for name, value in (
                ("prompt_tokens", service.prompt_tokens),
                ("output_tokens", service.output_tokens),
            )
            if name == "prompt_tokens" or service.task == GENERATE
        }
        talk = service.conversations
        if talk is None or talk.growth is None or talk.growth.mean is None:
            return service.model_copy(update=lengths)
        growth = talk.growth.model_copy(update={"mean": talk.growth.mean * factor})
        shared = talk.shared_system_prompt * factor
        talk = talk.model_copy(update={"growth": growth, "shared_system_prompt": shared})
        return service.model_copy(update={**lengths, "conversations": talk})

    return _each(question, longer)


def _step_time(plan: Plan) -> tuple[float, float] | None:
    """The steps at both ends of their interval over those predicted, the widest of the plan's groups."""
    groups = [group for service in plan.services for group in service.replica_groups]
    ends = [g.predicted.step_factors for g in groups if g.predicted.step_factors is not None]
    if not ends:
        return None
    return min(low for low, _ in ends), max(high for _, high in ends)


def _with_step_time(question: Scenario, factor: float) -> Scenario:
    def slower(service: Service) -> Service:
        targets = tuple(
            t.model_copy(update={"seconds": t.seconds / factor}) for t in service.slo.targets
        )
        slo = Slo(targets=targets, goodput=service.slo.goodput)
        return service.model_copy(update={**service.rate_change(service.rate * factor), "slo": slo})

    return _each(question, slower)


def _hits(question: Scenario) -> tuple[str, _End, _End]:
    assumed = max(s.assumptions.prefix_hit_share for s in question.services)
    low, high = 0.0, min(0.95, assumed + HITS)
    ends = [
        _End(f"{100 * share:.0f} %", _each(question, partial(_with_hits, share=share)))
        for share in (low, high)
    ]
    return "Prefix hits", ends[0], ends[1]


def _with_hits(service: Service, share: float) -> Service:
    if service.conversations is not None:  # theirs are simulated
        return service
    assumptions = service.assumptions.model_copy(update={"prefix_hit_share": share})
    return service.model_copy(update={"assumptions": assumptions})


def _each(question: Scenario, change: Callable[[Service], Service]) -> Scenario:
    return question.model_copy(update={"services": tuple(map(change, question.services))})


def _of_servers(plan: Plan, ways: tuple[Purchase, ...], terms: OwnershipTerms) -> Iterator[Swing]:
    """What owning costs a month on average, each of its figures at its low and high end."""
    way = next((w for w in ways if w.owned is not None), None)
    if way is None or way.owned is None or way.low_usd is None or way.high_usd is None:
        return
    owned, months = way.owned, plan.scenario.horizon.months
    if way.low_usd < way.high_usd:
        ends = (way.low_usd / months, way.high_usd / months)
        prices = owned.price_range_usd or (owned.server.price_usd, owned.server.price_usd)
        yield Swing("Server price", OWNED, dollars(prices[0]), dollars(prices[1]), *ends)
    spans = terms.spans
    server = owned.server
    for name, span, at, text in (
        ("Residual", spans["residual"], _residual, _percent),
        ("Resale at 36 months", spans["resale"], _resale, _percent),
        ("Tariff", spans["tariff"], _tariff, lambda x: f"{dollars(x)}/kWh"),
        ("PUE", spans["pue"], _pue, lambda x: f"{x:g}"),
        ("Colocation", spans["colocation"], _colocation, lambda x: f"{dollars(x)}/kW"),
        ("Life", spans["life"], _life, lambda x: f"{x:g} years"),
    ):
        if span.low == span.high:
            continue
        costs = [
            _owned_usd(replace(owned, server=at(server, x)), plan) / months
            for x in (span.low, span.high)
        ]
        yield Swing(name, OWNED, text(span.low), text(span.high), *costs)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _owned_usd(owned: OwnedFleet, plan: Plan) -> float:
    horizon = plan.scenario.horizon
    rented = ledger((r.holding for r in owned.meanwhile), horizon.months, ends=horizon.ends)
    return paid(owned, rented, horizon.months, ends=horizon.ends).ledger.cost_usd


def _residual(server: OwnedServer, x: float) -> OwnedServer:
    return replace(server, residual_share=x)


def _resale(server: OwnedServer, x: float) -> OwnedServer:
    return replace(server, resale=tuple((month, x) for month, _ in server.resale))


def _tariff(server: OwnedServer, x: float) -> OwnedServer:
    return replace(server, tariff_usd_per_kwh=x)


def _pue(server: OwnedServer, x: float) -> OwnedServer:
    return replace(server, pue=x)


def _colocation(server: OwnedServer, x: float) -> OwnedServer:
    return replace(server, colocation_usd_per_kw_month=x)


def _life(server: OwnedServer, x: float) -> OwnedServer:
    return replace(server, life_years=x)
