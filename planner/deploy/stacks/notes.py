"""How the documents of a stack are installed, and how far they could be checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from planner.deploy.choices import Choices
from planner.deploy.cluster.autoscaling import scaling_objects
from planner.deploy.cluster.kubernetes import service_labels
from planner.deploy.launch import Launch
from planner.deploy.stacks import dynamo, kserve, production_stack
from planner.deploy.stacks.checking import ROUTER, STACKS, router_fields, unvalidated_fields
from planner.deploy.stacks.fields import field_list, stack_component

_APPLIED = "kubectl apply -k ."


def stack_needs(target: str, launches: tuple[Launch, ...]) -> list[str]:
    """What must run in the cluster before the files are applied."""
    root = launches[0].dialect.root
    release = stack_component(root, target, "release")
    if target == kserve.STACK and release is not None:
        page = release.reference.format(version=release.version)
        return [
            f"- KServe {release.version} or later with LLMInferenceService ({page}), the Gateway API and "
            "its inference extension, and a gateway"
        ]
    if target == dynamo.STACK:
        return ["- the Dynamo operator, and Grove or LeaderWorkerSet where replicas span nodes"]
    return []


def stack_commands(target: str, launches: tuple[Launch, ...], choices: Choices) -> list[str]:
    """What to run in the folder."""
    if target != production_stack.STACK:
        return [_APPLIED]
    chart = stack_component(launches[0].dialect.root, target, "chart")
    version = f" --version {chart.version}" if chart is not None else ""
    where = chart.reference if chart is not None else ""
    scaled = [
        f"kubectl apply -f {launch.name}{production_stack.SCALING}"
        for launch in launches
        if scaling_objects(launch, choices)
    ]
    return [
        f"helm repo add vllm {where}",
        *(
            f"helm install {label} vllm/vllm-stack{version} -f {label}{production_stack.VALUES}"
            for label in service_labels(launches).values()
        ),
        *scaled,
    ]


def checked_lines(target: str, files: Mapping[str, str], root: Path) -> list[str]:
    """The section of the README that says against what the documents were checked."""
    if target == "llm-d":
        chart, open_paths = field_list(root, ROUTER).first, router_fields(files, root)
        return [
            "",
            "## What was checked",
            "",
            "The engine's options are those of its recorded version, and the manifests agree with one "
            f"another. Every field of `*.router.values.yaml` is in the values of `{chart.source}`, read "
            f"{chart.as_of}, with its type. Unvalidated, because those say nothing below them: "
            + ", ".join(f"`{path}`" for path in open_paths)
            + ". Nothing was applied to a cluster.",
        ]
    if target not in STACKS:
        return []
    first = field_list(root, target).first
    below = unvalidated_fields(target, files, root)
    return [
        "",
        "## What was checked",
        "",
        f"Every field of the {first.kind} documents ({first.api_version}) is in the field list of "
        f"`{first.source}`, read {first.as_of}, with its type and bounds. The engine's options are those "
        "of its recorded version.",
        "",
        "Unvalidated, because that list says nothing below them: "
        + (", ".join(f"`{path}`" for path in below) or "nothing")
        + ". Nothing was applied to a cluster.",
    ]
