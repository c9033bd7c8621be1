"""Docker Compose: one file per kind of machine, each replica bound to its own devices and port."""

from __future__ import annotations

from planner.deploy.cluster.model_cache import MODEL_CACHE
from planner.deploy.cluster.pods import SHARED_MEMORY, START_UP_ALLOWANCE
from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.engines.command_line import command
from planner.deploy.launch import Launch, Role
from planner.deploy.manifest import Manifest
from planner.deploy.placement import Host, hosts
from planner.deploy.quoting import CONFIG_PATH, HTTP_PORT, container_word
from planner.deploy.scripts import config_name
from planner.errors import InputError
from planner.plan.schema import Plan

GROUP, PART = "planner.group", "planner.gpu-part"
HEALTH = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{HTTP_PORT}/health', timeout=5)"


def compose_files(plan: Plan, launches: tuple[Launch, ...]) -> dict[str, str]:
    """A compose file per kind of machine; ``x-planner`` says on how many to run it."""
    files: dict[str, str] = {}
    for launch in launches:
        config = command(launch, Role.SINGLE).config
        if config is not None:
            files[config_name(launch.name)] = to_yaml(config)
    for number, host in enumerate(hosts(plan, launches), start=1):
        files[f"machine-{number}.compose.yaml"] = to_yaml(_project(number, host))
    return files


def _project(number: int, host: Host) -> Manifest:
    services: Manifest = {}
    for place, (launch, devices) in enumerate(zip(host.replicas, host.devices, strict=True)):
        services[f"{launch.name}-{place + 1}"] = _service(launch, HTTP_PORT + place, devices)
    return {
        "name": f"planner-machine-{number}",
        "x-planner": {"machines": host.machines, "gpu": host.gpu, "gpus": host.gpus},
        "services": services,
        "volumes": {"models": {}},
    }


def _service(launch: Launch, port: int, devices: tuple[str, ...]) -> Manifest:
    started = command(launch, Role.SINGLE)
    words = [container_word(word, launch) for word in started.words]
    entry: Manifest = (
        {"command": [*started.program, *words]}
        if launch.keep_entrypoint
        else {"entrypoint": list(started.program), "command": words}
    )
    volumes = [f"models:{MODEL_CACHE}"]
    if started.config is not None:
        volumes.append(f"./{config_name(launch.name)}:{CONFIG_PATH}:ro")
    mounts: list[object] = list(volumes)
    if launch.is_local:
        source = launch.checkpoint.replace("$", "$$")
        mounts.append({"type": "bind", "source": source, "target": source, "read_only": True})
    service = {
        "image": launch.image,
        **entry,
        "labels": {GROUP: launch.name, **({PART: launch.part} if not launch.is_whole else {})},
        "environment": {"HF_HOME": MODEL_CACHE, "HF_TOKEN": "${HF_TOKEN:-}"},
        "ports": [f"{port}:{HTTP_PORT}"],
        "shm_size": SHARED_MEMORY.replace("Gi", "gb"),
        "volumes": mounts,
        "healthcheck": {
            "test": ["CMD", "python3", "-c", HEALTH],
            "interval": "10s",
            "timeout": "10s",
            "retries": 6,
            "start_period": f"{round(launch.start_up_s * START_UP_ALLOWANCE)}s",
        },
        "stop_grace_period": f"{launch.drain_s}s",
        "restart": "unless-stopped",
    }
    return _with_devices(service, launch, list(devices))


def _with_devices(service: Manifest, launch: Launch, ids: list[str]) -> Manifest:
    device = launch.dialect.device(launch.gpu.vendor)
    if launch.gpu.vendor == "nvidia":
        requested = {"driver": device.compose_driver, "device_ids": ids, "capabilities": ["gpu"]}
        return {**service, "deploy": {"resources": {"reservations": {"devices": [requested]}}}}
    if launch.gpu.vendor == "amd":
        environment = {**service["environment"], device.visible_variable: ",".join(ids)}
        return {
            **service,
            "environment": environment,
            "devices": ["/dev/kfd", "/dev/dri"],
            "group_add": ["video"],
            "security_opt": ["seccomp=unconfined"],
        }
    raise InputError(
        "Docker Compose files are written for NVIDIA and AMD devices",
        found=launch.gpu.name,
        action="use --target kubernetes",
    )
