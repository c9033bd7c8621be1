"""Which replicas share which machine: the plan's nodes filled, largest replicas first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from planner.deploy.launch import Launch
from planner.errors import InputError
from planner.plan.schema import Plan


@dataclass
class _Machine:
    gpu: str
    gpus: int
    held: list[Launch] = field(default_factory=list)

    @property
    def free(self) -> int:
        return self.gpus - sum(launch.gpus for launch in self.held)


@dataclass(frozen=True, slots=True)
class Host:
    """Machines that are filled the same way: how many there are, and what each runs, in device order."""

    gpu: str
    gpus: int
    machines: int
    replicas: tuple[Launch, ...]


def hosts(plan: Plan, launches: tuple[Launch, ...]) -> tuple[Host, ...]:
    """Fill the plan's nodes with its replicas.

    Raises InputError when a replica spans nodes, or when the replicas do not fit the nodes: those of
    services that are busy at different hours need not.
    """
    machines = [
        _Machine(node.gpu, node.gpus_per_node) for node in plan.nodes for _ in range(node.count)
    ]
    pieces = [launch for launch in launches for _ in range(launch.replicas)]
    for launch in sorted(pieces, key=lambda piece: -piece.gpus):
        _place(launch, machines)
    by_name = {launch.name: launch for launch in launches}
    filled: Counter[tuple[str, int, tuple[str, ...]]] = Counter(
        (m.gpu, m.gpus, tuple(launch.name for launch in m.held)) for m in machines if m.held
    )
    return tuple(
        Host(gpu, gpus, count, tuple(by_name[name] for name in names))
        for (gpu, gpus, names), count in filled.items()
    )


def _place(launch: Launch, machines: list[_Machine]) -> None:
    if launch.nodes > 1:
        raise InputError(
            "Docker Compose describes one machine, and a replica of this plan spans several",
            where=f"service {launch.service!r}",
            found=f"{launch.gpus} GPUs over {launch.nodes} nodes",
            action="use --target kubernetes, llm-d or the engine's own",
        )
    fitting = [m for m in machines if m.gpu == launch.gpu.name and m.free >= launch.gpus]
    if not fitting:
        raise InputError(
            "the plan's nodes do not hold its replicas",
            where=f"service {launch.service!r}",
            found=f"no room for {launch.gpus}x {launch.gpu.name}",
            action="use --target kubernetes or llm-d, which follow the hours"
            if launch.by_hour
            else "planner verify PLAN.json says what is wrong with the plan",
        )
    min(fitting, key=lambda m: (m.free, m.gpus)).held.append(launch)
