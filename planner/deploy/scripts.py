"""Shell scripts that start one replica each: ``--target vllm``, ``sglang`` or ``trtllm``."""

from __future__ import annotations

from planner.deploy.cluster.routers import router_scripts, side_channel
from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.engines.command_line import Command, command
from planner.deploy.gpu_parts import parts_per_gpu
from planner.deploy.launch import Launch, PoolRole, Role
from planner.deploy.quoting import shell_word
from planner.plan.replica_group import QUANTISE_YOURSELF

FLEET_FILE = "fleet.yaml"
_PLACE = {Role.SINGLE: "", Role.LEADER: " (first node)", Role.WORKER: " (each further node)"}


def script_files(launches: tuple[Launch, ...]) -> dict[str, str]:
    """One script per replica group and kind of process, and ``fleet.yaml``: how many to start."""
    files: dict[str, str] = {}
    for launch in launches:
        for role in script_roles(launch):
            started = command(launch, role)
            files[script_name(launch.name, role)] = _script(launch, role, started)
            if started.config is not None:
                files[config_name(launch.name)] = to_yaml(started.config)
    files |= router_scripts(launches)
    files[FLEET_FILE] = to_yaml({"replicas": [_fleet_entry(launch) for launch in launches]})
    return files


def script_name(name: str, role: Role) -> str:
    """The script of one kind of process."""
    return f"serve-{name}.sh" if role is Role.SINGLE else f"serve-{name}.{role.value}.sh"


def config_name(name: str) -> str:
    """The engine's configuration file of a launch."""
    return f"{name}.config.yaml"


def script_roles(launch: Launch) -> tuple[Role, ...]:
    """The kinds of process with a script; MPI starts every process of TensorRT-LLM with the same command."""
    return (Role.SINGLE,) if launch.dialect.engine == "tensorrt-llm" else launch.roles


def _fleet_entry(launch: Launch) -> dict[str, object]:
    by_hour = {"replicas_by_hour": list(launch.by_hour)} if launch.by_hour else {}
    return {
        "name": launch.name,
        "service": launch.service,
        "engine": launch.dialect.engine,
        "version": launch.dialect.version,
        "gpu": launch.gpu.name,
        "replicas": launch.replicas,
        **by_hour,
        **_unit(launch),
        "gpus_per_replica": launch.gpus,
        **({} if launch.is_whole else {"part_of_gpu": launch.part}),
        "nodes_per_replica": launch.nodes,
        "scripts": [script_name(launch.name, role) for role in script_roles(launch)],
    }


def _unit(launch: Launch) -> dict[str, object]:
    if launch.pool is PoolRole.BOTH:
        return {}
    each = launch.replicas // launch.units
    return {"pool": launch.pool.value, "units": launch.units, "replicas_per_unit": each}


def _script(launch: Launch, role: Role, started: Command) -> str:
    visible = launch.dialect.device(launch.gpu.vendor).visible_variable
    lines = [
        "#!/bin/sh",
        f"# One replica of {_one_line(launch.service)}{_PLACE[role]}: {launch.dialect.engine} "
        f"{launch.dialect.version} on {launch.node_gpus}x {launch.gpu.name}"
        + (f" of {launch.gpus}" if launch.nodes > 1 else ""),
        f"# The plan runs {launch.replicas} of these, each at {launch.rate_qps:.2f} requests/s "
        f"(capacity {launch.capacity_qps:.2f}).",
    ]
    if launch.quantise_yourself:
        lines.append(
            f"# No public {_one_line(launch.weights)} checkpoint of it is known: {QUANTISE_YOURSELF}."
        )
    if launch.profile:
        lines.append(
            f"# It has the MIG slice {launch.profile}: {visible}=MIG-<UUID> (nvidia-smi -L)."
        )
    elif launch.is_time_slice:
        count = parts_per_gpu(launch.gpu_share)
        lines.append(
            f"# {count} of these share one GPU: the same {visible}, one started after the other."
        )
    if launch.replicas > 1 and launch.nodes == 1:
        own = "PORT, NIXL_PORT" if side_channel(launch) else "PORT"
        if not launch.is_time_slice:
            own += f" and {visible}"
        lines.append(f"# Several on one machine: give each its own {own}.")
    lines += ["set -eu", *side_channel(launch)]
    if started.config is not None:
        lines.append('here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)')
    head = " ".join(["exec", *mpi_words(launch), *started.program])
    options = [
        " ".join(shell_word(word, launch, config_name(launch.name)) for word in group)
        for group in started.groups
    ]
    if not options[0].startswith("-"):
        head = f"{head} {options.pop(0)}"
    return "\n".join([*lines, " \\\n  ".join([head, *options]), ""])


def mpi_words(launch: Launch) -> list[str]:
    """How TensorRT-LLM starts across nodes under Slurm."""
    if launch.nodes == 1 or launch.dialect.engine != "tensorrt-llm":
        return []
    nodes = f"--nodes={launch.nodes} --ntasks={launch.gpus} --ntasks-per-node={launch.node_gpus}"
    return ["srun", "--mpi=pmix", nodes, "trtllm-llmapi-launch"]


def _one_line(text: str) -> str:
    """Text that cannot leave its comment line."""
    return "".join(c if c.isprintable() else " " for c in text)
