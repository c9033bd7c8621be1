"""Files of a running fleet, recognised by their content and read: metrics, manifests, Helm values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from planner.catalog.store import Catalog
from planner.catalog.tables import read_text
from planner.errors import InputError
from planner.importing.documents import Json, flattened, kinds, read_documents
from planner.importing.gpu_names import (
    GpuNames,
    RunningNodes,
    nodes_of_dcgm,
    nodes_of_manifests,
    nodes_of_replicas,
)
from planner.importing.joined import joined, unnamed_servers
from planner.importing.namespaces import namespaces, within
from planner.importing.observed import Seen, SeenGpus, seen, seen_gpus
from planner.importing.running import Running, running
from planner.importing.series import (
    Series,
    is_exposition,
    parse_json,
    read_answer,
    read_exposition,
    unnamed,
)
from planner.importing.tables import metric_rows
from planner.units import counted

MAX_METRICS_BYTES = 64 * 1024 * 1024
MAX_MANIFEST_BYTES = 10 * 1024 * 1024
SECRET_KINDS = ("Secret", "SealedSecret", "ExternalSecret")
WHAT = (
    "a Prometheus text dump, the JSON of query or query_range, kubectl get -o yaml, or Helm values of "
    "vLLM production-stack or llm-d"
)


@dataclass
class _Read:
    """What the files held."""

    series: list[Series] = field(default_factory=list)
    objects: list[Json] = field(default_factory=list)
    metric_files: int = 0
    manifest_files: int = 0


@dataclass(frozen=True)
class Fleet:
    """What runs today, as far as the files say it.

    ``rates``: windows (start [s since 1970], requests/s) of a rate given by itself; ``kinds``: how many
    objects of each kind the manifests held; ``secrets``: how many of them were secrets, left unread;
    ``namespaces``: those whose metrics and workloads count; ``unnamed_servers``: that many servers whose
    dumps have the same labels.
    """

    seen: tuple[Seen, ...]
    gpus: tuple[SeenGpus, ...]
    running: tuple[Running, ...]
    nodes: tuple[RunningNodes, ...]
    rates: tuple[tuple[float, float], ...]
    kinds: Counter[str]
    metric_files: int
    manifest_files: int
    namespaces: tuple[str, ...] = ()
    unnamed_servers: int = 0

    @property
    def secrets(self) -> int:
        """Secret objects in the files; nothing of them was kept."""
        return sum(self.kinds[kind] for kind in SECRET_KINDS)


def read_fleet(
    files: Sequence[str],
    catalog: Catalog,
    *,
    before: Sequence[str] = (),
    rates: Sequence[str] = (),
    over_s: float | None = None,
    gpu: str | None = None,
    only: Collection[str] = (),
) -> Fleet:
    """Read every file.

    ``before``: earlier metric dumps, to subtract. ``rates``: JSON answers that are requests/s by
    themselves. ``over_s``: the time that a single dump's counters cover. ``gpu``: of replicas whose
    manifest names none. ``only``: namespaces whose metrics and workloads count, all where empty. Raises
    InputError for a file that is none of ``WHAT``, and where nothing in them is known.
    """
    names = frozenset(name for row in metric_rows(catalog.root) for name in row.series)
    read, earlier = _Read(), _Read()
    for name in dict.fromkeys(files):
        _read(name, names, read)
    for name in dict.fromkeys(before):
        _read(name, names, earlier)
    read.series, earlier.series = joined(read.series), joined(earlier.series)
    if only:
        read.series, read.objects = within(only, read.series, read.objects)
    started = tuple(_with_gpu(one, gpu) for one in running(read.objects, catalog))
    dcgm = seen_gpus(read.series, catalog.root)
    observed = seen(read.series, earlier.series, catalog.root, over_s)
    gpu_names = GpuNames(catalog)
    windows = tuple(w for name in rates for w in _rates(name))
    if not (started or observed or dcgm or windows):
        raise InputError(
            "these files name no known engine, metric or GPU",
            where=", ".join(files),
            found=_held(read),
            allowed=WHAT,
            action="planner import --help names the metrics and manifests that are read",
        )
    nodes = (
        nodes_of_manifests(read.objects, gpu_names)
        or nodes_of_dcgm(dcgm, gpu_names)
        or nodes_of_replicas(_gpus_of(started), max((r.gpus_per_node for r in started), default=0))
    )
    return Fleet(
        seen=observed,
        gpus=dcgm,
        running=started,
        nodes=nodes,
        rates=windows,
        kinds=kinds(read.objects),
        metric_files=read.metric_files,
        manifest_files=read.manifest_files,
        namespaces=namespaces(read.series, read.objects),
        unnamed_servers=unnamed_servers(read.series),
    )


def _read(name: str, names: Collection[str], into: _Read) -> None:
    text = read_text(Path(name), MAX_METRICS_BYTES, InputError)
    if text.lstrip()[:1] == "{" and not is_exposition(text):
        document = parse_json(text, name)
        if isinstance(document, dict) and "resultType" in str(document.get("data", ""))[:2000]:
            _must_be_named(document, name)
            into.series += read_answer(document, name, names)
            into.metric_files += 1
            return
        _must_be_small(text, name)
        into.objects += flattened(document)
        into.manifest_files += 1
    elif is_exposition(text):
        into.series += read_exposition(text, name, names)
        into.metric_files += 1
    else:
        _must_be_small(text, name)
        into.objects += read_documents(text, name)
        into.manifest_files += 1


def _must_be_small(text: str, name: str) -> None:
    if len(text) > MAX_MANIFEST_BYTES:
        raise InputError(
            "the manifest file is too large",
            where=name,
            found=f"{len(text):,} characters",
            allowed=f"at most {MAX_MANIFEST_BYTES:,}",
            action="list the workloads alone: kubectl get deploy,sts,lws,nodes -o yaml",
        )


def _must_be_named(document: object, name: str) -> None:
    nameless = unnamed(document)
    if nameless:
        raise InputError(
            "series without a metric's name: the result of rate() or another function",
            where=name,
            found=f"{nameless} series",
            allowed="the counters and buckets themselves, such as vllm:request_success_total",
            action="query the metric itself, or give a result in requests/s with --rate FILE",
        )


def _rates(name: str) -> list[tuple[float, float]]:
    """Requests/s over time of an answer, added up over its series."""
    document = parse_json(read_text(Path(name), MAX_METRICS_BYTES, InputError), name)
    summed: dict[float, float] = {}
    for one in read_answer(document, name, None):
        for time, value in one.points:
            if time is not None and value >= 0:
                summed[time] = summed.get(time, 0.0) + value
    return sorted(summed.items())


def _with_gpu(one: Running, gpu: str | None) -> Running:
    if one.gpu or gpu is None:
        return one
    return Running(one.name, one.command, one.replicas, one.nodes, one.gpus_per_node, gpu)


def _gpus_of(started: Iterable[Running]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in started:
        found[one.gpu] = found.get(one.gpu, 0) + one.gpus
    return found


def _held(read: _Read) -> str:
    held = [
        f"{n} {kind}" if kind != "values" or n != 1 else "1 value"
        for kind, n in sorted(kinds(read.objects).items())
    ]
    return (
        ", ".join(held[:5]) or f"{counted(read.metric_files, 'metric file')} without a known metric"
    )
