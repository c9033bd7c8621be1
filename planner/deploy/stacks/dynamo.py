"""NVIDIA Dynamo: a DynamoGraphDeployment per service, a component for each pool and a frontend.

Workers run Dynamo's own program with the engine's options; its operator adds what several nodes need to
find each other, and the probes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from planner.deploy.choices import Choices
from planner.deploy.cluster.kubernetes import claim_files, kustomization, service_labels
from planner.deploy.cluster.labels import MANAGED, PART_OF
from planner.deploy.cluster.model_cache import VOLUME
from planner.deploy.cluster.pods import SHARED_MEMORY, environment, pod_metadata, pod_spec
from planner.deploy.cluster.yaml_text import to_yaml, to_yaml_stream
from planner.deploy.engines.command_line import ENGINES, Command, spell
from planner.deploy.launch import Launch, PoolRole, Role
from planner.deploy.manifest import Manifest
from planner.deploy.stacks.fields import field_list, stack_component
from planner.errors import InputError
from planner.plan.schema import Plan

STACK = "dynamo"
MOST_COMPONENTS = 25  # deploy/operator/api/v1beta1/dynamographdeployment_types.go @0fddc01b3724
SUFFIX = ".dgd.yaml"
MODULES = {"vllm": "dynamo.vllm", "sglang": "dynamo.sglang"}
MODEL_OPTION = "--model"
POOL_OPTION = "--disaggregation-mode"
OWN_SHARED_MEMORY = "shared-memory"
OPERATORS_OWN = (
    "host",
    "port",
    "node_count",
    "node_rank",
    "leader_address",
    "headless",
    "data_parallel_per_node",
    "data_parallel_address",
    "data_parallel_first_rank",
)
ROUTER_MODES = {"prefix-aware": "kv", "round-robin": "round-robin", "random": "random"}


def dynamo_files(plan: Plan, launches: tuple[Launch, ...], choices: Choices) -> dict[str, str]:
    """A file per DynamoGraphDeployment, the claims with the checkpoints, and their kustomization."""
    labels = service_labels(launches)
    policies = {s.name: s.routing.policy for s in plan.scenario.services}
    files: dict[str, str] = {}
    for service, label in labels.items():
        own = [launch for launch in launches if launch.service == service]
        graph = _graph(label, own, policies[service], choices)
        files[f"{label}{SUFFIX}"] = to_yaml_stream([graph])
    files |= claim_files(launches, labels, choices)
    files["kustomization.yaml"] = to_yaml(kustomization(sorted(files)))
    return files


def dynamo_warnings(plan: Plan, launches: tuple[Launch, ...], choices: Choices) -> list[str]:
    """What the reader of these files must know."""
    found = []
    for engine in sorted({launch.dialect.engine for launch in launches}):
        if engine not in choices.images:
            version = next(x.dialect.version for x in launches if x.dialect.engine == engine)
            found.append(
                f"Dynamo's image brings an engine of its own: unvalidated that it is {engine} {version}, "
                f"which the plan was made for; name an image that is with --image {engine}=NAME:VERSION"
            )
    if choices.autoscaler != "none":
        found.append("replicas are fixed: Dynamo scales by its own planner and adapters")
    found += [
        f"service {s.name!r} is planned for {s.routing.policy} routing, and Dynamo's frontend takes turns"
        for s in plan.scenario.services
        if s.routing.policy not in ROUTER_MODES
    ]
    return found


def _graph(label: str, launches: list[Launch], policy: str, choices: Choices) -> Manifest:
    engines = sorted({launch.dialect.engine for launch in launches})
    if len(engines) > 1:
        raise InputError(
            "a DynamoGraphDeployment runs one kind of engine",
            where=f"service {launches[0].service!r}",
            found=", ".join(engines),
            action="solve again with one engine for this service",
        )
    _must_run(launches[0])
    if len(launches) >= MOST_COMPONENTS:
        raise InputError(
            "a DynamoGraphDeployment has a frontend and a few components",
            where=f"service {launches[0].service!r}",
            found=f"{len(launches)} kinds of replica",
            allowed=f"at most {MOST_COMPONENTS - 1}",
            action="solve again with fewer max_deployments",
        )
    row = field_list(launches[0].dialect.root, STACK).first
    workers = [
        _worker(launch, name, label, choices)
        for launch, name in zip(launches, _names(launches), strict=True)
    ]
    return {
        "apiVersion": row.api_version,
        "kind": row.kind,
        "metadata": {"name": label, "labels": MANAGED},
        "spec": {
            "backendFramework": engines[0],
            "components": [_frontend(launches[0], label, policy, choices), *workers],
        },
    }


def _names(launches: Iterable[Launch]) -> list[str]:
    """The names of components: the pool's, numbered where there are several of one."""
    names: list[str] = []
    for launch in launches:
        base = "worker" if launch.pool is PoolRole.BOTH else launch.pool.value
        same = sum(1 for name in names if name == base or name.startswith(f"{base}-"))
        names.append(base if not same else f"{base}-{same + 1}")
    return names


