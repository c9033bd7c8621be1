"""The replicas of a simulation with their caches and routers, built from groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Sequence as Many

from planner.catalog.engine import Scheduler
from planner.serving.offload import recompute_s_per_token
from planner.serving.simulation.block_tier import BlockTier
from planner.serving.simulation.history_cache import HistoryCache
from planner.serving.simulation.offload_tier import OffloadTier
from planner.serving.simulation.prefix_cache import PrefixCache
from planner.serving.simulation.replica import Replica
from planner.serving.simulation.replica_groups import Pool, SimulatedGroup
from planner.serving.simulation.requests import Requests
from planner.serving.simulation.routing import Router
from planner.serving.simulation.schedulers.priority_queue import PriorityReplica
from planner.serving.simulation.schedulers.registry import composer
from planner.serving.simulation.sequence import Sequence
from planner.serving.simulation.step_table import StepTable
from planner.serving.simulation.timed_replica import Journal, TimedReplica


class SimulatedFleet:
    """Every replica by number, when it serves, and the pools that requests are routed over.

    ``windows``: from when until when [s] each replica takes requests.
    """

    def __init__(self, requests: Requests, policy: str, journal: Journal) -> None:
        self.replicas: list[TimedReplica] = []
        self.windows: list[tuple[float, float]] = []
        self.pools: list[Pool] = []
        self._requests, self._policy, self._journal = requests, policy, journal
        self._dialogue = requests.dialogue
        self._longest = int((requests.prompt_tokens + requests.output_tokens).max())

    def add(
        self,
        groups: Many[SimulatedGroup],
        seed: int,
        on_end: Callable[[Sequence, float], None],
        decodes: bool = False,
    ) -> Pool:
        """A pool of these groups, whose replicas call ``on_end``; ``decodes``: prompts come from another."""
        talks = self._dialogue is not None or self._requests.recorded
        pool = Pool([], [], [])
        for group in groups:
            table = self._table(group, decodes)
            members = [
                self._replica(group, i, table, on_end, decodes) for i in range(group.replicas)
            ]
            pool.groups.append(members)
            pool.weights.append(max(group.weight, 1e-12))
            pool.routers.append(Router(self._policy, seed, talks))
            pool.served.append(0.0)
        self.pools.append(pool)
        return pool

    def _table(self, group: SimulatedGroup, decodes: bool) -> StepTable:
        limits = group.limits
        return StepTable(
            group.steps,
            self._longest,
            limits.max_num_seqs,
            max(limits.max_num_batched_tokens, 0 if limits.chunked else self._longest),
            limits.ranks,
            joins=decodes,
        )

    def _replica(
        self,
        group: SimulatedGroup,
        place: int,
        table: StepTable,
        on_end: Callable[[Sequence, float], None],
        decodes: bool,
    ) -> TimedReplica:
        limits = group.limits
        scheduler = limits.scheduler
        if decodes and scheduler is Scheduler.PREFILL_FIRST:
            scheduler = Scheduler.CHUNKED_PREFILL
        caches = limits.prefix_caching and not decodes
        if self._requests.levels is not None:
            levels = int(self._requests.levels.max()) + 1
            core: Replica = PriorityReplica(limits, composer(scheduler), levels)
        else:
            core = Replica(
                limits,
                composer(scheduler),
                self._prefixes(group) if caches else None,
                self._histories(group) if caches else None,
            )
        replica = TimedReplica(len(self.replicas), core, table, self._journal)
        replica.on_end = on_end
        self.replicas.append(replica)
        ready = group.ready_s[place] if place < len(group.ready_s) else 0.0
        retire = group.retire_s[place] if place < len(group.retire_s) else math.inf
        self.windows.append((ready, retire))
        return replica

    def _histories(self, group: SimulatedGroup) -> HistoryCache | None:
        limits = group.limits
        if self._dialogue is None or limits.kv_block_bytes <= 0:
            return None
        if limits.offload is None:
            return HistoryCache()
        again_s = recompute_s_per_token(group.steps, limits.chunk_tokens)
        return HistoryCache(OffloadTier(limits.offload, limits.kv_block_tokens, again_s))

    def _prefixes(self, group: SimulatedGroup) -> PrefixCache | None:
        limits = group.limits
        grows = limits.kv_block_bytes > 0
        if self._dialogue is not None:
            shared = self._dialogue.shared_tokens // limits.kv_block_tokens
            if not shared or not grows:
                return None
            return PrefixCache(shared * limits.kv_block_tokens, shared)
        if self._requests.prefix is None:
            return None
        tokens = self._requests.block_tokens
        tier = None
        if limits.offload is not None and grows:
            again_s = recompute_s_per_token(group.steps, limits.chunk_tokens)
            tier = BlockTier(limits.offload, tokens, again_s)
        return PrefixCache(tokens, tokens // limits.kv_block_tokens if grows else 0, tier)
