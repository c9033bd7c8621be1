import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog.store import load_catalog
from planner.evidence import Evidence, Interval
from planner.fleet.candidates.assurance import uncertainty
from planner.fleet.candidates.derating import NORMAL, Derating, derating
from planner.fleet.candidates.enumerate import enumerate_candidates
from planner.fleet.candidates.robustness import chance_to_hold
from planner.fleet.offers.admitted import admitted_offers
from planner.performance.factors import load_calibration
from planner.performance.margins import Margin
from planner.performance.steps import StepTimes
from planner.scenario.fleet import Assurance
from planner.scenario.schema import Scenario


@dataclasses.dataclass(frozen=True)
class Unsure:
    """Steps of one second, whose intervals have the given spreads."""

    sigma: dict
    evidence: Evidence = Evidence.MODELLED
    admission_s: float = 0.0
    own: Margin | None = None

    def step_times(self, batch):
        return StepTimes(0.4, 0.2, 0.1, 0.2, 0.1, 1.0)

    def step_seconds(self, batch):
        return 1.0

    @property
    def margin(self):
        if self.own is not None:
            return self.own
        levels = (0.5, 0.8, 0.95)
        steps, ttft = (
            tuple(NORMAL.inv_cdf(level) * self.sigma[kind] for level in levels)
            for kind in ("tpot", "ttft")
        )
        return Margin("modelled", levels, steps, ttft=ttft)

    def interval(self, seconds, kind, level=0.8):
        reach = NORMAL.inv_cdf((1 + level) / 2) * self.sigma[kind]
        return Interval(level, seconds * math.exp(-reach), seconds * math.exp(reach))


@given(
    tpot=st.floats(0.05, 0.5),
    cv=st.floats(0.0, 0.5),
    probability=st.floats(0.5, 0.99),
    capacity=st.floats(1, 10),
)
def test_a_proportional_capacity_is_derated_to_the_exact_quantile(tpot, cv, probability, capacity):
    """c / s against demand: both lognormal, so c exp(-z hypot) holds with the probability."""
    worse = derating(
        Unsure({"tpot": tpot, "ttft": tpot}), Assurance(probability=probability, demand_cv=cv)
    )
    spread = math.hypot(tpot, math.sqrt(math.log1p(cv * cv)))
    exact = capacity * math.exp(-NORMAL.inv_cdf(probability) * spread)
    assert capacity / worse.steps / worse.demand == pytest.approx(exact)


def test_ttft_is_tightened_by_what_it_is_known_less_well():
    steps = Unsure({"tpot": 0.2, "ttft": 0.5})
    worse = derating(steps, Assurance(probability=0.9))
    z = NORMAL.inv_cdf(0.9)
    assert worse.steps * worse.ttft == pytest.approx(math.exp(0.5 * z))
    better_known = derating(Unsure({"tpot": 0.2, "ttft": 0.1}), Assurance(probability=0.9))
    assert better_known.ttft == 1


def test_without_assurance_or_at_even_odds_nothing_is_derated():
    steps = Unsure({"tpot": 0.2, "ttft": 0.5})
    assert derating(steps, None) == Derating()
    assert derating(steps, Assurance(probability=0.5, demand_cv=0.3)) == Derating()
    assert Derating().slowed(steps) is steps


def test_a_margin_is_the_quantile_of_its_grade_and_grows_with_the_probability():
    """Quantiles that are no lognormal's, with a median that is off."""
    margin = Margin("modelled", (0.5, 0.8, 0.9, 0.95), (0.03, 0.1, 0.3, 0.35))
    steps = dataclasses.replace(Unsure({"tpot": 0.2, "ttft": 0.2}), own=margin)
    slow = [
        derating(steps, Assurance(probability=p)).steps for p in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
    ]
    assert slow == sorted(slow)
    assert math.log(slow[0]) == pytest.approx(0.03)
    assert math.log(slow[2]) == pytest.approx(0.1)
    assert math.log(slow[3]) == pytest.approx(0.3)
    assert slow[-1] > math.exp(0.35)


