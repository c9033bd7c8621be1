"""Buckets hold every request once, and short ones may be served by GPUs that long ones do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from planner.fleet.candidates.buckets import buckets_of
from planner.scenario.fleet import Buckets
from planner.scenario.lengths import Lengths
from planner.workload.lengths import joint_lengths

LENGTHS = joint_lengths(Lengths(mean=800, cv=1.2), Lengths(mean=200, cv=0.8))


def test_without_bounds_the_service_is_one_bucket() -> None:
    (only,) = buckets_of("chat", LENGTHS, None)
    assert (only.key, only.share, only.lengths) == ("chat", 1.0, LENGTHS)


def test_every_request_is_in_one_bucket_within_its_bounds() -> None:
    buckets = buckets_of("chat", LENGTHS, Buckets(prompt_tokens=(500, 2000), output_tokens=(100,)))
    assert sum(b.share for b in buckets) == pytest.approx(1.0)
    assert sum(len(b.lengths.prompt) for b in buckets) == len(LENGTHS.prompt)
    assert len({b.key for b in buckets}) == len(buckets) == 6
    first = buckets[0]
    assert first.key == "chat (prompt <= 500, output <= 100)"
    assert first.lengths.prompt.max() <= 500
    assert first.lengths.output.max() <= 100
    assert buckets[-1].lengths.prompt.min() > 2000


def test_empty_buckets_are_left_out() -> None:
    buckets = buckets_of("chat", LENGTHS, Buckets(prompt_tokens=(1_000_000,)))
    assert [b.key for b in buckets] == ["chat (prompt <= 1000000)"]


def test_the_mean_is_kept() -> None:
    buckets = buckets_of("chat", LENGTHS, Buckets(prompt_tokens=(500,)))
    mean = np.sum([b.share * b.lengths.mean_prompt for b in buckets])
    assert mean == pytest.approx(LENGTHS.mean_prompt)
