import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.fleet.candidates.buckets import buckets_of, served_lengths
from planner.scenario.schema import Scenario
from planner.workload.lengths import lengths_of

SERVICE = Scenario.model_validate(
    {
        "model": "meta-llama/Llama-3.1-8B-Instruct",
        "rate": 10,
        "prompt_tokens": {"mean": 1500, "cv": 1.5},
        "output_tokens": {"mean": 200, "cv": 0.5},
        "slo": {"ttft_p99": "2s"},
        "buckets": {"prompt_tokens": (1000, 4000)},
    }
).services[0]
LENGTHS = lengths_of(SERVICE)
BUCKETS = buckets_of("s", LENGTHS, SERVICE.buckets)


def test_one_bucket_alone_keeps_its_lengths():
    longest = BUCKETS[-1]
    served = served_lengths(BUCKETS, {longest.key: 3.0})
    assert served.prompt.min() > 4000
    assert served.mean_prompt == pytest.approx(longest.lengths.mean_prompt, rel=0.02)


@given(rates=st.lists(st.floats(0.01, 10), min_size=3, max_size=3))
def test_a_mix_has_the_mean_of_its_parts(rates):
    served = served_lengths(BUCKETS, {b.key: r for b, r in zip(BUCKETS, rates, strict=True)})
    for moment in ("mean_prompt", "mean_output"):
        mean = sum(r * getattr(b.lengths, moment) for b, r in zip(BUCKETS, rates, strict=True))
        assert getattr(served, moment) == pytest.approx(mean / sum(rates), rel=0.05)


def test_every_bucket_at_its_share_is_the_whole_service():
    served = served_lengths(BUCKETS, {b.key: b.share for b in BUCKETS})
    assert served.mean_prompt == pytest.approx(LENGTHS.mean_prompt, rel=0.01)
    assert served.mean_context_in_flight == pytest.approx(LENGTHS.mean_context_in_flight, rel=0.02)


def test_a_service_without_buckets_is_served_whole():
    whole = buckets_of("s", LENGTHS, None)
    assert served_lengths(whole, {}) is LENGTHS
