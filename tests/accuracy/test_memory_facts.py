"""The memory model meets its targets on logged start-ups, and names every miss with a reason."""

from __future__ import annotations

import pytest

from planner.accuracy.memory_facts import (
    MemoryAccuracy,
    compare,
    memory_accuracy,
    memory_accuracy_markdown,
    memory_facts,
)
from planner.catalog.store import Catalog


@pytest.fixture(scope="module")
def accuracy(catalog: Catalog) -> MemoryAccuracy:
    return memory_accuracy(catalog)


def test_every_target_is_met(accuracy: MemoryAccuracy) -> None:
    missed = [f"{g.name}: {g.median:.3f}, {g.within:.2f}" for g in accuracy.groups if not g.met]
    assert missed == []


def test_the_groups_are_large_enough_to_mean_something(accuracy: MemoryAccuracy) -> None:
    rows = {group.name: group.rows for group in accuracy.groups}
    assert rows["KV bytes per token, full attention and MLA"] >= 40
    assert rows["BF16 weights per GPU"] >= 30
    assert rows["quantised weights per GPU"] >= 15
    assert rows["KV pool, GPU and fraction known"] >= 30


def test_every_miss_has_a_reason(accuracy: MemoryAccuracy) -> None:
    assert accuracy.misses
    assert all(miss.reason for miss in accuracy.misses)


def test_every_fact_names_its_source_and_something_printed(catalog: Catalog) -> None:
    for fact in memory_facts(catalog):
        assert fact.source
        assert any((fact.weights_gib, fact.kv_pool_gib, fact.kv_tokens)), fact.label


def test_errors_are_planned_over_printed(catalog: Catalog) -> None:
    fact = next(f for f in memory_facts(catalog) if f.pool_known and f.kv_pool_gib)
    assert fact.kv_pool_gib is not None
    twice = fact.model_copy(update={"kv_pool_gib": 2 * fact.kv_pool_gib})
    first, second = compare(catalog, fact).pool, compare(catalog, twice).pool
    assert first is not None
    assert second is not None
    assert (1 + second) == pytest.approx((1 + first) / 2)


def test_the_table_lists_groups_and_misses(accuracy: MemoryAccuracy) -> None:
    text = memory_accuracy_markdown(accuracy)
    assert all(group.name in text for group in accuracy.groups)
    assert all(miss.label in text for miss in accuracy.misses)