def test_ttft_has_quantiles_of_its_own_whose_median_counts():
    """Steps and TTFT together are TTFT's quantile, at even odds too; none is the steps'."""
    margin = Margin("modelled", (0.5, 0.8, 0.9), (0.01, 0.1, 0.2), ttft=(0.06, 0.3, 0.5))
    steps = dataclasses.replace(Unsure({"tpot": 0.2, "ttft": 0.2}), own=margin)
    for probability, log in ((0.5, 0.06), (0.8, 0.3), (0.9, 0.5)):
        worse = derating(steps, Assurance(probability=probability))
        assert math.log(worse.steps * worse.ttft) == pytest.approx(log)
    alike = dataclasses.replace(steps, own=dataclasses.replace(margin, ttft=()))
    assert derating(alike, Assurance(probability=0.9)).ttft == 1


def test_a_prediction_that_is_too_slow_is_no_margin():
    margin = Margin("modelled", (0.5, 0.8), (-0.2, -0.1))
    steps = dataclasses.replace(Unsure({"tpot": 0.2, "ttft": 0.2}), own=margin)
    assert derating(steps, Assurance(probability=0.8)) == Derating()


@pytest.mark.parametrize("stated", [None, "none"])
def test_none_and_null_size_for_the_prediction_itself(stated):
    (service,) = Scenario.model_validate({**SCENARIO, "assurance": stated}).services
    assert service.assurance is None


def test_a_number_is_a_probability_and_80_percent_is_the_default():
    (default,) = Scenario.model_validate(SCENARIO).services
    (short,) = Scenario.model_validate({**SCENARIO, "assurance": 0.95}).services
    assert default.assurance == Assurance(probability=0.8)
    assert short.assurance == Assurance(probability=0.95)
    again = Scenario.model_validate_json(Scenario.model_validate(SCENARIO).model_dump_json())
    assert again.services[0].assurance == default.assurance


def test_slowed_steps_are_slow_in_every_part():
    slowed = Derating(steps=1.5).slowed(Unsure({"tpot": 0.2, "ttft": 0.2}))
    times = slowed.step_times(None)
    assert times.total_s == slowed.step_seconds(None) == 1.5
    assert times.weights_s == pytest.approx(0.6)
    assert times.overhead_s == pytest.approx(0.15)


def test_slowed_steps_keep_the_time_before_a_request_is_admitted():
    steps = Unsure({"tpot": 0.2, "ttft": 0.2})
    steps_with_delay = dataclasses.replace(steps, admission_s=0.01)
    assert Derating(steps=1.5).slowed(steps_with_delay).admission_s == pytest.approx(0.015)


def test_each_pool_of_a_unit_has_a_margin_of_its_own():
    """The prefill pool's TTFT, either pool's steps, the higher demand of both."""
    prompts, answers = Unsure({"tpot": 0.3, "ttft": 0.6}), Unsure({"tpot": 0.1, "ttft": 0.1})
    asked = Assurance(probability=0.9, demand_cv=0.2)
    worse = derating(answers, asked, prompts)
    mine, theirs = derating(prompts, asked), derating(answers, asked)
    assert worse.prefill_steps == mine.steps > worse.steps == theirs.steps
    assert worse.ttft == mine.ttft > theirs.ttft
    assert worse.demand == max(mine.demand, theirs.demand)
    assert worse.slowed_prefill(prompts).step_seconds(None) == mine.steps
    assert worse.slowed(answers).step_seconds(None) == theirs.steps


def test_equal_pools_are_derated_as_one_replica_is():
    steps, asked = Unsure({"tpot": 0.2, "ttft": 0.5}), Assurance(probability=0.8)
    worse, alone = derating(steps, asked, steps), derating(steps, asked)
    assert (worse.steps, worse.ttft, worse.demand) == (alone.steps, alone.ttft, alone.demand)
    assert worse.prefill_steps == alone.steps
    assert derating(steps, None, steps) == Derating()


