"""Random fleets written for every target, parsed back, and held against schemas and the plan."""

import shlex
import subprocess
from functools import cache
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from launch_plans import DEEPSEEK, GPT_OSS, LLAMA, VERSIONS, fleet, group, service

from planner.catalog.store import load_catalog
from planner.deploy.check import check_files
from planner.deploy.choices import Choices
from planner.deploy.cluster.yaml_text import read_yaml_stream
from planner.deploy.launch_target import TARGETS
from planner.deploy.targets import launch_files
from planner.errors import InputError, OutputError

CATALOG = load_catalog()
SCHEMAS = Path(__file__).parent / "schemas"
NATIVE = {LLAMA: "bf16", DEEPSEEK: "fp8_block", GPT_OSS: "mxfp4"}
OWN_TARGETS = {"vllm": "vllm", "sglang": "sglang", "trtllm": "tensorrt-llm"}
HOSTILE = ["$(rm -rf /)", "`id`", "a'b\"c", "line\nbreak", "${HF_TOKEN}", "$(HF_TOKEN)", "{{ x }}",
           "- a: b", "# no", "é漢字", "no", "1e3", "a|b", "<script>"]  # fmt: skip


@cache
def schema(name):
    return jsonschema.Draft202012Validator(yaml.safe_load((SCHEMAS / f"{name}.yaml").read_text()))


@st.composite
def layouts(draw, engine, model):
    tp = draw(st.sampled_from([1, 2, 4, 8]))
    pp = draw(st.sampled_from([1, 1, 1, 2]))
    dp = draw(st.sampled_from([1, 1, 2, 8, 16])) if model != LLAMA else 1
    if dp > 1:
        tp, pp = 1, 1
    ep = draw(st.sampled_from([1, tp * dp])) if model != LLAMA else 1
    weights = draw(st.sampled_from(["bf16", "fp8", "int4"])) if model == LLAMA else NATIVE[model]
    pinned = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "memory_fraction": st.floats(0.1, 0.99),
                "max_num_seqs": st.integers(1, 4096),
                "max_num_batched_tokens": st.integers(256, 65536),
                "max_model_len_tokens": st.integers(1500, 8192),
                "prefix_caching": st.booleans(),
            },
        )
    )
    return group(
        replicas=draw(st.integers(1, 12)),
        gpu=draw(st.sampled_from(["h100-sxm-80gb", "h200-sxm-141gb", "mi300x"])),
        engine=engine,
        engine_version=draw(st.sampled_from(_versions(engine))),
        tensor_parallel=tp,
        pipeline_parallel=pp,
        data_parallel=dp,
        expert_parallel=ep,
        weights=weights,
        kv_cache=draw(st.sampled_from(["bf16", "fp8"])),
        settings=pinned,
    )


def _versions(engine):
    return [e.version for e in CATALOG.engines() if e.name == engine][-4:]


@st.composite
def fleets(draw):
    engine = draw(st.sampled_from(list(VERSIONS)))
    names = draw(
        st.lists(
            st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1, max_size=30)),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    services = []
    for name in names:
        model = draw(st.sampled_from(list(NATIVE)))
        groups = draw(st.lists(layouts(engine, model), min_size=1, max_size=2))
        services.append(service(name, tuple(groups), model))
    return engine, fleet(*services)


