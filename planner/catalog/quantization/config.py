"""What a checkpoint's ``quantization_config`` says: its format, and the matrices stored otherwise.

Every matrix of every layer gets the format of the first group whose targets name it, unless an ignore
list does; what no group names stays in 16 bits. The format of most values is the checkpoint's own;
classes and single matrices that differ are distinguished.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import Layer, Tensor
from planner.catalog.quantization.methods import (
    METHODS,
    MODELOPT,
    integer_format,
    quark_format,
    quark_weight,
    scheme_format,
    unknown_method,
)
from planner.catalog.quantization.module_rules import ModuleRule, rules_of

IGNORE_KEYS = (
    "ignore",
    "ignored_layers",
    "modules_to_not_convert",
    "exclude_modules",
    "exclude",
    "exclude_layers",
    "llm_int8_skip_modules",
    "skip_modules",
    "linear_weights_not_to_quantize",
)
LINEAR = ("attention", "mlp", "expert", "shared_expert", "recurrent", "indexer", "mtp")
EXPERT_ONLY = {"int8_experts": "int8_weight", "w4afp8": "fp8_tensor"}  # and what the others take
SINGLE = "="  # before a format's name: of single matrices, not of a class


@dataclass(frozen=True, slots=True)
class Stored:
    """How a checkpoint is stored: its format, exceptions by tensor class, and its KV format.

    ``layers`` are the model's, with the format of each matrix that differs from its class's.
    """

    weights: str
    classes: tuple[tuple[str, str], ...] = ()
    kv: str = ""
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class _Scheme:
    """Rules in order of precedence, each with its format; ``default`` where none covers a matrix."""

    rules: tuple[tuple[ModuleRule, str], ...]
    default: str

    def by_class(self) -> Mapping[str, Sequence[tuple[ModuleRule, str]]]:
        """The rules that may cover a class."""
        found: defaultdict[str, list[tuple[ModuleRule, str]]] = defaultdict(list)
        for rule, stored in self.rules:
            for klass in (*LINEAR, "head", "embedding") if rule.klass == "*" else (rule.klass,):
                found[klass].append((rule, stored))
        return found


def read_quantization(fields: ConfigFields, layers: tuple[Layer, ...], dtype: str) -> Stored:
    """Return how the checkpoint is stored; ``dtype`` when it is not quantised."""
    section = fields.section("quantization_config") or fields.section("compression_config")
    if section is None or _only_sparse(section):
        return Stored(dtype, layers=layers)
    section = _normal(section)
    scheme = _scheme(section, len(layers), dtype)
    experts = _expert_format(fields, section, scheme)
    chosen = _formats(scheme, layers, experts)
    sizes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for layer, formats in zip(layers, chosen, strict=True):
        for tensor, stored in zip(layer.tensors, formats, strict=True):
            if stored:
                sizes[tensor.klass][stored] += tensor.values
    most = {klass: counts.most_common(1)[0][0] for klass, counts in sizes.items()}
    weights = _bulk(sizes, scheme, dtype)
    classes = {klass: stored for klass, stored in most.items() if stored != weights}
    classes.update(_outer(scheme, dtype, weights))
    if "mtp" not in classes and experts and weights == experts:
        classes["mtp"] = scheme.default
    own, singles = _marked(layers, chosen, most)
    classes.update({f"{SINGLE}{name}": name for name in singles})
    return Stored(weights, tuple(sorted(classes.items())), _kv(section), own)


def _normal(section: ConfigFields) -> ConfigFields:
    """The section as engines take it: what an exporter nests is taken out, a method's name is plain.

    ModelOpt's ``hf_quant_config.json`` holds the fields under ``quantization``, beside its producer;
    bitsandbytes' older files name no method.
    """
    inner = section.section("quantization")
    if inner is not None:
        section = section.override(inner.values)
    method = section.text("quant_method").lower().rpartition("/")[2]
    if not method and (section.flag("load_in_4bit") or section.flag("load_in_8bit")):
        method = "bitsandbytes"
    if not method and section.has("bits"):
        raise section.error("quant_method", "is missing", None, ", ".join(sorted(METHODS)))
    return section.override({"quant_method": method} if method else {})


def _only_sparse(section: ConfigFields) -> bool:
    """A checkpoint with zeros in its matrices and no number format: it is loaded at 16 bits."""
    groups = section.section("config_groups")
    return section.has("sparsity_config") and (groups is None or not groups.values)


def _scheme(section: ConfigFields, layers: int, dtype: str) -> _Scheme:
    """The section as rules: what is ignored first, then groups and tables, then the method's format."""
    ignored = [entry for key in IGNORE_KEYS for entry in section.items(key) or ()]
    table = section.section("quantized_layers")
    # an FP8 file with a table on top
    based = table is not None and section.has("weight_block_size")
    rules = [
        (rule, "fp8_block" if based and rule.klass in LINEAR else dtype)
        for rule in rules_of(ignored, layers)
    ]
    groups = section.section("config_groups")
    quark = section.section("layer_quant_config")
    method, algorithm = section.text("quant_method"), section.text("quant_algo")
    compressed = method == "compressed-tensors" or not (method or algorithm)
    if table is not None and table.values:
        rules += _table_rules(table, layers)
        return _Scheme(tuple(rules), "fp8_block" if based else dtype)
    if groups is not None and groups.values and (compressed or not algorithm):
        rules += _group_rules(section, groups, layers, dtype)
        return _Scheme(tuple(rules), dtype)
    if compressed:
        raise section.error("config_groups", "is missing", None, "compressed-tensors groups")
    if quark is not None and method == "quark":
        rules += _quark_rules(quark, layers)
    rules += _override_rules(section, layers, dtype)
    default = _method_format(section, method, algorithm)
    if section.values.get("lm_head") is True:  # GPTQ, auto-round: the head is quantised too
        rules += [(rule, default) for rule in rules_of(["lm_head"], layers)]
    return _Scheme(tuple(rules), default)


