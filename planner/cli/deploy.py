"""``planner deploy``: launch commands and manifests that hold a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from planner.cli.shared.numbers import FiniteRange
from planner.cli.shared.output_options import catalogs_option
from planner.deploy.launch_target import TARGETS
from planner.errors import InputError


@click.command(name="deploy")
@click.argument("plan", metavar="PLAN.json")
@click.option("--target", required=True, type=click.Choice(list(TARGETS)), help="What to write.")
@click.option("-o", "--output", required=True, type=click.Path(), help="Folder for the files.")
@click.option("--force", is_flag=True, help="Replace files that are in the folder already.")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    metavar="SERVICE=REPOSITORY",
    help="Load this checkpoint instead of the scenario's model; its own config says its precision.",
)
@click.option(
    "--draft-model",
    "draft_models",
    multiple=True,
    metavar="SERVICE=REPOSITORY",
    help="The draft model of speculative decoding.",
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="ENGINE=NAME:VERSION",
    help="A container image instead of the recorded one.",
)
@click.option(
    "--node-label",
    "node_labels",
    multiple=True,
    metavar="GPU=LABEL=VALUE",
    help="The label of nodes with that GPU, instead of the one its vendor's discovery sets.",
)
@click.option(
    "--autoscaler",
    type=click.Choice(["keda", "hpa", "none"]),
    default="keda",
    show_default=True,
    help="Scale on queue depth, never below the plan.",
)
@click.option(
    "--burst",
    type=FiniteRange(min=1, max=100),
    default=1.5,
    show_default=True,
    help="Autoscale up to this multiple of the plan's replicas.",
)
@click.option(
    "--prometheus",
    default="http://prometheus-operated.monitoring.svc:9090",
    show_default=True,
    help="Where KEDA reads queue depths.",
)
@click.option(
    "--timezone",
    default="UTC",
    show_default=True,
    help="Of the hours in the scenario's load, where KEDA scales by the clock.",
)
@click.option(
    "--model-cache",
    type=click.Choice(["pvc", "ephemeral"]),
    default="pvc",
    show_default=True,
    help="In a cluster: pods share a claim with the checkpoint, or each keeps it on its node's disk.",
)
@click.option(
    "--storage-class",
    metavar="NAME",
    help="Of the claims; the cluster's default where left out. Several nodes need ReadWriteMany.",
)
@click.option(
    "--model-image",
    "model_images",
    multiple=True,
    metavar="SERVICE=IMAGE:VERSION",
    help="Mount the checkpoint from this image (a Kubernetes image volume) instead of downloading it.",
)
@click.option(
    "--trust-remote-code",
    is_flag=True,
    help="Let the engine run code that comes with the checkpoint.",
)
@catalogs_option
def command(
    plan: str,
    target: str,
    output: str,
    force: bool,
    checkpoints: tuple[str, ...],
    draft_models: tuple[str, ...],
    images: tuple[str, ...],
    node_labels: tuple[str, ...],
    autoscaler: Literal["keda", "hpa", "none"],
    burst: float,
    prometheus: str,
    timezone: str,
    model_cache: Literal["pvc", "ephemeral"],
    storage_class: str | None,
    model_images: tuple[str, ...],
    trust_remote_code: bool,
    catalogs: str | None,
) -> int:
    """Write the commands or manifests that start the fleet of PLAN.json.

    vllm, sglang and trtllm write shell scripts, for a plan that uses that engine; the others write
    containers with the plan's engine: Docker Compose files, Kubernetes manifests, manifests and
    router values for llm-d, or the documents of KServe, NVIDIA Dynamo and vLLM
    production-stack. What is written is parsed back and checked against the plan.

    Exit codes: 0 written, 2 invalid input (a plan without a fleet among it), 4 catalog error.

    \b
    Examples:
      planner solve llama70b_qps50 --format json -o plan.json
      planner deploy plan.json --target vllm -o launch/
      planner deploy plan.json --target kubernetes -o manifests/
      planner deploy plan.json --target llm-d -o llm-d/ --autoscaler none
      planner deploy plan.json --target kserve -o kserve/ --storage-class shared-files
    """
    from planner.catalog.store import load_catalog
    from planner.deploy.check import check_files
    from planner.deploy.choices import Choices, read_node_label
    from planner.deploy.folder import read_folder, write_folder
    from planner.deploy.targets import launch_files
    from planner.plan.schema import read_plan

    catalog = load_catalog(catalogs)
    choices = Choices(
        checkpoints=pairs("--checkpoint", checkpoints),
        draft_models=pairs("--draft-model", draft_models),
        images=pairs("--image", images),
        node_labels={
            gpu: read_node_label(label) for gpu, label in pairs("--node-label", node_labels).items()
        },
        trust_remote_code=trust_remote_code,
        autoscaler=autoscaler,
        prometheus_url=prometheus,
        burst=burst,
        timezone=timezone,
        model_cache=model_cache,
        storage_class=storage_class,
        model_images=pairs("--model-image", model_images),
    )
    document = read_plan(plan)
    written = launch_files(document, catalog, target, choices)
    folder = Path(output).resolve()
    write_folder(folder, written.files, overwrite=force)
    check_files(document, catalog, target, read_folder(folder, written.files), choices)
    for warning in written.warnings:
        click.echo(f"warning: {warning}", err=True)
    for name in sorted(written.files):
        click.echo(f"{output.rstrip('/')}/{name}")
    return 0


def pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    """NAME=VALUE words of an option that may be given several times; InputError for another form."""
    pairs = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not (key and separator and value):
            raise InputError(f"{option} needs NAME=VALUE", found=text)
        if key in pairs:
            raise InputError(f"{option} is given twice for one name", found=key)
        pairs[key] = value
    return pairs
