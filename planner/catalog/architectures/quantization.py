"""What a checkpoint's ``quantization_config`` says: its weight format, and the classes stored otherwise.

Understands the "fp8", "compressed-tensors", "modelopt", "awq", "gptq", "bitsandbytes" and "mxfp4" methods.
A class counts as left out when at least half of the layers name it in the ignore list.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.catalog.architectures.fields import ConfigFields
from planner.errors import nearest

IGNORE_KEYS = ("ignore", "modules_to_not_convert", "exclude_modules")
MODELOPT = {
    "FP8": "fp8_tensor",
    "FP8_PB_WO": "fp8_block",
    "NVFP4": "nvfp4",
    "W4A16_NVFP4": "nvfp4",
    "NVFP4_AWQ": "nvfp4",
    "MXFP8": "mxfp8",
    "MXFP4": "mxfp4",
    "W4A16_AWQ": "int4",
    "W4A8_AWQ": "int4",
    "INT4_AWQ": "int4",
    "W8A8_SQ_PER_CHANNEL": "int8",
}
CLASS_PATTERNS = (
    (
        "",
        r"in_proj_[ab]\b|conv1d|norm|mtp\.fc|eh_proj|shared_head|e_score|shared_expert_gate|router|weights_proj|indexers_proj|mlp\.gate$|moe\.gate$|^gate$",
    ),
    ("vision", r"vision|visual|mm_projector|multi_modal|patch_merge|embed_vision"),
    ("mtp", r"mtp(?!\.fc)|nextn"),
    ("indexer", r"indexer"),
    ("shared_expert", r"shared_expert"),
    ("expert", r"experts|\bmoe\b"),
    ("recurrent", r"linear_attn|mamba|in_proj|out_proj"),
    ("attention", r"attn|attention|[qkvo]_proj"),
    ("head", r"lm_head|^head$|\.head$"),
    ("embedding", r"embed"),
    ("mlp", r"mlp|ffn|feed_forward|(gate|up|down)_proj"),
)
LAYER_INDEX = re.compile(r"layers?\.(\d+)\b")


@dataclass(frozen=True, slots=True)
class Stored:
    """How a checkpoint is stored: its format, exceptions by tensor class, and its KV format."""

    weights: str
    classes: tuple[tuple[str, str], ...] = ()
    kv: str = ""


def read_quantization(fields: ConfigFields, layers: int, dtype: str) -> Stored:
    """Return how the checkpoint is stored; ``dtype`` when it is not quantised."""
    section = fields.section("quantization_config")
    if section is None:
        return Stored(dtype)
    weights = _format(section)
    block_base = section.text("quant_algo") == "MIXED_PRECISION" and section.has(
        "weight_block_size"
    )
    left = "fp8_block" if block_base else dtype
    classes = dict.fromkeys(_ignored(section, layers), left) | {"head": dtype}
    classes.update(_listed(section, weights))
    if block_base:
        classes.update(_all_but_experts(left, classes))
    if fields.text("expert_dtype") == "fp4" and "expert" not in classes and weights == "fp8_block":
        weights, base = "mxfp4", weights
        classes.update(_all_but_experts(base, classes))
    return Stored(weights, tuple(sorted(classes.items())), _kv(section))


def _all_but_experts(base: str, classes: Mapping[str, str]) -> dict[str, str]:
    names = ("attention", "mlp", "shared_expert", "indexer", "mtp")
    return {name: base for name in names if name not in classes}


def _format(section: ConfigFields) -> str:
    """The concrete format's name of the bulk of the weights."""
    method = section.text("quant_method")
    algorithm = section.text("quant_algo")
    if method == "compressed-tensors" or (not method and not algorithm):
        return _compressed(section)
    if method in ("awq", "gptq", "gptq_marlin", "awq_marlin", "auto-round"):
        bits = section.count("bits", "w_bit", default=4, maximum=16)
        return "int8" if bits == 8 else "int4"
    if method == "bitsandbytes":
        return "int8" if section.flag("load_in_8bit") else "nf4"
    if method == "mxfp4":
        return "mxfp4"
    if method == "fp8" and algorithm not in ("FP8", "MIXED_PRECISION"):
        return "fp8_block" if section.items("weight_block_size") else "fp8_tensor"
    if algorithm == "MIXED_PRECISION":
        return _most_listed(section)
    if algorithm in MODELOPT:
        return MODELOPT[algorithm]
    found = algorithm or method
    error = section.error(
        "quant_method",
        "is not known",
        found,
        ", ".join(("fp8", "compressed-tensors", "awq", "gptq")),
    )
    error.action = nearest(found, MODELOPT)
    raise error


