"""A running fleet as a scenario file: what was measured as fields, what was not as marked assumptions."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.importing.histogram import Histogram
from planner.importing.load import RateOverTime, rate_over_time
from planner.importing.running import Running, running_label, whole
from planner.importing.secrets import shown
from planner.importing.services import ImportedService
from planner.importing.sources import Fleet
from planner.scenario.reader import checked
from planner.scenario.text.yaml_source import parse_source

ASSUMED = "ASSUMED: not in the files"
CHECK = "# CHECK: "
DEFAULT_RATE, DEFAULT_PROMPT, DEFAULT_OUTPUT = "10", "1000", "300"
MOST_HIT_SHARE = 0.99
TARGETS = ("ttft", "tpot", "itl")
SHOWN_PERCENTILES = (0.5, 0.95, 0.99)


def scenario_text(
    fleet: Fleet, services: Iterable[ImportedService], catalog: Catalog, name: str
) -> str:
    """The text of a scenario that holds what runs today; checked as any scenario file is."""
    services = tuple(services)
    if fleet.rates and len(services) > 1:
        raise InputError(
            "a rate belongs to one model, and the files name several",
            where="--rate",
            found=", ".join(service.model for service in services),
            action="import each model by itself, or query its own request counter",
        )
    lines = [*_head(fleet), f"name: {json.dumps(name)}", "services:"]
    for service in services:
        lines += _service(service, fleet)
    lines += _existing(fleet)
    text = "\n".join(lines) + "\n"
    checked(parse_source(text, "the imported scenario"), Path(), default_name=name, catalog=catalog)
    return text


def assumptions(text: str) -> tuple[str, ...]:
    """What a written scenario assumes: the whole field, or the part of it that its comment names."""
    return tuple(_assumption(line) for line in text.splitlines() if ASSUMED in line)


def checks(text: str) -> tuple[str, ...]:
    """What a written scenario says of files that do not agree."""
    return tuple(line.partition(CHECK)[2] for line in text.splitlines() if CHECK in line)


def _assumption(line: str) -> str:
    field, _, comment = line.partition("#")
    known, _, assumed = (part.strip(" :;") for part in comment.partition(ASSUMED))
    return f"{assumed} ({field.strip()}: {known})" if known else field.strip()


def _head(fleet: Fleet) -> Iterator[str]:
    yield "# What runs today, as planner import read it. Find the cheapest fleet for it: planner solve FILE"
    yield f"# Read: {fleet.metric_files} metric files, {fleet.manifest_files} manifest files."
    if fleet.secrets:
        yield f"# {fleet.secrets} Secret objects were found in them; their contents were not read."
    if fleet.unnamed_servers:
        yield f"# Dumps without a server's name, added up as servers of their own: {fleet.unnamed_servers}."
    if len(fleet.namespaces) > 1:
        named = ", ".join(map(shown, fleet.namespaces))
        yield f"# Namespaces, added up: {named}. One alone: --namespace NAME"
    for gpus in _utilization(fleet):
        yield f"# {gpus}"


def _utilization(fleet: Fleet) -> Iterator[str]:
    used = [(g.gpus, g.utilization) for g in fleet.gpus if g.utilization is not None]
    if used:
        share = sum(n * u for n, u in used) / sum(n for n, _ in used)
        yield f"DCGM GPU utilization: {share:.0%}, mean of {sum(n for n, _ in used)} GPUs."


def _service(service: ImportedService, fleet: Fleet) -> Iterator[str]:
    seen = service.seen
    yield f"  - name: {json.dumps(service.name)}"
    for one in service.running:
        yield f"    # runs: {one.replicas} x {running_label(one)}{_settings(one)}"
    yield f"    model: {json.dumps(service.model)}"
    windows = fleet.rates or (seen.windows if seen else ())
    over_time = rate_over_time(windows)
    yield from _load(over_time, seen.rate_qps if seen else None)
    for field, mean, default in (
        ("prompt_tokens", seen.prompt_mean if seen else None, DEFAULT_PROMPT),
        ("output_tokens", seen.output_mean if seen else None, DEFAULT_OUTPUT),
    ):
        held = seen.lengths.get(field) if seen else None
        yield _lengths(field, held, mean, default, _longest(service.running))
    if seen is not None and seen.hit_share is not None:
        share = min(MOST_HIT_SHARE, round(seen.hit_share, 4))
        yield f"    assumptions: {{prefix_hit_share: {share}}}  # measured, of prompt tokens"
    yield from _targets(seen.latencies if seen else {})
    yield from _search(service.running)


def _search(running: Sequence[Running]) -> Iterator[str]:
    """The engines that run; where their KV caches or weights are in 8 bits, such ones are permitted."""
    engines = sorted({one.command.engine for one in running})
    if not engines:
        return
    search = [f"engines: [{', '.join(engines)}]"]
    stated = [one.command.settings for one in running]
    kv = any(str(s.get("kv_cache", "")).startswith("fp8") for s in stated)
    weights = any(str(s.get("quantization", "")) == "fp8" for s in stated)
    if kv or weights:
        formats = "native, fp8" if weights else "native"
        caches = "bf16, fp8" if kv else "bf16"
        search += [f"weights: [{formats}]", f"kv_cache: [{caches}]"]
        yield "    allow_lower_precision: true  # as today, in 8 bits"
    yield f"    search: {{{', '.join(search)}}}"


def _settings(one: Running) -> str:
    """The sizes that the running engine was given."""
    given = [
        f"{name} {number}"
        for name in ("max_model_len_tokens", "max_num_seqs", "max_num_batched_tokens")
        if (number := whole(one.command.settings, name)) is not None
    ]
    return f" ({', '.join(given)})" if given else ""


def _load(over_time: RateOverTime | None, mean: float | None) -> Iterator[str]:
    if over_time is None:
        note = (
            f"  # {ASSUMED}: mean requests per second" if mean is None or mean <= 0 else "  # mean"
        )
        yield f"    rate: {DEFAULT_RATE if mean is None or mean <= 0 else _number(mean)}{note}"
        return
    note = f"mean; peak window {_number(over_time.peak_qps)}/s"
    yield f"    rate: {_number(over_time.mean_qps)}  # {note}"
    parts = []
    if over_time.hourly:
        hours = ", ".join(_number(max(0.0, rate)) for rate in over_time.hourly)
        parts.append(f"hourly: [{hours}]")
    if over_time.peak_ratio > 1.01:
        parts.append(f"peak_ratio: {_number(over_time.peak_ratio)}")
    if parts:
        yield f"    load: {{{', '.join(parts)}}}  # hours are UTC"


def _longest(running: Sequence[Running]) -> int | None:
    """The longest request that the running servers take; None where one of them does not say."""
    stated = [whole(one.command.settings, "max_model_len_tokens") for one in running]
    known = [number for number in stated if number is not None]
    return max(known) if known and len(known) == len(stated) else None


def _lengths(
    field: str, held: Histogram | None, mean: float | None, default: str, longest: int | None
) -> str:
    if held is not None and not held.bounded:
        mean = held.mean
    elif held is not None:
        points = held.length_points()
        listed = ", ".join(f"{_number(q)}: {_number(t)}" for q, t in points.items())
        open_end = f"; {held.beyond:.1%} beyond the last bound" if held.beyond > 0 else ""
        cut = f", max: {longest}" if longest is not None and longest < max(points.values()) else ""
        refused = "; no longer request is taken today" if cut else ""
        note = f"measured, mean {_number(held.mean)}{open_end}{refused}"
        return f"    {field}: {{quantiles: {{{listed}}}{cut}}}  # {note}"
    if mean is not None and mean >= 1:
        return f"    {field}: {_number(mean)}  # measured mean; {ASSUMED}: how lengths vary"
    return f"    {field}: {default}  # {ASSUMED}"


def _targets(latencies: Mapping[str, Histogram]) -> Iterator[str]:
    """Today's percentiles as comments, and today's 99th as the targets to start from."""
    for metric, held in latencies.items():
        percentiles = [
            f"p{100 * q:g} {_duration(value) if value is not None else 'beyond the last bucket'}"
            for q in SHOWN_PERCENTILES
            for value in (held.quantile(q),)
        ]
        yield f"    # today: {metric} {', '.join(percentiles)}"
    targets = {
        metric: value
        for metric in TARGETS
        if metric in latencies and (value := latencies[metric].quantile(0.99)) is not None
    }
    if "tpot" in targets:
        targets.pop("itl", None)
    if not targets:
        yield f"    slo: {{ttft_p99: 2s, tpot_p99: 100ms}}  # {ASSUMED}: what you promise"
        return
    written = ", ".join(
        f"{m}_p99: {_duration(_rounded_up(v))}" for m, v in targets.items() if v > 0
    )
    yield f"    slo: {{{written}}}  # today's p99: put here what you promise"


def _existing(fleet: Fleet) -> Iterator[str]:
    if not fleet.nodes:
        unknown = [one for one in fleet.running if not one.gpu]
        if unknown:
            yield f"# existing: the GPU of {len(unknown)} workloads is not stated: give it with --gpu NAME"
        return
    yield "existing:  # put what a node costs you under usd_per_hour"
    for nodes in fleet.nodes:
        note = f"  # as read; {ASSUMED}: GPUs of a node" if nodes.assumed else ""
        yield (
            f"  - {{gpu: {nodes.gpu}, nodes: {nodes.nodes}, gpus_per_node: {nodes.gpus_per_node}}}{note}"
        )
    yield from _too_few(fleet)


def _too_few(fleet: Fleet) -> Iterator[str]:
    """GPUs of which the workloads take more than the nodes or DCGM hosts in the files hold."""
    held, taken = Counter[str](), Counter[str]()
    for nodes in fleet.nodes:
        held[nodes.gpu] += nodes.nodes * nodes.gpus_per_node
    for one in fleet.running:
        taken[one.gpu] += one.gpus
    for gpu, number in sorted(taken.items()):
        if gpu and number > held[gpu]:
            yield (
                f"  {CHECK}workloads take {number} {gpu}, the nodes in the files hold {held[gpu]}: "
                "add the missing nodes"
            )


def _number(value: float) -> str:
    """Four significant digits, without an exponent."""
    rounded = float(f"{value:.4g}")
    return str(int(rounded)) if rounded == int(rounded) else f"{rounded:.12f}".rstrip("0")


def _rounded_up(seconds: float) -> float:
    if seconds <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return math.ceil(seconds / unit - 1e-9) * unit


def _duration(seconds: float) -> str:
    return f"{_number(seconds)}s" if seconds >= 1 else f"{_number(1000 * seconds)}ms"
