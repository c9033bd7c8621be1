"""Which replicas share which machine, and its devices: the plan's nodes filled, largest replicas first."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from planner.deploy.gpu_parts import parts_per_gpu
from planner.deploy.launch import Launch
from planner.errors import InputError
from planner.plan.schema import Plan


@dataclass
class _Machine:
    """``taken``: GPUs of their own replicas, or opened for parts; ``open``: parts left of such a GPU."""

    gpu: str
    gpus: int
    taken: int = 0
    held: list[tuple[Launch, tuple[str, ...]]] = field(default_factory=list)
    open: dict[tuple[str, float], list[int]] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return self.gpus - self.taken

    def room(self, launch: Launch) -> bool:
        """Whether it holds one replica more."""
        if launch.is_whole:
            return self.free >= launch.gpus
        return bool(self.free or self.open.get(_cut(launch)))

    def hold(self, launch: Launch) -> None:
        """Give a replica its devices: GPUs, or a part of one that is cut like its own."""
        if launch.is_whole:
            devices = tuple(str(self.taken + i) for i in range(launch.gpus))
            self.taken += launch.gpus
        else:
            left = self.open.setdefault(_cut(launch), [])
            if not left:
                parts = parts_per_gpu(launch.gpu_share)
                left += [self.taken * MOST_PARTS + i for i in range(parts)]
                self.taken += 1
            gpu, part = divmod(left.pop(0), MOST_PARTS)
            devices = (f"{gpu}:{part}" if launch.profile else str(gpu),)
        self.held.append((launch, devices))


MOST_PARTS = 1024  # of one GPU, more than any


def _cut(launch: Launch) -> tuple[str, float]:
    """What the other parts of its GPU are like: a MIG profile, or a share."""
    return launch.profile, launch.gpu_share


@dataclass(frozen=True, slots=True)
class Host:
    """Machines that are filled the same way: how many there are, and what each runs on which devices.

    A device is the index of a GPU, or ``GPU:SLICE`` of a MIG slice; replicas on time slices share one.
    """

    gpu: str
    gpus: int
    machines: int
    replicas: tuple[Launch, ...]
    devices: tuple[tuple[str, ...], ...]


def hosts(plan: Plan, launches: tuple[Launch, ...]) -> tuple[Host, ...]:
    """Fill the plan's nodes with its replicas.

    Raises InputError when a replica spans nodes, or when the replicas do not fit the nodes: those of
    services that are busy at different hours need not.
    """
    machines = [
        _Machine(node.gpu, node.gpus_per_node) for node in plan.nodes for _ in range(node.count)
    ]
    pieces = [launch for launch in launches for _ in range(launch.replicas)]
    for launch in sorted(pieces, key=lambda piece: (-piece.gpus, -piece.gpu_share)):
        _place(launch, machines)
    by_name = {launch.name: launch for launch in launches}
    filled: Counter[tuple[str, int, tuple[tuple[str, tuple[str, ...]], ...]]] = Counter(
        (m.gpu, m.gpus, tuple((launch.name, devices) for launch, devices in m.held))
        for m in machines
        if m.held
    )
    return tuple(
        Host(gpu, gpus, count, tuple(by_name[name] for name, _ in held), tuple(d for _, d in held))
        for (gpu, gpus, held), count in filled.items()
    )


def _place(launch: Launch, machines: list[_Machine]) -> None:
    if launch.nodes > 1:
        raise InputError(
            "Docker Compose describes one machine, and a replica of this plan spans several",
            where=f"service {launch.service!r}",
            found=f"{launch.gpus} GPUs over {launch.nodes} nodes",
            action="use --target kubernetes, llm-d or the engine's own",
        )
    fitting = [m for m in machines if m.gpu == launch.gpu.name and m.room(launch)]
    if not fitting:
        what = f"{launch.gpus}x" if launch.is_whole else f"{launch.part} of a"
        raise InputError(
            "the plan's nodes do not hold its replicas",
            where=f"service {launch.service!r}",
            found=f"no room for {what} {launch.gpu.name}",
            action=_instead(launch),
        )
    min(fitting, key=lambda m: (not m.open.get(_cut(launch)), m.free, m.gpus)).hold(launch)


def _instead(launch: Launch) -> str:
    if launch.by_hour:
        return "use --target kubernetes or llm-d, which follow the hours"
    if not launch.is_whole:
        return "Compose cuts each GPU into equal parts: use --target kubernetes, or one part in sharing.gpu"
    return "planner verify PLAN.json says what is wrong with the plan"
