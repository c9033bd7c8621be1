"""Host memory for KV blocks in each engine's own option and unit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.catalog.store import load_catalog
from planner.deploy.engines.checkpoint import LoadedWeights
from planner.deploy.sized import launch_lines, sized_launch
from planner.deployment import Deployment, EngineSettings


@pytest.mark.parametrize(
    ("engine", "disk", "options"),
    [
        ("vllm", 0.0, ["--kv-offloading-size 186"]),  # GiB of the replica
        ("sglang", 0.0, ["--enable-hierarchical-cache", "--hicache-size 50"]),  # GB of a rank
        ("sglang", 900.0, ["--hicache-size 50", "--hicache-storage-backend file"]),
        ("tensorrt-llm", 0.0, ["host_cache_size: 50000000000"]),  # bytes of a rank
    ],
)
def test_the_option_is_in_the_engine_s_unit(engine, disk, options):
    catalog = load_catalog()
    deployment = Deployment(
        model=catalog.model("meta-llama/Llama-3.1-8B-Instruct"),
        gpu=catalog.gpu("h100-sxm-80gb"),
        engine=catalog.engine(engine),
        tensor_parallel=4,
        weights=catalog.weight_format("bf16"),
        kv_cache=catalog.kv_format("bf16"),
        settings=EngineSettings(offload_host_gb=200.0, offload_disk_gb=disk, offload_disk_gb_s=5.0),
    )
    loaded = LoadedWeights("meta-llama/Llama-3.1-8B-Instruct")
    text = "\n".join(launch_lines(sized_launch(catalog, deployment, loaded, 8192)))
    for option in options:
        assert option in text
    plain = replace(deployment, settings=EngineSettings())
    text = "\n".join(launch_lines(sized_launch(catalog, plain, loaded, 8192)))
    assert "offload" not in text
    assert "hicache" not in text
