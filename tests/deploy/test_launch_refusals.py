"""What the launch files must not say, and what is refused before they are written."""

import pytest
from launch_plans import DEEPSEEK, GPT_OSS, fleet, group, service
from launch_reader import script, written

from planner.catalog.checkpoints import remote_code
from planner.deploy.choices import Choices
from planner.deploy.launch_target import TARGETS
from planner.deploy.targets import launch_files
from planner.errors import InputError

CHOICES = Choices()


@pytest.mark.parametrize("target", TARGETS)
def test_remote_code_is_trusted_only_when_requested(catalog, target):
    engine = {"sglang": "sglang", "trtllm": "tensorrt-llm"}.get(target, "vllm")
    plan = fleet(service("chat", (group(engine=engine, weights="bf16"),)))
    for trusted in (False, True):
        files = written(plan, catalog, target, trust_remote_code=trusted)
        text = "".join(t for n, t in files.items() if n != "README.md")
        assert ("trust-remote-code" in text or "trust_remote_code" in text) is trusted
        assert ":latest" not in text


@pytest.mark.parametrize("target", ["docker-compose", "kubernetes", "llm-d"])
def test_an_image_that_is_not_recorded_must_be_named(catalog, target):
    plan = fleet(service("chat", (group(gpu="gaudi-3", tensor_parallel=4, weights="bf16"),)))
    with pytest.raises(InputError, match="no image") as stated:
        written(plan, catalog, target)
    assert "--image vllm=NAME:VERSION" in str(stated.value)
    if target != "docker-compose":
        files = written(plan, catalog, target, images={"vllm": "registry.example/gaudi:1.22"})
        assert "habana.ai/gaudi: '4'" in "".join(files.values())


@pytest.mark.parametrize("image", ["vllm/vllm-openai", "vllm/vllm-openai:latest", "host:5000/vllm"])
def test_a_floating_image_is_refused(catalog, image):
    with pytest.raises(InputError, match="not pinned"):
        written(fleet(service("chat", (group(),))), catalog, "kubernetes", images={"vllm": image})


def test_an_older_vllm_cannot_say_what_it_lacks(catalog):
    old = group(engine_version="0.6.6", tensor_parallel=8, expert_parallel=8, weights="fp8_block")
    with pytest.raises(InputError, match=r"vllm 0\.6\.6 has no option for expert parallel"):
        written(fleet(service("v3", (old,), DEEPSEEK)), catalog, "vllm")
    bf16 = group(engine_version="0.6.6", weights="bf16")
    assert "--kv-cache-dtype auto" in script(
        written(fleet(service("chat", (bf16,))), catalog, "vllm")
    )


def test_the_engine_of_the_plan_decides(catalog):
    with pytest.raises(InputError, match="with vllm, not sglang"):
        written(fleet(service("chat", (group(),))), catalog, "sglang")


def test_unlike_replicas_behind_one_service_are_pointed_out(catalog):
    plan = fleet(service("chat", (group(), group(gpu="h200-sxm-141gb", tensor_parallel=2))))
    stated = launch_files(plan, catalog, "kubernetes", CHOICES)
    assert any("unlike replicas" in w for w in stated.warnings)
    assert "unlike replicas" in stated.files["README.md"]


@pytest.mark.parametrize(
    ("engine", "version", "option", "tokens"),
    [
        ("vllm", "0.6.6", "--max-num-batched-tokens", "30000"),  # V0 runs prompts whole
        ("vllm", "0.19.0", "--max-num-batched-tokens", "8192"),
        ("tensorrt-llm", "1.2.0", "--max_num_tokens", "30000"),
        ("sglang", "0.5.9", "--chunked-prefill-size", "8192"),
    ],
)
def test_prompts_that_are_not_split_fit_a_step(catalog, engine, version, option, tokens):
    layout = group(
        engine=engine,
        engine_version=version,
        weights="bf16",
        settings={"max_model_len_tokens": 30000},
    )
    target = {"tensorrt-llm": "trtllm"}.get(engine, engine)
    assert f"{option} {tokens}" in script(
        written(fleet(service("long", (layout,))), catalog, target)
    )


def test_length_buckets_need_a_router_of_their_own(catalog):
    plan = fleet(
        service("chat", (group(), group(tensor_parallel=2))), buckets={"prompt_tokens": [500]}
    )
    stated = launch_files(plan, catalog, "llm-d", CHOICES)
    assert any("split by length" in w for w in stated.warnings)


