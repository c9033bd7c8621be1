"""What was measured of an engine decides its default version, and is said beside a plan."""

from __future__ import annotations

import pytest

from planner.accuracy.measured_range import measured_concurrency, newest_measured
from planner.catalog.engine import version_key
from planner.catalog.store import load_catalog

CATALOG = load_catalog()


@pytest.mark.parametrize("engine", ["vllm", "sglang", "tensorrt-llm"])
def test_the_default_is_the_first_version_listed_that_is_not_older_than_the_newest_measured(
    engine: str,
) -> None:
    chosen = version_key(CATALOG.engine(engine).version)
    released = newest_measured(CATALOG, engine, releases=True)
    newest = newest_measured(CATALOG, engine)
    assert newest is not None
    if released is None:  # only candidates were measured: not a version after the newest of them
        assert chosen <= version_key(newest.version)
        return
    listed = [version_key(e.version) for e in CATALOG.engines() if e.name == engine]
    assert chosen == min(v for v in listed if v >= version_key(released.version))


def test_the_range_is_that_of_the_gpu_where_it_was_measured() -> None:
    here = measured_concurrency(CATALOG, "vllm", "h100-sxm-80gb")
    anywhere = measured_concurrency(CATALOG, "vllm", "l4")
    assert here is not None
    assert anywhere is not None
    assert (here.on_gpu, anywhere.on_gpu) == (True, False)
    assert 1 <= anywhere.least <= here.least < here.most <= anywhere.most


def test_an_engine_without_measurements_has_no_range() -> None:
    assert measured_concurrency(CATALOG, "no-such-engine", "l4") is None
    assert newest_measured(CATALOG, "no-such-engine") is None
