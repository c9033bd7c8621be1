from __future__ import annotations

import numpy as np
import pytest

from planner.workload.length_tables import is_quantile_table, read_quantiles
from planner.workload.rate_series import read_rates
from planner.workload.trace import Trace, read_trace, shipped_traces
from planner.workload.trace_statistics import describe


def test_a_poisson_trace_looks_like_one():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.exponential(0.1, 20_000))
    lengths = rng.integers(10, 100, 20_000)
    found = describe(Trace("t", lengths, lengths, times - times[0]))
    assert found.mean_qps == pytest.approx(10, rel=0.03)
    assert found.interarrival_cv == pytest.approx(1, abs=0.03)
    assert found.burst_cv[1.0] == pytest.approx(1, abs=0.05)
    assert found.correlation == pytest.approx(1)
    assert found.prefix_share is None


def test_prefix_share_counts_leading_blocks_seen_before():
    trace = Trace(
        "t",
        np.array([1024, 1024, 1024, 600]),
        np.ones(4, np.int64),
        np.arange(4.0),
        prefix=((1, 2), (1, 3), (4, 2), (1, 2)),
    )
    # second: one block; third: none, since its first block is new; fourth: all 600 tokens
    assert describe(trace).prefix_share == pytest.approx((512 + 600) / (3 * 1024 + 600))


def test_lengths_alone_have_no_rates():
    found = describe(Trace("t", np.array([5, 6]), np.array([1, 1])))
    assert found.mean_qps is None
    assert found.peak_qps == {}


@pytest.mark.parametrize("name", sorted(shipped_traces()))
def test_every_shipped_file_loads_as_it_is(name):
    if name == "servegen_rates":
        assert read_rates(name, "language/m-large").window_s == 600
    elif is_quantile_table(name):
        assert len(read_quantiles(name)) > 100
    else:
        trace = read_trace(name)
        assert trace.span_s > 0
        assert (trace.prefix is not None) == name.startswith("mooncake")