@pytest.mark.parametrize(
    ("autoscaler", "stated", "not_stated"),
    [
        ("keda", "KEDA, and a Prometheus at http://", "metrics adapter"),
        ("hpa", "offers `vllm_num_requests_waiting` of each pod", "KEDA"),
        ("none", "device plugin", "KEDA"),
    ],
)
def test_the_readme_names_what_the_cluster_needs(catalog, autoscaler, stated, not_stated):
    plan = fleet(service("chat", (group(),)))
    text = written(plan, catalog, "kubernetes", autoscaler=autoscaler)["README.md"]
    assert stated in text
    assert not_stated not in text


def test_a_quantised_checkpoint_is_not_served_for_another_precision(catalog):
    widened = group(tensor_parallel=8, weights="bf16", engine_version="0.19.0")
    plan = fleet(service("v3", (widened,), DEEPSEEK))
    with pytest.raises(InputError, match="does not make bf16 weights of a fp8_block checkpoint"):
        written(plan, catalog, "vllm")
    files = written(plan, catalog, "vllm", checkpoints={"v3": "me/DeepSeek-V3-bf16"})
    assert "me/DeepSeek-V3-bf16" in script(files)
    other = fleet(service("oss", (group(tensor_parallel=1, weights="fp8"),), GPT_OSS))
    with pytest.raises(InputError, match="does not make fp8 weights of a mxfp4 checkpoint"):
        written(other, catalog, "vllm")


def test_adapters_have_their_room(catalog):
    settings = {"lora_adapters": 4, "lora_rank": 32}
    plan = fleet(service("chat", (group(weights="bf16", settings=settings),)))
    text = script(written(plan, catalog, "vllm"))
    assert "--enable-lora" in text
    assert "--max-loras 4" in text
    assert "--max-lora-rank 32" in text
    other = group(engine="sglang", weights="bf16", settings=settings)
    text = script(written(fleet(service("chat", (other,))), catalog, "sglang"))
    assert "--max-loras-per-batch 4" in text
    assert "--lora-target-modules all" in text
    third = group(engine="tensorrt-llm", weights="bf16", settings=settings)
    with pytest.raises(InputError, match="has no option for lora"):
        written(fleet(service("chat", (third,))), catalog, "trtllm")


def test_what_vllm_would_refuse_at_start_is_refused_here(catalog):
    crowded = group(weights="bf16", settings={"max_num_seqs": 4096, "max_num_batched_tokens": 2048})
    with pytest.raises(InputError, match="2048 tokens a step for 4096 sequences"):
        written(fleet(service("chat", (crowded,))), catalog, "vllm")
    odd = group(weights="bf16", settings={"lora_adapters": 1, "lora_rank": 12})
    with pytest.raises(InputError, match="not a value of --max-lora-rank"):
        written(fleet(service("chat", (odd,))), catalog, "vllm")


def test_a_pinned_context_shorter_than_the_requests_is_refused(catalog):
    plan = fleet(service("chat", (group(settings={"max_model_len_tokens": 500}),)))
    with pytest.raises(InputError, match="its requests exceed") as refused:
        launch_files(plan, catalog, "vllm", CHOICES)
    assert "1500" in str(refused.value)


@pytest.mark.parametrize("target", ["vllm", "kubernetes"])
def test_a_checkpoint_with_code_of_its_own_is_pointed_out_until_it_is_allowed(catalog, target):
    kimi = group(tensor_parallel=8, data_parallel=1, expert_parallel=1, weights="fp8_block")
    plan = fleet(service("k2", (kimi,), "moonshotai/Kimi-K2-Instruct"))
    stated = launch_files(plan, catalog, target, CHOICES)
    (warning,) = [w for w in stated.warnings if "--trust-remote-code" in w]
    assert "moonshotai/Kimi-K2-Instruct is loaded with code of its own" in warning
    assert "deploy_guidance.md" in warning
    assert "--trust-remote-code" in stated.files["README.md"]
    scripts = "".join(t for n, t in stated.files.items() if n != "README.md")
    assert "trust-remote-code" not in scripts
    allowed = launch_files(plan, catalog, target, Choices(trust_remote_code=True))
    assert not any("--trust-remote-code" in w for w in allowed.warnings)


def test_what_needs_its_own_code_is_a_checkpoint_of_the_catalog(catalog):
    listed = {name.lower() for entry in catalog.model_index() for name in entry.names}
    rows = remote_code(catalog.root)
    assert {row.checkpoint.lower() for row in rows} <= listed
    assert len({row.checkpoint for row in rows}) == len(rows)
