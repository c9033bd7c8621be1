"""Training memory of one GPU: weights, gradients, optimizer states and activations.

Mixed precision keeps, per trainable parameter, 2 bytes of weights, 2 of gradients and the optimizer's
(Adam: 4 + 8; 16 in all). ZeRO divides optimizer states (stage 1), gradients (2) and weights (3) by the
data-parallel degree (Rajbhandari et al. 2020, section 5).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from planner.catalog.gpu import GpuSpec
from planner.catalog.model import ModelSpec, Tensor
from planner.catalog.store import Catalog
from planner.errors import InputError
from planner.sizing.parameters import count_parameters, model_tensors
from planner.sizing.precision import tensor_bytes
from planner.sizing.rules_of_thumb import BUFFER, full_fine_tuning_gb, lora_gb, weights_gb
from planner.sizing.stages import stage_layers
from planner.sizing.training.activations import (
    Recompute,
    layer_bytes,
    logits_bytes,
    published_layer_bytes,
)
from planner.sizing.training.rules import Adapters, TrainingRules, training_rules
from planner.units import GIB

WEIGHT_BYTES = 2
MAX_CARDS = 4096


class Method(StrEnum):
    """All parameters, low-rank adapters on 16-bit weights, or adapters on 4-bit weights."""

    FULL = "full"
    LORA = "lora"
    QLORA = "qlora"


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """How a model is trained. ``batch``: sequences of one microbatch on one data-parallel rank."""

    method: Method = Method.FULL
    optimizer: str = "adam"
    zero: int = 0
    seq_tokens: int = 2048
    batch: int = 1
    recompute: Recompute = Recompute.SELECTIVE
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    lora_rank: int = 16

    @property
    def gpus(self) -> int:
        """GPUs the job runs on."""
        return self.tensor_parallel * self.pipeline_parallel * self.data_parallel


@dataclass(frozen=True, slots=True)
class TrainingMemory:
    """Bytes on the fullest GPU [B], and what the rules of thumb say for the whole job [GB].

    ``published_activations_bytes``: the closed formula for a GPT of the same size.
    ``fewest_gpus``: the smallest number of that GPU that holds the job by adding data-parallel ranks;
    None when no number does (or no GPU was named).
    """

    weights_bytes: float
    gradients_bytes: float
    optimizer_bytes: float
    activations_bytes: float
    context_bytes: float
    trainable_parameters: float
    published_activations_bytes: float
    gpus: int
    fits: bool | None
    fewest_gpus: int | None
    rule_of_thumb_gb: tuple[float, float]

    @property
    def total_bytes(self) -> float:
        """The sum of the parts, per GPU [B]."""
        return sum(self.parts_bytes().values())

    def parts_bytes(self) -> dict[str, float]:
        """The parts by name [B]."""
        return {
            "weights": self.weights_bytes,
            "gradients": self.gradients_bytes,
            "optimizer": self.optimizer_bytes,
            "activations": self.activations_bytes,
            "context": self.context_bytes,
        }


def training_memory(
    catalog: Catalog, model: ModelSpec, job: TrainingJob, gpu: GpuSpec | None = None
) -> TrainingMemory:
    """Size a training job. Raises InputError for degrees, lengths or stages that cannot be."""
    _check(model, job)
    rules = training_rules(catalog)
    stages = [_stage(catalog, rules, model, job, stage) for stage in range(job.pipeline_parallel)]
    weights, gradients, optimizer, activations = max(stages, key=sum)
    total = weights + gradients + optimizer + activations + rules.context_gib * GIB
    return TrainingMemory(
        weights_bytes=weights,
        gradients_bytes=gradients,
        optimizer_bytes=optimizer,
        activations_bytes=activations,
        context_bytes=rules.context_gib * GIB,
        trainable_parameters=_trainable(rules, model, job),
        published_activations_bytes=_published(model, job),
        gpus=job.gpus,
        fits=None if gpu is None else total <= gpu.visible_bytes,
        fewest_gpus=None if gpu is None else _fewest_gpus(catalog, rules, model, job, gpu),
        rule_of_thumb_gb=_rule_gb(model, job.method),
    )


Parts = tuple[float, float, float, float]


def _stage(
    catalog: Catalog, rules: TrainingRules, model: ModelSpec, job: TrainingJob, stage: int
) -> Parts:
    """Return weights, gradients, optimizer states and activations of one rank of a stage [B]."""
    tensors = _stage_tensors(model, job, stage)
    shares = [(tensor, _local_share(tensor, job.tensor_parallel)) for tensor in tensors]
    values = sum(tensor.values * share for tensor, share in shares)
    optimizer = rules.optimizer(job.optimizer)
    adapters = _adapters(rules, job.method)
    if adapters is None:
        base, trainable = WEIGHT_BYTES * values, values
    else:
        fmt = catalog.weight_format(adapters.base_format)
        base = sum(tensor_bytes(tensor, fmt) * share for tensor, share in shares)
        trainable = sum(_adapter_values(t, s, adapters, job.lora_rank) for t, s in shares)
        base += WEIGHT_BYTES * trainable
    states = optimizer.master_bytes + optimizer.state_bytes
    dp = job.data_parallel
    return (
        base / (dp if job.zero >= 3 else 1),
        rules.gradient_bytes * trainable / (dp if job.zero >= 2 else 1),
        states * trainable / (dp if job.zero >= 1 else 1),
        _stage_activations(model, job, stage),
    )


def _adapters(rules: TrainingRules, method: Method) -> Adapters | None:
    return {Method.LORA: rules.lora, Method.QLORA: rules.qlora}.get(method)


def _trainable(rules: TrainingRules, model: ModelSpec, job: TrainingJob) -> float:
    """Parameters that are trained, over all ranks [values]."""
    adapters = _adapters(rules, job.method)
    if adapters is None:
        return count_parameters(model).total
    return sum(_adapter_values(t, 1.0, adapters, job.lora_rank) for t in model_tensors(model))


def _stage_tensors(model: ModelSpec, job: TrainingJob, stage: int) -> list[Tensor]:
    last = stage == job.pipeline_parallel - 1
    tensors = [t for i in _layers(model, job, stage) for t in model.layers[i].tensors]
    for tensor in model.outer:
        is_embedding = tensor.klass == "embedding"
        if (is_embedding and (stage == 0 or (last and model.tied_embeddings))) or (
            not is_embedding and last
        ):
            tensors.append(tensor)
    return tensors


def _layers(model: ModelSpec, job: TrainingJob, stage: int) -> range:
    return stage_layers(len(model.layers), job.pipeline_parallel)[stage]


def _local_share(tensor: Tensor, tensor_parallel: int) -> float:
    if tensor.shard == "replicated":
        return 1.0
    return 1 / (min(tensor_parallel, tensor.parts) if tensor.parts else tensor_parallel)


def _adapter_values(tensor: Tensor, share: float, adapters: Adapters, rank: int) -> float:
    """``r (rows + cols)`` for each adapted matrix, divided over ranks like the matrix."""
    if tensor.klass not in adapters.targets or min(tensor.rows, tensor.cols) == 1:
        return 0.0
    return tensor.copies * rank * (tensor.rows + tensor.cols) * share


def _stage_activations(model: ModelSpec, job: TrainingJob, stage: int) -> float:
    """Activations of a stage [B]: 1F1B keeps ``pp - stage`` microbatches in flight."""
    shape = (model.hidden_size, job.seq_tokens, job.batch, job.tensor_parallel)
    layers = [model.layers[i] for i in _layers(model, job, stage)]
    in_flight = job.pipeline_parallel - stage
    kept = in_flight * sum(layer_bytes(layer, *shape, job.recompute) for layer in layers)
    if job.recompute is Recompute.FULL:
        kept += max(layer_bytes(layer, *shape, Recompute.SELECTIVE) for layer in layers)
    if stage == job.pipeline_parallel - 1:
        kept += logits_bytes(model, job.seq_tokens, job.batch, job.tensor_parallel)
    return kept


def _published(model: ModelSpec, job: TrainingJob) -> float:
    """The paper's formula over all layers: what the first pipeline stage keeps [B]."""
    heads = next((layer.mixer.heads for layer in model.layers if layer.mixer is not None), 0)
    return len(model.layers) * published_layer_bytes(
        model.hidden_size, heads, job.seq_tokens, job.batch, job.tensor_parallel, job.recompute
    )


