from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.errors import InputError
from planner.scenario.lengths import Lengths
from planner.workload.lengths import JointLengths, constant, joint_lengths


def test_constant_lengths_are_one_pair():
    lengths = joint_lengths(Lengths(mean=1000), Lengths(mean=500))
    assert len(lengths.prompt) == 1
    assert (lengths.mean_prompt, lengths.mean_output, lengths.max_total) == (1000, 500, 1500)


def test_context_in_flight_of_a_constant_request():
    # cache sizes 10, 11, 12, 13 during the four decode steps of a five-token answer
    assert constant(10, 5).mean_context_in_flight == pytest.approx(11.5)


def test_requests_in_flight_are_length_biased():
    lengths = JointLengths(np.array([100, 100]), np.array([11, 101]))
    # per unit of time the long request is seen ten times as often
    assert lengths.mean_context_in_flight > 100 + 40


@given(mean=st.floats(50, 20_000), cv=st.floats(0.05, 3.0))
def test_lognormal_keeps_its_mean(mean, cv):
    lengths = joint_lengths(Lengths(mean=mean, cv=cv), Lengths(mean=100))
    assert lengths.mean_prompt == pytest.approx(mean, rel=0.02)


@pytest.mark.parametrize("correlation", [-0.9, -0.3, 0.0, 0.5, 0.95])
def test_correlation_of_the_normal_scores(correlation):
    lengths = joint_lengths(Lengths(mean=1000, cv=1), Lengths(mean=5000, cv=0.8), correlation)
    got = np.corrcoef(np.log(lengths.prompt), np.log(lengths.output))[0, 1]
    assert got == pytest.approx(correlation, abs=0.03)


def test_quantiles_are_met():
    lengths = joint_lengths(
        Lengths(quantiles={0.0: 10, 0.5: 100, 0.9: 1000, 1.0: 5000}), Lengths(mean=7)
    )
    assert np.quantile(lengths.prompt, 0.5) == pytest.approx(100, rel=0.02)
    assert np.quantile(lengths.prompt, 0.9) == pytest.approx(1000, rel=0.02)


def test_a_trace_keeps_its_pairs(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("prompt_tokens,output_tokens\n10,1\n20,2\n30,3\n")
    lengths = joint_lengths(Lengths(trace=str(path)), Lengths(trace=str(path), max=2))
    assert lengths.prompt.tolist() == [10, 20, 30]
    assert lengths.output.tolist() == [1, 2, 2]
    mixed = joint_lengths(Lengths(trace=str(path)), Lengths(mean=5))
    assert mixed.mean_prompt == pytest.approx(20, rel=0.01)
    assert set(mixed.output.tolist()) == {5}


def test_samples_follow_the_distribution():
    lengths = joint_lengths(Lengths(mean=1000, cv=1), Lengths(mean=200, cv=0.5))
    prompt, output = lengths.sample(20_000, np.random.default_rng(1))
    assert prompt.mean() == pytest.approx(lengths.mean_prompt, rel=0.05)
    assert output.mean() == pytest.approx(lengths.mean_output, rel=0.05)


def test_empty_and_zero_lengths_are_refused():
    with pytest.raises(InputError, match="at least one"):
        JointLengths(np.array([0]), np.array([5]))
    with pytest.raises(InputError, match="as many prompts"):
        JointLengths(np.array([1]), np.array([5, 6]))


def test_equal_documents_are_paired_once() -> None:
    first = joint_lengths(Lengths(mean=900, cv=0.5), Lengths(mean=90, cv=1.5, max=400))
    again = joint_lengths(Lengths(mean=900, cv=0.5), Lengths(mean=90, cv=1.5, max=400))
    assert again is first
    assert joint_lengths(Lengths(mean=900, cv=0.5), Lengths(mean=90, cv=1.5), 0.0) is not first
    assert (
        joint_lengths(Lengths(mean=900, cv=0.5), Lengths(mean=90, cv=1.5, max=400), 0.5)
        is not first
    )
