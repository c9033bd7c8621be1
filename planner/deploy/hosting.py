"""Whether what a plan rents can host what is written: a rented container joins no cluster."""

from __future__ import annotations

from collections.abc import Mapping

from planner.catalog.hosting import rents
from planner.catalog.store import Catalog
from planner.deploy.launch_target import LaunchTarget
from planner.plan.schema import NodeCount, Plan


def hosting_notices(plan: Plan, catalog: Catalog, target: LaunchTarget) -> tuple[str, ...]:
    """A sentence for each provider of the plan that cannot host these files, or may not."""
    joins = "let its machines join a Kubernetes cluster"
    need = joins if target.in_cluster else "run Docker on the machine"
    found = []
    for provider, node in {n.provider: n for n in plan.nodes if n.count}.items():
        kind = rents(catalog.root, provider, _tier(node, catalog))
        if kind == "containers":
            found.append(
                f"{provider} rents containers, not machines, and does not {need}: these files cannot "
                "be applied there. Start the command of --target vllm, sglang or trtllm in each "
                "container, or solve again with other providers under prices"
            )
        elif kind == "unknown":
            found.append(
                f"whether {provider} can {need} is not recorded (marketplace offer): unvalidated, ask "
                "the host before renting"
            )
    return tuple(found)


def with_notices(files: Mapping[str, str], notices: tuple[str, ...]) -> dict[str, str]:
    """The same files, each YAML file with the notices as comments at its head."""
    head = "".join(f"# {_one_line(notice)}\n" for notice in notices)
    return {name: head + text if name.endswith(".yaml") else text for name, text in files.items()}


def _tier(node: NodeCount, catalog: Catalog) -> str:
    for offer in catalog.offers():
        if (offer.provider, offer.instance_type, offer.region) == (
            node.provider,
            node.instance_type,
            node.region,
        ):
            return offer.tier
    return ""


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
