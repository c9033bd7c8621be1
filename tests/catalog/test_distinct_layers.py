"""What is computed of each distinct layer once holds for every layer."""

from __future__ import annotations

import pytest

from planner.catalog.model import MoeMlp, distinct_layers, layer_counts
from planner.catalog.store import load_catalog
from planner.performance.loads import blocks_of
from planner.sizing.cache.kv_cache import growing_layers, keeps_all_tokens

CATALOG = load_catalog()


@pytest.mark.parametrize("name", CATALOG.model_names()[::5])
def test_distinct_layers_stand_for_all(name: str) -> None:
    model = CATALOG.model(name)
    assert sum(count for _, count in layer_counts(model)) == len(model.layers)
    assert set(distinct_layers(model)) == set(model.layers)
    assert growing_layers(model) == sum(map(keeps_all_tokens, model.layers))
    experts, blocks = blocks_of(model)
    assert experts == sum(isinstance(y.mlp, MoeMlp) for y in model.layers)
    assert blocks == sum((y.mixer is not None) + (y.mlp is not None) for y in model.layers)
