"""Prompt tokens found in a prefix cache need a cache that is on."""

from __future__ import annotations

import pytest

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.fleet.candidates.deployments import deployments
from planner.scenario.reader import parse_scenario
from planner.sizing.batch_limits import prefix_caching

HYBRID = "Qwen/Qwen3-Next-80B-A3B-Instruct"


def scenario_text(model: str, share: float, settings: str = "{}") -> str:
    return f"""
model: {model}
rate: 1
prompt_tokens: 1000
output_tokens: 100
slo: {{ttft_p99: 2s, tpot_p99: 50ms}}
search: {{gpus: [h100-sxm-80gb], tensor_parallel: [4], settings: {settings}}}
assumptions: {{prefix_hit_share: {share}}}
"""


def test_hits_in_a_cache_that_is_off_are_refused() -> None:
    with pytest.raises(InputError, match="cache that is off"):
        parse_scenario(scenario_text("Qwen/Qwen3-32B", 0.5, "{prefix_caching: false}"), "chat")


@pytest.mark.parametrize(("share", "expected"), [(0.0, None), (0.5, True)])
def test_a_cache_that_an_engine_leaves_off_is_switched_on_for_hits(
    catalog: Catalog, share: float, expected: bool | None
) -> None:
    service = parse_scenario(scenario_text(HYBRID, share), "chat").services[0]
    found = list(deployments(service, catalog, ("h100-sxm-80gb",)))
    assert found
    assert {d.settings.prefix_caching for d in found} == {expected}
    assert all(prefix_caching(d) for d in found) == bool(expected)


def test_a_cache_that_is_on_by_default_stays_the_engines_own_choice(catalog: Catalog) -> None:
    service = parse_scenario(scenario_text("Qwen/Qwen3-32B", 0.5), "chat").services[0]
    found = list(deployments(service, catalog, ("h100-sxm-80gb",)))
    assert {d.settings.prefix_caching for d in found} == {None}
