"""One fleet for every target, word for word; --regenerate-golden rewrites it."""

import pytest
from launch_plans import DEEPSEEK, LLAMA, fleet, group, service

from planner import __version__
from planner.deploy.choices import Choices
from planner.deploy.launch_target import TARGETS
from planner.deploy.stacks.checking import STACKS
from planner.deploy.targets import launch_files

ENGINES = {"sglang": "sglang", "trtllm": "tensorrt-llm"}


@pytest.mark.parametrize("target", [t for t in TARGETS if t not in STACKS])
def test_the_files_of_a_target(target, catalog, repository, golden):
    engine = ENGINES.get(target, "vllm")
    wide = group(
        replicas=1,
        engine=engine,
        gpu="h200-sxm-141gb",
        tensor_parallel=1,
        data_parallel=8,
        expert_parallel=8,
        weights="fp8_block",
        kv_cache="fp8",
    )
    dense = group(replicas=2, engine=engine, weights="bf16")
    plan = fleet(service("deepseek", (wide,), DEEPSEEK), service("llama", (dense,), LLAMA))
    files = launch_files(plan, catalog, target, Choices()).files
    text = "".join(f"==> {name} <==\n{files[name]}\n" for name in sorted(files))
    golden(
        repository / "tests" / "golden" / "deploy" / f"{target}.txt",
        text.replace(f"planner {__version__}", "planner VERSION"),
    )


def test_no_golden_file_without_a_target(repository):
    folder = repository / "tests" / "golden" / "deploy"
    plain = {target for target in TARGETS if target not in STACKS}
    pools = {p.stem for p in folder.glob("pools-*.txt")}  # test_pools names them
    assert {p.stem for p in folder.iterdir()} - pools == plain | {f"stack-{s}" for s in STACKS}