def _compressed(section: ConfigFields) -> str:
    groups = section.section("config_groups")
    names = list(groups.values) if groups else []
    if groups is None or not names:
        raise section.error("config_groups", "is missing", None, "compressed-tensors groups")
    group = groups.section(str(names[0]))
    weights = group.section("weights") if group else None
    if weights is None:
        raise section.error("config_groups", "has no weights", names[0], "a weights section")
    bits = weights.count("num_bits", maximum=16)
    size = weights.count("group_size", default=0, minimum=-1)
    if weights.text("type") == "int":
        return "int8" if bits == 8 else "int4_experts" if size == 32 else "int4"
    if bits == 4:
        return "mxfp4" if size == 32 else "nvfp4"
    strategy = weights.text("strategy", "channel")
    return {"block": "fp8_block", "tensor": "fp8_tensor"}.get(strategy, "fp8")


def _ignored(section: ConfigFields, layers: int) -> list[str]:
    """Classes that at least half of the layers leave unquantised."""
    where: defaultdict[str, set[int]] = defaultdict(set)
    everywhere: set[str] = set()
    for key in IGNORE_KEYS:
        for entry in section.items(key) or ():
            name = _class_of(str(entry))
            index = LAYER_INDEX.search(str(entry))
            if not name:
                continue
            if index is None:
                everywhere.add(name)
            elif int(index.group(1)) < layers:
                where[name].add(int(index.group(1)))
    often = {name for name, found in where.items() if 2 * len(found) >= layers}
    return sorted((everywhere | often) - {"vision"})


def _listed(section: ConfigFields, weights: str) -> dict[str, str]:
    """Classes that ModelOpt's per-layer table stores in a format of their own."""
    table = section.section("quantized_layers")
    if table is None:
        return {}
    counts = _count_formats(table)
    classes = {name: max(formats, key=formats.__getitem__) for name, formats in counts.items()}
    return {name: stored for name, stored in classes.items() if stored != weights or name == "head"}


def _count_formats(table: ConfigFields) -> dict[str, dict[str, int]]:
    counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for entry in table.values:
        layer = table.section(str(entry))
        name = _class_of(str(entry))
        algorithm = layer.text("quant_algo") if layer else ""
        if name and algorithm in MODELOPT:
            counts[name][MODELOPT[algorithm]] += 1
    return {name: dict(formats) for name, formats in counts.items()}


def _most_listed(section: ConfigFields) -> str:
    """The format of the experts, else of the feed-forwards, else of the most entries."""
    table = section.section("quantized_layers")
    counts = _count_formats(table) if table else {}
    if not counts:
        raise section.error("quantized_layers", "is empty", None, "a table of layers and formats")
    chosen = counts.get("expert") or counts.get("mlp") or _summed(counts.values())
    return max(chosen, key=chosen.__getitem__)


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: defaultdict[str, int] = defaultdict(int)
    for formats in counts:
        for name, number in formats.items():
            total[name] += number
    return dict(total)


def _class_of(module: str) -> str:
    """The tensor class a module name or pattern speaks of; "" for what is never quantised."""
    text = (
        module.removeprefix("re:")
        .replace("\\", "")
        .replace("(gate|up|gate_up|down)_proj", "up_proj")
    )
    for name, pattern in CLASS_PATTERNS:
        if re.search(pattern, text):
            return name
    return ""


def _kv(section: ConfigFields) -> str:
    scheme = section.values.get("kv_cache_scheme") or section.values.get("kv_cache_quant_algo")
    if isinstance(scheme, Mapping):
        return "fp8" if scheme.get("num_bits") == 8 else ""
    return "fp8" if isinstance(scheme, str) and scheme.upper() == "FP8" else ""
