"""KV blocks in host memory and on disk: what stays there, and when it is worth fetching."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.store import load_catalog
from planner.deployment import Deployment, EngineSettings
from planner.serving.offload import Offload, offload_of
from planner.serving.simulation.conversation_requests import conversation_requests
from planner.serving.simulation.offload_tier import OffloadTier, Store
from planner.serving.simulation.replica_groups import SimulatedGroup
from planner.serving.simulation.simulator import simulate
from planner.sizing.legality import legal_reasons
from tests.serving.simulation.test_conversations import Affine, limits, service

HOST = Offload(host_tokens=1600, host_s_per_token=1e-5)


def test_the_oldest_is_dropped_when_the_store_is_full():
    store = Store(10)
    assert store.put(1, 6) == []
    assert store.put(2, 4) == []
    assert store.put(3, 3) == [(1, 6)]
    assert (store.found(1), store.found(2), store.found(3)) == (3, 4, 3)
    assert store.put(1, 10) == [(2, 4), (3, 3)]
    assert store.blocks == 10


def test_a_history_is_fetched_when_that_is_sooner_than_computing_it():
    tier = OffloadTier(HOST, 16, recompute_s=2e-5)
    tier.store(7, 50)
    assert tier.fetch(7, 50, 0.0) is None  # all of it is in the pool
    assert tier.fetch(8, 0, 0.0) is None
    blocks, ready = tier.fetch(7, 10, 1.0)
    assert (blocks, ready) == (50, pytest.approx(1.0 + 40 * 16 * 1e-5))
    slow = OffloadTier(HOST, 16, recompute_s=0.5e-5)
    slow.store(7, 50)
    assert slow.fetch(7, 10, 1.0) is None


def test_fetches_share_one_link():
    tier = OffloadTier(HOST, 16, recompute_s=3e-5)
    tier.store(1, 40)
    tier.store(2, 40)
    assert tier.fetch(1, 0, 0.0)[1] == pytest.approx(0.0064)
    assert tier.fetch(2, 0, 0.0)[1] == pytest.approx(0.0128)


def test_what_the_host_gives_up_is_on_disk():
    tier = OffloadTier(replace(HOST, disk_tokens=16e4, disk_s_per_token=1.5e-5), 16, 2e-5)
    tier.store(1, 90)
    tier.store(2, 90)
    blocks, ready = tier.fetch(1, 0, 0.0)
    assert (blocks, ready) == (90, pytest.approx(90 * 16 * 1.5e-5))


def hits(offload):
    wanted = service(rate=3.0, think="60s")
    own = replace(limits(150_000), offload=offload)
    requests = conversation_requests(wanted, 3.0, 900.0, 2.0, 1)
    return simulate(
        [SimulatedGroup(Affine(), own, 1)], requests, warm_up_s=200.0, measured_until_s=880.0
    )


def test_host_memory_keeps_histories_that_the_pool_loses():
    plain, host = hits(None), hits(Offload(2e6, 1e-6))
    assert host.hit_share > plain.hit_share + 0.2
    assert host.hit_share > 0.85
    assert hits(Offload(2e6, 1e-3)).hit_share == pytest.approx(plain.hit_share, abs=0.05)


@pytest.fixture(scope="module")
def llama():
    catalog = load_catalog()
    return Deployment(
        model=catalog.model("meta-llama/Llama-3.1-8B-Instruct"),
        gpu=catalog.gpu("h100-sxm-80gb"),
        engine=catalog.engine("vllm"),
        tensor_parallel=2,
        weights=catalog.weight_format("bf16"),
        kv_cache=catalog.kv_format("bf16"),
        settings=EngineSettings(offload_host_gb=100.0),
    )


def test_every_gpu_moves_its_part_at_its_own_link(llama):
    """131,072 bytes a token, half of them on each of two GPUs at 64 GB/s of PCIe 5."""
    found = offload_of(llama, 65_536.0)
    assert found.host_tokens == pytest.approx(100e9 / 131_072)
    assert found.host_s_per_token == pytest.approx(65_536 / (llama.gpu.pcie_gb_s * 1e9))
    assert offload_of(replace(llama, settings=EngineSettings()), 65_536.0) is None


def test_an_engine_without_the_tier_is_ruled_out(llama):
    catalog = load_catalog()
    assert legal_reasons(llama) == ()
    disk = replace(llama.settings, offload_disk_gb=500.0, offload_disk_gb_s=5.0)
    assert "keeps no KV cache in disk" in " ".join(legal_reasons(replace(llama, settings=disk)))
    old = replace(llama, engine=catalog.engine("vllm", "0.9.2"))
    assert "keeps no KV cache in host memory" in " ".join(legal_reasons(old))
    sglang = replace(llama, engine=catalog.engine("sglang"), settings=disk)
    assert legal_reasons(sglang) == ()