@st.composite
def choices(draw, plan):
    chosen = {}
    for planned in plan.services:
        if draw(st.booleans()):
            chosen[planned.name] = draw(st.sampled_from([h for h in HOSTILE if h[0] != "-"]))
    return Choices(
        checkpoints=chosen,
        images=dict.fromkeys(VERSIONS, "registry.example/team/engine:1.2.3"),
        trust_remote_code=draw(st.booleans()),
        autoscaler=draw(st.sampled_from(["keda", "hpa", "none"])),
        burst=draw(st.sampled_from([1.0, 1.5, 3.0])),
        model_cache=draw(st.sampled_from(["pvc", "ephemeral"])),
        storage_class=draw(st.sampled_from([None, "shared-files"])),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_fleet_is_refused_in_words_or_written_right(data):
    engine, plan = data.draw(fleets())
    own = [t for t in TARGETS if OWN_TARGETS.get(t, engine) == engine]
    target = data.draw(st.sampled_from(own))
    chosen = data.draw(choices(plan))
    try:
        files = launch_files(plan, CATALOG, target, chosen).files
    except OutputError:  # the check found what was written wrong
        raise
    except InputError as refusal:  # what the engine or the target cannot express
        event(f"{target}: refused: {refusal.what[:40]}")
        return
    event(f"{target}: written")
    check_files(plan, CATALOG, target, files, chosen)
    for name, text in files.items():
        _holds_schema(name, text)
        if name.endswith(".sh"):
            _holds_words(text)


def _holds_schema(name, text):
    if (
        name.endswith((".group.yaml", ".models.yaml", ".service.yaml"))
        or name == "kustomization.yaml"
    ):
        for document in read_yaml_stream(text):
            schema("kubernetes").validate(document)
    elif name.endswith(".compose.yaml"):
        schema("compose").validate(yaml.safe_load(text))


def _holds_words(text):
    """The shell sees one simple command, however the model is called."""
    body = text.split("\nexec ", 1)[1].replace("\\\n", " ")
    assert shlex.split(body)
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_names_stay_text_in_a_manifest(hostile):
    plan = fleet(service("chat", (group(weights="int4"),)))
    if hostile.startswith("-"):
        with pytest.raises(InputError, match="dash"):
            launch_files(plan, CATALOG, "vllm", Choices(checkpoints={"chat": hostile}))
        return
    chosen = Choices(checkpoints={"chat": hostile})
    files = launch_files(plan, CATALOG, "kubernetes", chosen).files
    (deployment,) = (
        o for o in read_yaml_stream(files["chat.group.yaml"]) if o["kind"] == "Deployment"
    )
    given_model = deployment["spec"]["template"]["spec"]["containers"][0]["args"][0]
    assert given_model == hostile.replace("$", "$$")  # the cluster turns $$ back into $
    composed = launch_files(plan, CATALOG, "docker-compose", chosen).files
    machine = yaml.safe_load(composed["machine-1.compose.yaml"])
    assert next(iter(machine["services"].values()))["command"][0] == given_model


def test_a_script_passes_a_hostile_name_whole(tmp_path):
    for hostile in (h for h in HOSTILE if not h.startswith("-")):
        plan = fleet(service("chat", (group(),)))
        files = launch_files(plan, CATALOG, "vllm", Choices(checkpoints={"chat": hostile})).files
        script = files["serve-chat.sh"].replace("exec vllm serve", "printf '%s\\0'")
        done = subprocess.run(
            ["sh"], input=script, capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout.split("\0")[0] == hostile


CORRUPTIONS = {
    "tensor parallel": ("--tensor-parallel-size 4", "--tensor-parallel-size 2"),
    "an unknown option": ("--max-num-seqs", "--max-number-of-sequences"),
    "KV type": ("--kv-cache-dtype bfloat16", "--kv-cache-dtype fp8"),
    "a value that is none": ("--kv-cache-dtype bfloat16", "--kv-cache-dtype bf17"),
    "batch": ("--max-num-seqs 1024", "--max-num-seqs 256"),
    "quantisation": ("--quantization fp8", "--quantization awq"),
    "remote code": ("--host 0.0.0.0", "--host 0.0.0.0 --trust-remote-code"),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_the_check_notices(corruption):
    plan = fleet(service("chat", (group(weights="fp8"),)))
    files = dict(launch_files(plan, CATALOG, "vllm", Choices()).files)
    before, after = CORRUPTIONS[corruption]
    assert before in files["serve-chat.sh"]
    files["serve-chat.sh"] = files["serve-chat.sh"].replace(before, after)
    with pytest.raises((InputError, OutputError)):
        check_files(plan, CATALOG, "vllm", files, Choices())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("replicas: 2", "replicas: 3"),
        ("minReplicaCount: 2", "minReplicaCount: 1"),
        ("nvidia.com/gpu: '4'", "nvidia.com/gpu: '2'"),
        ("v0.19.0", "latest"),
        ("kind: PodDisruptionBudget", "kind: Other"),
        ("planner/role: server", "planner/role: other"),
    ],
)
def test_the_check_notices_in_manifests(before, after):
    plan = fleet(service("chat", (group(),)))
    files = dict(launch_files(plan, CATALOG, "kubernetes", Choices()).files)
    assert before in files["chat.group.yaml"]
    files["chat.group.yaml"] = files["chat.group.yaml"].replace(before, after)
    with pytest.raises((InputError, OutputError)):
        check_files(plan, CATALOG, "kubernetes", files, Choices())