def _frontend(launch: Launch, label: str, policy: str, choices: Choices) -> Manifest:
    """What clients talk to; it needs the checkpoint's tokenizer and chooses a worker."""
    engine = pod_spec(_in_image(launch), Role.WORKER, _command(launch), label, choices, "main")
    mode = ROUTER_MODES.get(policy, "round-robin")
    container = {
        "name": "main",
        "image": _image(launch),
        "env": [
            *(e for e in environment(launch) if e["name"].startswith("HF_")),
            {"name": "DYN_ROUTER_MODE", "value": mode},
        ],
        "resources": {"requests": {"cpu": "2", "memory": "4Gi"}},
        "volumeMounts": [m for m in _main(engine)["volumeMounts"] if m["name"] == VOLUME],
    }
    volumes = [v for v in engine["volumes"] if v["name"] == VOLUME]
    return {
        "name": "frontend",
        "type": "frontend",
        "replicas": 1,
        "podTemplate": {
            "metadata": {"labels": {PART_OF: label, **MANAGED}},
            "spec": {"containers": [container], "volumes": volumes},
        },
    }


def _worker(launch: Launch, name: str, label: str, choices: Choices) -> Manifest:
    spec = pod_spec(_in_image(launch), Role.WORKER, _command(launch), label, choices, "main")
    spec["volumes"] = [v for v in spec["volumes"] if v["name"] != OWN_SHARED_MEMORY]
    container = _main(spec)
    container["volumeMounts"] = [
        m for m in container["volumeMounts"] if m["name"] != OWN_SHARED_MEMORY
    ]
    kind = "worker" if launch.pool is PoolRole.BOTH else launch.pool.value
    several = {"multinode": {"nodeCount": launch.nodes}} if launch.nodes > 1 else {}
    labels = pod_metadata(launch, {PART_OF: label}, launch.roles[0])["labels"]
    return {
        "name": name,
        "type": kind,
        "replicas": launch.replicas,
        **several,
        "sharedMemorySize": SHARED_MEMORY,
        "podTemplate": {"metadata": {"labels": labels}, "spec": spec},
    }


def _main(spec: Manifest) -> Manifest:
    (container,) = spec["containers"]
    assert isinstance(container, dict)
    return container


def _command(launch: Launch) -> Command:
    """Dynamo's program with the engine's options, less what its operator adds."""
    engine = launch.dialect.engine
    stated: Manifest = ENGINES[engine].settings(launch, launch.roles[0])
    kept = {name: value for name, value in stated.items() if name not in OPERATORS_OWN}
    spelled = spell(launch.dialect, ("python3", "-m", MODULES[engine]), kept)
    groups = [
        (MODEL_OPTION, *group) if group == (launch.loads,) else group for group in spelled.groups
    ]
    if engine == "vllm" and launch.pool is not PoolRole.BOTH:
        groups.append((POOL_OPTION, launch.pool.value))
    return replace(spelled, groups=tuple(groups))


def _must_run(launch: Launch) -> None:
    engine = launch.dialect.engine
    if engine not in MODULES:
        raise InputError(
            f"Dynamo's program for {engine} takes options of its own, which are not recorded",
            where=f"service {launch.service!r}",
            allowed=", ".join(MODULES),
            action="use --target trtllm or kubernetes",
        )


def _in_image(launch: Launch) -> Launch:
    return replace(launch, image=_image(launch), keep_entrypoint=False)


def _image(launch: Launch) -> str:
    """The image named by hand, else Dynamo's own for the engine."""
    if launch.image_named:
        return launch.image
    row = stack_component(launch.dialect.root, STACK, launch.dialect.engine)
    if row is None or launch.gpu.vendor != "nvidia":
        raise InputError(
            f"no image of Dynamo with {launch.dialect.engine} is recorded for {launch.gpu.name}",
            where="catalogs/stacks/components.csv",
            action=f"name one: --image {launch.dialect.engine}=NAME:VERSION",
        )
    return f"{row.reference}:{row.version}"