def _fewest_gpus(
    catalog: Catalog, rules: TrainingRules, model: ModelSpec, job: TrainingJob, gpu: GpuSpec
) -> int | None:
    """The fewest GPUs that hold the job as data-parallel ranks are added at the same TP and PP."""
    unit = job.tensor_parallel * job.pipeline_parallel
    usable = gpu.visible_bytes - rules.context_gib * GIB
    stages = [
        _stage(catalog, rules, model, replace(job, data_parallel=1), s)
        for s in range(job.pipeline_parallel)
    ]
    divided = (job.zero >= 3, job.zero >= 2, job.zero >= 1)
    needed = 1
    for stage in stages:
        shared = sum(part for part, cut in zip(stage[:3], divided, strict=True) if cut)
        fixed = sum(stage) - shared
        if fixed >= usable:
            return None
        needed = max(needed, -int(-shared // (usable - fixed)))
    return unit * needed if unit * needed <= MAX_CARDS else None


def _rule_gb(model: ModelSpec, method: Method) -> tuple[float, float]:
    """The rules of thumb for the whole job [GB]: parameters x 2 x 6, or serving x 1.2 to 1.5."""
    parameters = count_parameters(model).total
    if method is Method.FULL:
        total = full_fine_tuning_gb(parameters)
        return total, total
    bytes_per_value = WEIGHT_BYTES if method is Method.LORA else 0.5
    return lora_gb(weights_gb(parameters, bytes_per_value, BUFFER))


def _check(model: ModelSpec, job: TrainingJob) -> None:
    for name, value, high in (
        ("tensor parallel", job.tensor_parallel, 1024),
        ("pipeline parallel", job.pipeline_parallel, len(model.layers)),
        ("data parallel", job.data_parallel, 100_000),
        ("sequence length", job.seq_tokens, 10_000_000),
        ("batch", job.batch, 1_000_000),
        ("LoRA rank", job.lora_rank, 65_536),
    ):
        if not 1 <= value <= high:
            raise InputError(f"{name} is out of range", found=value, allowed=f"1 to {high:,}")
    if not 0 <= job.zero <= 3:
        raise InputError("unknown ZeRO stage", found=job.zero, allowed="0, 1, 2 or 3")
    heads = next((layer.mixer.heads for layer in model.layers if layer.mixer is not None), None)
    if heads is not None and heads % job.tensor_parallel:
        raise InputError(
            "tensor parallel does not divide the attention heads",
            found=job.tensor_parallel,
            allowed=f"a divisor of {heads}",
        )
