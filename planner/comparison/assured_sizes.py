"""How sure a fleet is to hold its targets, by its size; and what fleets that are surer cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from planner.comparison.deciding import Decider
from planner.fleet.candidates.assurance import uncertainty
from planner.fleet.candidates.candidate import Candidate
from planner.fleet.candidates.derating import sigma_of_cv
from planner.fleet.candidates.robustness import SizeChance, size_chances
from planner.scenario.fleet import Assurance
from planner.scenario.schema import Scenario, Service
from planner.solving.side_questions import SideQuestions
from planner.solving.stages import Decided

MOST_TIMES_PLANNED = 5
PROBABILITIES = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class ServiceAssurance:
    """Probability to hold against the number of replicas, for a service of one replica kind."""

    service: str
    candidate: Candidate
    model_sigma: float
    planned_replicas: int
    chances: tuple[SizeChance, ...]


@dataclass(frozen=True)
class SizedFor:
    """The cheapest fleet sized to hold every target with a probability."""

    probability: float
    decided: Decided


def _forecast_cv(service: Service, demand_cv: float | None) -> float:
    """How uncertain a forecast is taken to be: as said here, or as the service says."""
    if demand_cv is not None:
        return demand_cv
    return service.assurance.demand_cv if service.assurance is not None else 0.0


def assurance_of(decided: Decided, demand_cv: float | None) -> tuple[ServiceAssurance, ...]:
    """For each service on one replica kind: how sure its number of replicas is in the busiest period."""
    tables = []
    used, factors = decided.replicas(), decided.capacity_factors()
    for service in decided.scenario.services:
        kinds = [k for k in used if decided.by_key[k].service == service.name]
        if len(kinds) != 1 or service.buckets is not None:
            continue
        rates = [d.rates_qps for d in decided.problem.demands if d.service == service.name]
        candidate = decided.by_key[kinds[0]]
        unsure = uncertainty(candidate, service).times(factors.get(kinds[0], 1.0))
        chances = size_chances(
            unsure,
            gpus_per_replica=candidate.gpus,
            rate_qps=max(map(sum, zip(*rates, strict=True))),
            demand_sigma=sigma_of_cv(_forecast_cv(service, demand_cv)),
            up_to=0.99,
            max_replicas=MOST_TIMES_PLANNED * (used[kinds[0]] + 1),
        )
        tables.append(
            ServiceAssurance(service.name, candidate, unsure.model_sigma, used[kinds[0]], chances)
        )
    return tuple(tables)


def sized_for_probabilities(
    decider: Decider,
    scenario: Scenario,
    demand_cv: float | None,
    factors: Mapping[str, float],
    asked: SideQuestions,
) -> tuple[SizedFor, ...]:
    """The cheapest fleet at each probability to hold every target."""
    sized = []
    for probability in PROBABILITIES:
        services = tuple(
            s.model_copy(
                update={
                    "assurance": Assurance(
                        probability=probability, demand_cv=_forecast_cv(s, demand_cv)
                    )
                }
            )
            for s in scenario.services
        )
        surer = scenario.model_copy(update={"services": services})
        label = f"sized for a probability of {probability:g}"
        decided = asked.ask(label, partial(decider.decide, surer, factors), None)
        if decided is not None:
            sized.append(SizedFor(probability, decided))
    return tuple(sized)