def _method_format(section: ConfigFields, method: str, algorithm: str) -> str:
    if algorithm == "MIXED_PRECISION":
        raise section.error("quantized_layers", "is empty", None, "a table of layers and formats")
    if algorithm in MODELOPT and (method == "modelopt" or not method or method not in METHODS):
        return MODELOPT[algorithm]
    if method in METHODS:
        return METHODS[method](section)
    if algorithm in MODELOPT:
        return MODELOPT[algorithm]
    raise unknown_method(section, algorithm or method)


def _group_rules(
    section: ConfigFields, groups: ConfigFields, layers: int, dtype: str
) -> list[tuple[ModuleRule, str]]:
    """Every group's targets with its format; those that name modules come before ``Linear``."""
    named: list[tuple[ModuleRule, str]] = []
    for name in groups.values:
        group = groups.section(str(name))
        weights = group.section("weights") if group else None
        if group is None or weights is None:
            raise section.error("config_groups", "has no weights", name, "a weights section")
        stored = scheme_format(weights) or dtype
        inputs = group.section("input_activations")
        if stored == "int8_weight" and inputs and inputs.values.get("num_bits") == 8:
            stored = "int8"
        targets = group.items("targets") or ["Linear"]
        named += [(rule, stored) for rule in rules_of(targets, layers)]
    return sorted(named, key=lambda pair: pair[0].klass == "*")


def _table_rules(table: ConfigFields, layers: int) -> list[tuple[ModuleRule, str]]:
    found: list[tuple[ModuleRule, str]] = []
    for entry in table.values:
        layer = table.section(str(entry))
        algorithm = layer.text("quant_algo") if layer else ""
        if algorithm in MODELOPT:
            found += [(rule, MODELOPT[algorithm]) for rule in rules_of([entry], layers)]
    return found


def _quark_rules(table: ConfigFields, layers: int) -> list[tuple[ModuleRule, str]]:
    found: list[tuple[ModuleRule, str]] = []
    for entry in table.values:
        layer = table.section(str(entry))
        weight = quark_weight(layer) if layer else None
        if layer is not None and weight is not None:
            found += [(rule, quark_format(weight)) for rule in rules_of([entry], layers)]
    return found


def _override_rules(section: ConfigFields, layers: int, dtype: str) -> list[tuple[ModuleRule, str]]:
    """Auto-round's and GPTQ's own tables of modules with other bits."""
    found: list[tuple[ModuleRule, str]] = []
    extra = section.section("extra_config") or section.section("dynamic")
    if extra is None:
        return found
    for entry in extra.values:
        text = str(entry)
        own = extra.section(text)
        bits = own.count("bits", default=0, minimum=0, maximum=32) if own else 0
        if text.startswith("-:") or bits >= 16:
            stored = dtype
        elif own is not None and bits:
            size = section.count("group_size", "q_group_size", default=128, minimum=-1)
            stored = integer_format(bits, own.count("group_size", default=size, minimum=-1))
        else:
            continue
        entries = [text.removeprefix("-:").removeprefix("+:")]
        found += [(rule, stored) for rule in rules_of(entries, layers)]
    return found