SCENARIO = {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "rate": 40,
    "prompt_tokens": 700,
    "output_tokens": 200,
    "slo": {"ttft_p99": "2s", "tpot_p99": "60ms"},
    "search": {"gpus": ("l40s", "h100-sxm-80gb"), "tensor_parallel": (1,), "weights": ("bf16",)},
}


@pytest.mark.parametrize("probability", [0.8, 0.95])
def test_candidates_carry_what_they_hold_with_the_probability(probability):
    catalog = load_catalog()
    calibration = load_calibration(catalog)
    requested = {"probability": probability, "demand_cv": 0.1}
    plain, assured = (
        Scenario.model_validate({**SCENARIO, **extra}).services[0]
        for extra in ({"assurance": None}, {"assurance": requested})
    )
    offers = admitted_offers(Scenario.model_validate(SCENARIO).prices, catalog)
    nominal = enumerate_candidates(plain, catalog, offers, calibration).candidates
    sized = enumerate_candidates(assured, catalog, offers, calibration).candidates
    by_key = {c.key: c for c in nominal}
    assert sized
    for candidate in sized:
        own = by_key[candidate.key]
        assert candidate.capacity.qps < own.capacity.qps
        unsure = uncertainty(own, plain)
        sigma = math.sqrt(math.log1p(0.01))
        chance = chance_to_hold([(unsure, 1)], candidate.capacity.qps, sigma)
        assert chance == pytest.approx(probability, abs=0.02)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    ttft_ms=st.integers(25, 2000),
    probability=st.floats(0.5, 0.99),
    cv=st.floats(0.0, 0.5),
    gpu=st.sampled_from(["l40s", "h100-sxm-80gb", "mi300x"]),
)
def test_asking_for_assurance_never_needs_fewer_gpus(ttft_ms, probability, cv, gpu):
    requested = {**SCENARIO, "slo": {"ttft_p99": ttft_ms / 1e3, "tpot_p99": "80ms"}}
    requested["search"] = {**SCENARIO["search"], "gpus": (gpu,)}
    catalog = load_catalog()
    calibration = load_calibration(catalog)
    assurance = {"probability": probability, "demand_cv": cv}
    plain, assured = (
        Scenario.model_validate({**requested, **extra}).services[0]
        for extra in ({"assurance": None}, {"assurance": assurance})
    )
    offers = admitted_offers(Scenario.model_validate(requested).prices, catalog)
    held = [
        {
            c.key: c.capacity.qps
            for c in enumerate_candidates(s, catalog, offers, calibration).candidates
        }
        for s in (plain, assured)
    ]
    assert all(qps <= held[0].get(key, 0.0) * (1 + 1e-9) for key, qps in held[1].items())


def test_assurance_keeps_the_admission_delay_in_a_tight_ttft_target():
    requested = {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "rate": 200,
        "prompt_tokens": 500,
        "output_tokens": 200,
        "slo": {"ttft_p99": "60ms", "tpot_p99": "80ms"},
        "search": {"gpus": ("h100-sxm-80gb",), "tensor_parallel": (1,), "weights": ("bf16",),
                   "kv_cache": ("bf16",)},
    }  # fmt: skip
    catalog = load_catalog()
    even = Margin("measured kernels", (0.5, 0.8), (0.0, 0.05), ttft=(0.0, 0.05))
    calibration = dataclasses.replace(load_calibration(catalog), margins={"measured kernels": even})
    replicas = []
    for extra in ({"assurance": "none"}, {"assurance": {"probability": 0.51, "demand_cv": 0}}):
        scenario = Scenario.model_validate({**requested, **extra})
        offers = admitted_offers(scenario.prices, catalog)
        (service,) = scenario.services
        (found,) = enumerate_candidates(service, catalog, offers, calibration).candidates
        replicas.append(math.ceil(200 / found.capacity.qps))
    assert replicas[0] <= replicas[1] <= 1.1 * replicas[0]
