"""What starts one replica: a replica group of a plan, resolved to what an engine must be given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from planner.catalog.drafts import DraftMethod
from planner.catalog.gpu import GpuSpec
from planner.deploy.engines.dialect import Dialect
from planner.deploy.manifest import EnvironmentVariable
from planner.deploy.sharing_resources import shared_resource
from planner.scenario.task import GENERATE, Task

IMAGE_PATH = "/checkpoint"  # where an image with a checkpoint is mounted


class Role(StrEnum):
    """Which of a replica's processes: alone on one node, or first and further nodes of several."""

    SINGLE = "single"
    LEADER = "leader"
    WORKER = "worker"


class PoolRole(StrEnum):
    """Whether replicas prefill, decode, or do both."""

    BOTH = "both"
    PREFILL = "prefill"
    DECODE = "decode"


PORT = EnvironmentVariable("PORT")
CONFIG = EnvironmentVariable("CONFIG")
NODE_RANK = EnvironmentVariable("NODE_RANK")
LEADER_ADDRESS = EnvironmentVariable("LEADER_ADDRESS")


@dataclass(frozen=True, slots=True)
class KvOffloadOption:
    """Host memory for KV blocks in the unit of the engine's option; ``disk``: whether a disk is behind it."""

    size: int
    disk: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """One replica group: the same replica ``replicas`` times.

    ``quantise_yourself``: no public checkpoint in ``weights`` is known.

    ``name`` is a DNS label. ``checkpoint`` is what the engine loads, ``served_name`` what clients ask
    for. ``max_model_len_tokens``: the longest request accepted, ``planned_tokens``: that the plan expects.
    ``quantization`` is None where the checkpoint's own config says it. ``nodes`` of ``node_gpus``
    GPUs make one replica; ``node_label`` is what nodes with the GPU carry. ``queue_threshold``: requests
    waiting at one replica that still start within the TTFT target. ``rate_qps`` and ``capacity_qps`` are
    per replica [requests/s]. ``drain_s``: how long requests in flight may take to finish [s].
    ``replicas`` run in the busiest hour; ``by_hour`` in each hour of the day, empty where they do not
    vary. ``pool``: one of the two pools of ``units`` that stand ``within`` a node or a zone; ``port``:
    where the engine listens in a container. ``checkpoint_bytes``: the files of the checkpoint [B].
    ``model_image``: an image that holds the checkpoint, mounted at ``IMAGE_PATH``. ``survives_zones``: zones
    the plan may lose with every target held. ``image_named``: ``image`` was given by hand.
    ``task``: what becomes of a prompt; ``encoder``: the model
    keeps no cache. ``lora_cached``: adapters kept in host memory, those on the GPUs included.
    ``batch``: it serves a batch job, by the clock alone. ``gpu_share``: of its one GPU, whose MIG slice
    ``profile`` it has, or a time slice where that is empty; ``memory_fraction`` is then of what the engine
    sees, a slice's memory or the whole GPU's. ``graphs_max_batch``: the largest decode batch of a rank that
    is predicted to run as a captured graph, 0 where nothing is known.
    ``priority_scheduling``: requests carry priorities, and the lower number is served first.
    ``draft_method``: how tokens are drafted; None where the
    plan does not say, and the engine finds out from ``draft_model`` (or the checkpoint where there is none).
    """

    name: str
    service: str
    dialect: Dialect
    gpu: GpuSpec
    checkpoint: str
    served_name: str
    tensor_parallel: int
    pipeline_parallel: int
    data_parallel: int
    expert_parallel: int
    weights: str
    quantization: str | None
    dtype: str | None
    kv_cache: str
    max_model_len_tokens: int
    planned_tokens: int
    max_num_seqs: int
    max_num_batched_tokens: int
    memory_fraction: float
    prefix_caching: bool
    kv_offload: KvOffloadOption | None
    draft_tokens: int
    draft_model: str | None
    draft_method: DraftMethod | None
    lora_adapters: int
    lora_rank: int
    program: tuple[str, ...]
    start_up_s: float
    replicas: int = 1
    nodes: int = 1
    image: str = ""
    node_label: tuple[str, str] = ("", "")
    keep_entrypoint: bool = False
    queue_threshold: int = 1
    rate_qps: float = 0.0
    capacity_qps: float = 0.0
    drain_s: int = 60
    by_hour: tuple[int, ...] = ()
    trust_remote_code: bool = False
    decode_context_parallel: int = 1
    pool: PoolRole = PoolRole.BOTH
    units: int = 0
    within: str = ""
    quantise_yourself: bool = False
    port: int = 8000
    checkpoint_bytes: float = 0.0
    model_image: str = ""
    survives_zones: int = 0
    image_named: bool = False
    task: Task = GENERATE
    encoder: bool = False
    lora_cached: int = 0
    batch: bool = False
    gpu_share: float = 1.0
    profile: str = ""
    graphs_max_batch: int = 0
    priority_scheduling: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether its GPUs are its own."""
        return self.gpu_share >= 1

    @property
    def is_time_slice(self) -> bool:
        """Whether it shares a GPU that is not cut."""
        return not self.is_whole and not self.profile

    @property
    def part(self) -> str:
        """What it has of its GPU, in words."""
        return self.profile or f"{self.gpu_share:.3g}"

    @property
    def resource(self) -> str:
        """What a cluster calls its GPUs, or the part of one."""
        if self.is_whole:
            return self.dialect.device(self.gpu.vendor).resource
        return shared_resource(self.profile)

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel

    @property
    def least_replicas(self) -> int:
        """What must run at any time; a server stays up where the plan would switch the last one off.

        Those of a batch job go with the last of its work.
        """
        return max(0 if self.batch else 1, min(self.by_hour, default=self.replicas))

    @property
    def most_replicas(self) -> int:
        """What runs at most; another hour than the busiest may want more of this deployment."""
        return max(self.replicas, *self.by_hour) if self.by_hour else self.replicas

    @property
    def is_local(self) -> bool:
        """Whether the checkpoint is a folder of this machine rather than a repository or an image."""
        return self.checkpoint.startswith("/") and not self.model_image

    @property
    def loads(self) -> str:
        """What the engine is given to load: the checkpoint, or the folder its image is mounted at."""
        return IMAGE_PATH if self.model_image else self.checkpoint

    @property
    def node_gpus(self) -> int:
        """GPUs of one replica on one node."""
        return self.gpus // self.nodes

    @property
    def roles(self) -> tuple[Role, ...]:
        """The kinds of process one replica is made of."""
        return (Role.SINGLE,) if self.nodes == 1 else (Role.LEADER, Role.WORKER)
