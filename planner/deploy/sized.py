"""The command line that a sizing assumes, in the engine's own spelling, or why there is none."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace

from planner.catalog.checkpoints import remote_code_warning
from planner.catalog.gpu import GpuSpec
from planner.catalog.store import Catalog
from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.engines.checkpoint import LoadedWeights, named_checkpoint
from planner.deploy.engines.command_line import Command, Word, command
from planner.deploy.engines.dialect import Dialect
from planner.deploy.launch import CONFIG, NODE_RANK, PORT, Launch, Role
from planner.deploy.one_replica import one_replica
from planner.deploy.quoting import RENDEZVOUS
from planner.deploy.scripts import mpi_words, script_roles
from planner.deployment import Deployment
from planner.fleet.candidates.checkpoints import weights_origin
from planner.sizing.batch_limits import limits_within
from planner.sizing.memory import memory_layout
from planner.sizing.model_memory import ModelMemory

STANDING_FOR = {PORT: "8000", CONFIG: "options.yaml"}
NODE_GPUS = 8  # assumed of a host, where no larger one is offered
LARGEST_HOST_GPUS = 16  # what is offered larger is a rack
RACK_HOST_GPUS = 4  # of a rack that is one link domain: GB200 NVL72 compute trays
_OF_NODE = {
    Role.LEADER: "# on the first node, whose address is LEADER_ADDRESS:",
    Role.WORKER: "# on each further node, NODE_RANK counted from 1:",
}


@dataclass(frozen=True, slots=True)
class SizedCommand:
    """``lines`` of a shell command, with its options file if it has one; empty where none would start.

    ``notes``: what to know before it is run, or why there is none.
    """

    lines: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def sized_command(catalog: Catalog, result: ModelMemory, requested_as: str) -> SizedCommand:
    """The command that starts what was sized of the model ``requested_as``; none that would be refused.

    Raises InputError where the engine's version has no way to say a setting.
    """
    deployment = result.deployment
    if deployment is None:
        return SizedCommand(notes=("no command: no GPU was given",))
    refused = result.refusals + ((result.beyond_context,) if result.beyond_context else ())
    where = f"{deployment.gpus}x {deployment.gpu.name}"
    if result.layout is not None and not result.layout.fits:
        refused += (f"the model does not fit on {where}",)
    elif result.max_sequences == 0:
        refused += (f"the pool of {where} holds not one of {result.context_tokens:,} tokens",)
    if refused:
        return SizedCommand(notes=tuple(f"no command: {reason}" for reason in refused))
    dialect = Dialect(deployment.engine.name, deployment.engine.version, catalog.root)
    loaded = sized_weights(catalog, deployment, dialect, requested_as)
    if loaded is None:
        format_ = deployment.weights.name
        why = f"{dialect.engine} {dialect.version} has no recorded way to load {format_} weights"
        return SizedCommand(notes=(f"no command: {why}",))
    nodes = _nodes(catalog, deployment)
    if nodes is None:
        each = node_gpus(catalog, deployment.gpu)
        why = f"{deployment.gpus} GPUs do not fill nodes of {each} {deployment.gpu.name}"
        return SizedCommand(notes=(f"no command: {why}",))
    launch = sized_launch(catalog, deployment, loaded, result.context_tokens, nodes)
    code = remote_code_warning(catalog.root, loaded.checkpoint)
    notes = [note for note in (loaded.warning, code) if note]
    if nodes > 1:
        notes.append(
            f"a replica spans {nodes} nodes of {launch.node_gpus} GPUs (the node's size is assumed); "
            "the network between them is not sized here"
        )
    return SizedCommand(launch_lines(launch), tuple(notes))


def sized_weights(
    catalog: Catalog, deployment: Deployment, dialect: Dialect, requested_as: str
) -> LoadedWeights | None:
    """What is loaded for the sized format, as ``planner deploy`` would: the checkpoint asked for, what the
    engine makes of it at load, or a public one in that format; a placeholder where none is known.

    None where this version has no way to load the format.
    """
    own = named_checkpoint(requested_as, catalog)
    weights, native = deployment.weights.name, deployment.model.native_weights
    origin = weights_origin(deployment, own, catalog)
    if origin.checkpoint is not None:
        return LoadedWeights(origin.checkpoint)
    spelled = dialect.weights(weights, deployment.gpu.vendor)
    dtype = dialect.dtype(weights)
    if weights == native or (dtype is not None and not origin.yourself and _is_plain(deployment)):
        return LoadedWeights(own, dtype=dtype)
    if spelled is not None and spelled.checkpoint == "any" and not origin.yourself:
        return LoadedWeights(own, spelled.value, dtype)
    if spelled is None and dtype is None:
        return None
    return LoadedWeights(
        f"/path/to/{own.rpartition('/')[2]}-{weights}",
        warning=f"{weights} weights need a checkpoint in that format: {own} is in {native}, and the "
        f"catalog knows no public one; quantise {own} to {weights} and put its path in the command",
    )


def _is_plain(deployment: Deployment) -> bool:
    return deployment.model.native_weights in ("bf16", "fp16", "fp32")


def node_gpus(catalog: Catalog, gpu: GpuSpec) -> int:
    """GPUs of the largest host with that GPU: eight, unless larger ones are offered; assumed."""
    if gpu.link_domain > LARGEST_HOST_GPUS:
        return RACK_HOST_GPUS
    offered = [o.gpu_count for o in catalog.offers() if o.gpu == gpu.name]
    return max([NODE_GPUS, *(n for n in offered if n <= LARGEST_HOST_GPUS)])


def _nodes(catalog: Catalog, deployment: Deployment) -> int | None:
    """Nodes of one replica; None where it does not fill whole ones."""
    each = node_gpus(catalog, deployment.gpu)
    if deployment.gpus <= each:
        return 1
    return None if deployment.gpus % each else deployment.gpus // each


def sized_launch(
    catalog: Catalog,
    deployment: Deployment,
    loaded: LoadedWeights,
    context_tokens: int,
    nodes: int = 1,
) -> Launch:
    """One replica of ``deployment`` on ``nodes`` nodes, serving ``loaded`` up to ``context_tokens``."""
    limits = limits_within(deployment, memory_layout(deployment))
    launch = one_replica(
        "sized",
        deployment,
        Dialect(deployment.engine.name, deployment.engine.version, catalog.root),
        loaded,
        longest_tokens=deployment.settings.max_model_len_tokens or context_tokens,
        planned_tokens=context_tokens,
        max_num_seqs=min(limits.max_num_seqs, limits.max_num_batched_tokens),
        max_num_batched_tokens=limits.max_num_batched_tokens,
        draft_model=(deployment.draft.checkpoint or None) if deployment.draft else None,
    )
    return replace(launch, nodes=nodes)


def launch_lines(launch: Launch) -> tuple[str, ...]:
    """The command of each kind of node, the options file after the last."""
    lines: list[str] = []
    for role in script_roles(launch):
        if role is not Role.SINGLE:
            lines.append(_OF_NODE[role])
        started = command(launch, role)
        lines += _lines(launch, started)
    if started.config:
        lines += ["# options.yaml:", *to_yaml(started.config).rstrip().split("\n")]
    return tuple(lines)


def _lines(launch: Launch, started: Command) -> list[str]:
    """The command with one option a line."""
    groups = [" ".join(_word(word, launch) for word in group) for group in started.groups]
    first = " ".join([*mpi_words(launch), *started.program])
    if groups and not groups[0].startswith("-"):
        first, groups = f"{first} {groups[0]}", groups[1:]
    lines = [first, *(f"  {group}" for group in groups)]
    return [f"{line} \\" for line in lines[:-1]] + [lines[-1]]


def _word(word: Word, launch: Launch) -> str:
    """A word of the command line; the port and the options file have fixed values here."""
    if isinstance(word, str):
        return shlex.quote(word)
    if word in STANDING_FOR:
        return STANDING_FOR[word]
    if word.name == NODE_RANK.name:
        return f'"$(({word.name} * {word.times}))"' if word.times > 1 else f'"${word.name}"'
    return f'"${word.name}"{RENDEZVOUS.get(launch.dialect.engine, "")}'
