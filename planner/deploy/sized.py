"""The command line that a sizing assumes, in the engine's own spelling."""

from __future__ import annotations

import shlex

from planner.catalog.store import Catalog
from planner.deploy.cluster.yaml_text import to_yaml
from planner.deploy.engines.command_line import Command, Word, command
from planner.deploy.engines.dialect import Dialect
from planner.deploy.kv_offload import offload_option
from planner.deploy.launch import CONFIG, PORT, Launch, Role
from planner.deployment import Deployment
from planner.sizing.batch_limits import limits_within, prefix_caching
from planner.sizing.memory import memory_fraction, memory_layout

STANDING_FOR = {PORT: "8000", CONFIG: "options.yaml"}


def sized_launch(
    catalog: Catalog, deployment: Deployment, checkpoint: str, context_tokens: int
) -> Launch:
    """One replica of ``deployment`` on one node, serving ``checkpoint`` up to ``context_tokens``."""
    engine, gpu, settings = deployment.engine, deployment.gpu, deployment.settings
    dialect = Dialect(engine.name, engine.version, catalog.root)
    weights = deployment.weights.name
    spelled = dialect.weights(weights, gpu.vendor)
    own = weights == deployment.model.native_weights
    limits = limits_within(deployment, memory_layout(deployment))
    runtime = dialect.any_runtime()
    return Launch(
        name="sized",
        service="sized",
        dialect=dialect,
        gpu=gpu,
        checkpoint=checkpoint,
        served_name=checkpoint,
        tensor_parallel=deployment.tensor_parallel,
        pipeline_parallel=deployment.pipeline_parallel,
        data_parallel=deployment.data_parallel,
        expert_parallel=deployment.expert_parallel,
        weights=weights,
        quantization=None if own or spelled is None else spelled.value or None,
        dtype=dialect.dtype(weights),
        kv_cache=dialect.kv_cache(deployment.kv_cache.name, gpu.vendor),
        max_model_len_tokens=settings.max_model_len_tokens or context_tokens,
        planned_tokens=context_tokens,
        max_num_seqs=min(limits.max_num_seqs, limits.max_num_batched_tokens),
        max_num_batched_tokens=limits.max_num_batched_tokens,
        memory_fraction=memory_fraction(deployment),
        prefix_caching=prefix_caching(deployment),
        kv_offload=offload_option(deployment),
        draft_tokens=settings.draft_tokens,
        draft_model=(deployment.draft.checkpoint or None) if deployment.draft else None,
        draft_method=deployment.draft.method if deployment.draft else None,
        lora_adapters=settings.lora_adapters,
        lora_rank=settings.lora_rank,
        replicas=1,
        nodes=1,
        image="",
        node_label=("", ""),
        program=tuple(runtime.program.split()),
        keep_entrypoint=False,
        start_up_s=engine.start_up_s,
        queue_threshold=1,
        rate_qps=0.0,
        capacity_qps=0.0,
    )


def sized_command(
    catalog: Catalog, deployment: Deployment, checkpoint: str, context_tokens: int
) -> tuple[str, ...]:
    """The lines of a shell command that starts what was sized, and of its options file if it has one.

    Raises InputError where the engine's version has no way to say a setting.
    """
    launch = sized_launch(catalog, deployment, checkpoint, context_tokens)
    return _lines(command(launch, Role.SINGLE))


def _lines(started: Command) -> tuple[str, ...]:
    """The command with one option a line, and its options file after it."""
    groups = [" ".join(shlex.quote(_word(word)) for word in group) for group in started.groups]
    first = " ".join(started.program)
    if groups and not groups[0].startswith("-"):
        first, groups = f"{first} {groups[0]}", groups[1:]
    lines = [first, *(f"  {group}" for group in groups)]
    text = [f"{line} \\" for line in lines[:-1]] + [lines[-1]]
    if started.config:
        text += ["# options.yaml:", *to_yaml(started.config).rstrip().split("\n")]
    return tuple(text)


def _word(word: Word) -> str:
    """A word of the command line; the port and the options file have fixed values here."""
    return word if isinstance(word, str) else STANDING_FOR.get(word, f"${word.name}")
