"""What is taken for granted where ranks divide the contexts of sequences."""

from __future__ import annotations

from collections.abc import Iterator

from planner.solving.stages import Decided


def divided_contexts(decided: Decided) -> Iterator[str]:
    """A line for each degree of the chosen replicas: what it does, and that no such run was measured."""
    chosen = (decided.by_key[kind].deployment for kind in decided.replicas())
    for engine, degree in dict.fromkeys(
        (d.engine.name, d.settings.decode_context_parallel) for d in chosen
    ):
        if degree > 1:
            yield (
                f"{engine} divides each context over {degree} tensor-parallel ranks: the KV pool holds "
                f"{degree} times as many tokens; what gathering queries and reducing outputs takes is "
                "modelled, no such run was measured"
            )
