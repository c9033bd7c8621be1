"""Prompt tokens found in a prefix cache need a cache that is on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from planner.catalog.store import Catalog
from planner.fleet.candidates.deployments import deployments
from planner.scenario.schema import Service
from planner.sizing.batch_limits import prefix_caching

GPU = "h100-sxm-80gb"
HYBRID = "Qwen/Qwen3-Next-80B-A3B-Instruct"


def chat(model: str, share: float, **settings: bool) -> Service:
    search = {"gpus": [GPU], "tensor_parallel": [4], "settings": settings}
    return Service.model_validate(
        {
            "model": model,
            "rate": 1,
            "prompt_tokens": 1000,
            "output_tokens": 100,
            "slo": {"ttft_p99": "2s", "tpot_p99": "50ms"},
            "search": search,
            "assumptions": {"prefix_hit_share": share},
        }
    )


def test_hits_in_a_cache_that_is_off_are_refused() -> None:
    with pytest.raises(ValidationError, match="cache that is off"):
        chat("Qwen/Qwen3-32B", 0.5, prefix_caching=False)
    assert chat("Qwen/Qwen3-32B", 0.0, prefix_caching=False)


@pytest.mark.parametrize(("share", "expected"), [(0.0, None), (0.5, True)])
def test_a_cache_that_an_engine_leaves_off_is_switched_on_for_hits(
    catalog: Catalog, share: float, expected: bool | None
) -> None:
    found = list(deployments(chat(HYBRID, share), catalog, (GPU,)))
    assert found
    assert {d.settings.prefix_caching for d in found} == {expected}
    assert all(prefix_caching(d) for d in found) == bool(expected)


def test_a_cache_that_is_on_by_default_stays_the_engines_own_choice(catalog: Catalog) -> None:
    found = list(deployments(chat("Qwen/Qwen3-32B", 0.5), catalog, (GPU,)))
    assert {d.settings.prefix_caching for d in found} == {None}