def _expert_format(fields: ConfigFields, section: ConfigFields, scheme: _Scheme) -> str:
    """The experts' format where the file states it apart (DeepSeek-V4's FP4 experts in an FP8 file)."""
    if scheme.default in EXPERT_ONLY:
        return scheme.default
    stated = fields.text("expert_dtype") or section.text("expert_dtype")
    is_fp4 = stated == "fp4" and scheme.default == "fp8_block"
    return "mxfp4" if is_fp4 else ""


def _formats(scheme: _Scheme, layers: tuple[Layer, ...], experts: str) -> list[tuple[str, ...]]:
    """The format of every tensor of every layer; "" for what is never quantised."""
    rules = scheme.by_class()
    leaves = {_leaf(t) for layer in layers for t in layer.tensors}
    others = EXPERT_ONLY.get(scheme.default, scheme.default)

    def one(tensor: Tensor, index: int) -> str:
        if tensor.klass not in LINEAR or tensor.name.endswith(".bias"):
            return ""
        leaf, klass = _leaf(tensor), _named_class(tensor)
        for rule, stored in rules.get(klass, ()):
            named = rule if rule.leaves is None or rule.leaves & leaves else _any_leaf(rule)
            if named.covers(klass, index, leaf):
                return stored
        return (experts or others) if tensor.klass == "expert" else others

    return [
        tuple(one(tensor, index) for tensor in layer.tensors) for index, layer in enumerate(layers)
    ]


def _named_class(tensor: Tensor) -> str:
    """The class that rules call a tensor by: recurrences that checkpoints name like attention are that."""
    if tensor.klass == "recurrent" and tensor.name.startswith("self_attn."):
        return "attention"
    return tensor.klass


def _any_leaf(rule: ModuleRule) -> ModuleRule:
    return replace(rule, leaves=None)


def _leaf(tensor: Tensor) -> str:
    return tensor.name.removesuffix(".weight").rpartition(".")[2]


def _bulk(sizes: Mapping[str, Counter[str]], scheme: _Scheme, dtype: str) -> str:
    """The format of most values; a quantised one where there is any."""
    total: Counter[str] = Counter()
    for counts in sizes.values():
        total.update(counts)
    quantised = Counter({name: size for name, size in total.items() if name != dtype})
    if quantised:
        return quantised.most_common(1)[0][0]
    return scheme.default


def _outer(scheme: _Scheme, dtype: str, weights: str) -> dict[str, str]:
    """Head, embedding and prediction modules: in 16 bits unless they are named."""
    found = {"head": dtype}
    for klass, rules in scheme.by_class().items():
        named = next((stored for rule, stored in rules if rule.klass == klass), None)
        if named is None or klass not in ("head", "embedding", "mtp"):
            continue
        if klass == "head" or named != weights:
            found[klass] = named
    return found


def _marked(
    layers: tuple[Layer, ...], chosen: list[tuple[str, ...]], most: Mapping[str, str]
) -> tuple[tuple[Layer, ...], set[str]]:
    """The layers with each matrix that departs from its class marked, and the formats of those."""
    seen: dict[Layer, Layer] = {}
    singles: set[str] = set()
    own: list[Layer] = []
    for layer, formats in zip(layers, chosen, strict=True):
        if all(not f or f == most[t.klass] for t, f in zip(layer.tensors, formats, strict=True)):
            own.append(layer)
            continue
        tensors = tuple(
            replace(tensor, stored=stored) if stored and stored != most[tensor.klass] else tensor
            for tensor, stored in zip(layer.tensors, formats, strict=True)
        )
        singles |= {tensor.stored for tensor in tensors if tensor.stored}
        marked = replace(layer, tensors=tensors)
        own.append(seen.setdefault(marked, marked))
    return tuple(own), singles


def _kv(section: ConfigFields) -> str:
    scheme = section.values.get("kv_cache_scheme") or section.values.get("kv_cache_quant_algo")
    if isinstance(scheme, Mapping):
        bits = scheme.get("num_bits")
        return {8: "fp8", 4: "nvfp4"}.get(bits, "") if isinstance(bits, int) else ""
    return {"FP8": "fp8", "NVFP4": "nvfp4"}.get(str(scheme).upper(), "")
