"""Runs a simulation that was built for the Python loop through the compiled core.

The core reads the same replicas, tables and requests. What happened to each request is in a ``CoreOutcome``;
the sums over steps are left in the replicas, where the loop leaves them.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from planner.performance.steps import StepBatch
from planner.serving.limits import ReplicaLimits
from planner.serving.simulation.compiled import library as c
from planner.serving.simulation.compiled.coverage import POLICIES, SCHEDULERS
from planner.serving.simulation.replica import Replica
from planner.serving.simulation.replica_groups import Handover, Pool
from planner.serving.simulation.step_table import StepTable
from planner.serving.simulation.timed_replica import Journal, TimedReplica
from planner.serving.step_lattice import ROW_BLOCK

Part = TypeVar("Part")
Struct = TypeVar("Struct", bound=ctypes.Structure)


@dataclass(frozen=True, slots=True)
class CoreRun:
    """What a simulation is about to do: its built fleet, its requests and its limits.

    windows: when each replica accepts [s]; pools: the first takes what arrives; handovers: by number of the
    prefill replica.
    """

    replicas: Many[TimedReplica]
    windows: Many[tuple[float, float]]
    pools: Many[Pool]
    handovers: dict[int, Handover]
    prompts: array[int]
    outputs: array[int]
    arrivals: array[float]
    calls: array[int] | None
    levels: array[int] | None
    cached_share: float
    concurrency: int | None
    max_backlog: int
    max_queue: int | None
    scales: bool
    admission_s: float
    sample_every_s: float
    progress: Callable[[int], None] | None


@dataclass(frozen=True, slots=True)
class CoreOutcome:
    """What happened to each request, and how the run ended.

    arrivals: when each was sent [s]; sent: how many; area: under those in flight [request-seconds];
    samples: rows of time [s], running and waiting sequences, then each replica's blocks in use.
    """

    overloaded: bool
    journal: Journal
    arrivals: array[float]
    shed: bytearray
    sent: int
    area: float
    clock_s: float
    samples: list[list[float]]


def run(core: ctypes.CDLL, plan: CoreRun) -> CoreOutcome | None:
    """CoreRun it; None where the numbers leave what the core computes with, for the Python loop to say."""
    call = _Call(plan)
    status = core.planner_core_run(ctypes.byref(call.service))
    try:
        if status == c.INTERRUPTED:
            raise call.failure or KeyboardInterrupt
        if status == c.OUT_OF_MEMORY:
            raise MemoryError("the simulation needs more memory than there is")
        if status == c.OUT_OF_DOMAIN:
            return None
        return call.outcome(status == c.OVERLOADED)
    finally:
        core.planner_core_release(ctypes.byref(call.service))


class _Call:
    """The structures of one call, and the arrays they point to."""

    def __init__(self, plan: CoreRun) -> None:
        self.failure: BaseException | None = None
        self._plan = plan
        self._kept: list[object] = []
        self._tables = _Numbered[StepTable]()
        self._limits = _Numbered[ReplicaLimits]()
        self._rows: list[tuple[NDArray[np.uintp], NDArray[np.uintp]]] = []
        pools = list(plan.pools)
        links, link_of, unit_of = self._links(pools)
        replicas = plan.replicas
        self.members = (c.CoreMember * len(replicas))()
        for i, replica in enumerate(replicas):
            ready, retire = plan.windows[i]
            self.members[i] = c.CoreMember(
                table=self._tables.number(replica.table),
                limits=self._limits.number(replica.core.limits),
                scheduler=SCHEDULERS[type(replica.core.composer)],
                link=link_of.get(i, -1),
                unit=unit_of.get(i, 0),
                ready_s=ready,
                retire_s=retire,
            )
        of_limits = {id(r.core.limits): r.core for r in replicas}
        limits = [self._limits_of(of_limits[id(part)]) for part in self._limits.parts]
        tables = [self._table(t) for t in self._tables.parts]
        groups = [self._group(pool, i) for pool in pools for i in range(len(pool.groups))]
        firsts = np.cumsum([0, *(len(p.groups) for p in pools)]).tolist()
        heads = [c.CorePool(first, len(p.groups)) for first, p in zip(firsts, pools, strict=False)]
        self.journal = journal = Journal(len(plan.prompts))
        self.arrivals = array("d", plan.arrivals)
        self.shed = bytearray(len(plan.prompts))
        concurrency, queue = plan.concurrency, plan.max_queue
        self.service = c.CoreService(
            requests=len(plan.prompts),
            concurrency=-1 if concurrency is None else concurrency,
            max_backlog=plan.max_backlog,
            max_queue=-1 if queue is None else queue,
            scales=plan.scales,
            cached_share=plan.cached_share,
            admission_s=plan.admission_s,
            sample_every_s=plan.sample_every_s,
            prompts=_address(plan.prompts),
            outputs=_address(plan.outputs),
            arrivals=_address(self.arrivals),
            calls=None if plan.calls is None else _address(plan.calls),
            levels=None if plan.levels is None else _address(plan.levels),
            levels_count=1 if plan.levels is None else max(plan.levels) + 1,
            start_s=_address(journal.start_s),
            first_s=_address(journal.first_s),
            end_s=_address(journal.end_s),
            longest_gap_s=_address(journal.longest_gap_s),
            preemptions=_address(journal.preemptions),
            replica=_address(journal.replica),
            cached=_address(journal.cached),
            shed=self._array(np.frombuffer(self.shed, dtype=np.uint8)),
            tables_count=len(tables),
            limits_count=len(limits),
            links_count=len(links),
            members_count=len(replicas),
            groups_count=len(groups),
            pools_count=len(pools),
            tables=self._structures(c.CoreTable, tables),
            limits=self._structures(c.CoreLimits, limits),
            links=self._structures(c.CoreLink, links),
            members=ctypes.addressof(self.members),
            groups=self._structures(c.CoreGroup, groups),
            pools=self._structures(c.CorePool, heads),
            fill_row=c.FillRow(self._fill_row),
            price_step=c.PriceStep(self._price_step),
            progress=c.Progress(self._progress),
        )

    # ---- what the core reads

    def _structures(self, kind: type[Struct], values: Many[Struct]) -> int:
        stored = (kind * max(1, len(values)))(*values)
        self._kept.append(stored)
        return ctypes.addressof(stored)

    def _array(self, values: NDArray[np.generic]) -> int:
        self._kept.append(values)
        return int(values.ctypes.data)

    def _links(self, pools: list[Pool]) -> tuple[list[c.CoreLink], dict[int, int], dict[int, int]]:
        """The links, each prefill replica's link, and the failure domains of the replicas they join."""
        numbers: dict[int, int] = {}
        units: dict[frozenset[int], int] = {}
        links: list[c.CoreLink] = []
        link_of, unit_of = {}, {}
        for sender, handover in self._plan.handovers.items():
            decode = handover.decode
            if id(decode) not in numbers:
                numbers[id(decode)] = len(links)
                links.append(
                    c.CoreLink(
                        pool=next(i for i, p in enumerate(pools) if p is handover.pool),
                        limits=self._limits.number(decode.group.limits),
                        units=decode.units,
                        bytes_per_s=decode.link_gb_s * 1e9,
                        latency_s=decode.link_latency_s,
                        admission_s=decode.group.steps.admission_s,
                    )
                )
            link_of[sender] = numbers[id(decode)]
            unit = units.setdefault(handover.decoders, len(units))
            unit_of.update(dict.fromkeys((sender, *handover.decoders), unit))
        return links, link_of, unit_of

    def _limits_of(self, replica: Replica) -> c.CoreLimits:
        limits = replica.limits
        windows = list(limits.windows)
        return c.CoreLimits(
            max_num_seqs=limits.max_num_seqs,
            max_num_batched_tokens=limits.max_num_batched_tokens,
            chunk_tokens=limits.chunk_tokens,
            block_tokens=limits.kv_block_tokens,
            grows=limits.kv_block_bytes > 0,
            grows_alone=not limits.windows and not limits.state_bytes,
            draft_tokens=limits.draft_tokens,
            ranks=limits.ranks,
            chunked=limits.chunked,
            prefix_caching=limits.prefix_caching,
            windows_count=len(windows),
            window_tokens=tuple(w for w, _ in windows),
            window_bytes=tuple(b for _, b in windows),
            state_bytes=limits.state_bytes,
            block_bytes=limits.kv_block_bytes,
            unit_bytes=replica.unit_bytes,
            pool_blocks=replica.pool_blocks,
            tokens_per_step=limits.tokens_per_step,
        )

    def _table(self, table: StepTable) -> c.CoreTable:
        largest = max(r.core.limits.max_num_seqs for r in self._plan.replicas if r.table is table)
        rows = np.zeros(largest + 2 * ROW_BLOCK, dtype=np.uintp)
        mixed = np.zeros(len(table.batches), dtype=np.uintp)
        self._rows.append((rows, mixed))
        lattices = (table.knots, table.coarse, table.batches, table.prefills)
        knots, coarse, batches, prefills = (np.array(values, dtype=float) for values in lattices)
        return c.CoreTable(
            knots_count=len(knots),
            coarse_count=len(coarse),
            batches_count=len(batches),
            prefills_count=len(prefills),
            rows_count=len(rows),
            knots=self._array(knots),
            coarse=self._array(coarse),
            batches=self._array(batches),
            prefills=self._array(prefills),
            rows=self._array(rows),
            mixed=self._array(mixed),
            ranks=table.ranks,
            joins=table.joins,
        )

    def _group(self, pool: Pool, i: int) -> c.CoreGroup:
        router, members = pool.routers[i], pool.groups[i]
        policy = POLICIES[router.policy]
        state = np.array(router.random_words(), dtype=np.uint32)
        return c.CoreGroup(
            first=members[0].number if members else 0,
            count=len(members),
            policy=policy,
            weight=pool.weights[i],
            random=self._array(state),
        )

    # ---- what the core asks

    def _fill_row(self, number: int, mixed: int, row: int) -> int:
        try:
            table = self._tables.parts[number]
            rows, grids = self._rows[number]
            if mixed:
                grids[row] = self._array(np.ascontiguousarray(table.mixed_grid(row)))
                return 1
            first, values, slopes = table.decode_block(row)
            block = np.hstack([values, slopes])
            rows[first : first + len(block)] = self._array(block) + block.strides[0] * np.arange(
                len(block), dtype=np.uintp
            )
        except BaseException as failed:
            self.failure = failed
            return 0
        return 1

    def _price_step(
        self,
        number: int,
        batch: ctypes._Pointer[ctypes.c_double],
        seconds: ctypes._Pointer[ctypes.c_double],
    ) -> int:
        try:
            seconds[0] = self._tables.parts[number].exact_s(StepBatch(*batch[:6]))
        except BaseException as failed:
            self.failure = failed
            return 0
        return 1

    def _progress(self, request: int) -> int:
        try:
            if self._plan.progress is not None:
                self._plan.progress(request)
        except BaseException as failed:
            self.failure = failed
            return 0
        return 1

    # ---- what it found

    def outcome(self, overloaded: bool) -> CoreOutcome:
        """The run's outcome; its sums are left in the replicas."""
        service, replicas = self.service, self._plan.replicas
        for replica, member in zip(replicas, self.members, strict=True):
            replica.steps = member.steps
            replica.prefilled_tokens = member.prefilled_tokens
            replica.prefill_busy_s = member.prefill_busy_s
            replica.decode_busy_s = member.decode_busy_s
            replica.batch_area = member.batch_area
            replica.kv_area = member.kv_area
        counts = service.gaps[: service.gaps_count] if service.gaps else []
        replicas[0].gaps.update({key: tokens for key, tokens in enumerate(counts) if tokens})
        width = 3 + len(replicas)
        values = service.samples[: service.samples_count * width] if service.samples else []
        samples = [values[i : i + width] for i in range(0, len(values), width)]
        return CoreOutcome(
            overloaded,
            self.journal,
            self.arrivals,
            self.shed,
            service.sent,
            service.area,
            service.clock_s,
            samples,
        )


class _Numbered(Generic[Part]):
    """Different parts, distinguished by identity, with their numbers in order of appearance."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self._numbers: dict[int, int] = {}

    def number(self, part: Part) -> int:
        if id(part) not in self._numbers:
            self._numbers[id(part)] = len(self.parts)
            self.parts.append(part)
        return self._numbers[id(part)]


def _address(values: array[int] | array[float]) -> int:
    return values.buffer_info()[0]
