"""Which number format each quantisation method's section means (``quantization_config``).

Sources: the configuration classes of vLLM ``model_executor/layers/quantization``, SGLang
``layers/quantization``, compressed-tensors, AMD Quark and Hugging Face transformers
``utils/quantization_config``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from planner.catalog.architectures.fields import ConfigFields
from planner.errors import InputError, nearest

MODELOPT = {
    "FP8": "fp8_tensor",
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8",
    "FP8_PB_WO": "fp8_block",
    "NVFP4": "nvfp4",
    "W4A16_NVFP4": "nvfp4",
    "W4A8_NVFP4_FP8": "nvfp4",
    "NVFP4_AWQ": "nvfp4",
    "NVFP4_SVDQUANT": "nvfp4",
    "MXFP8": "mxfp8",
    "MXFP4": "mxfp4",
    "W4A8_MXFP4_FP8": "mxfp4",
    "W4A16_AWQ": "int4",
    "W4A16": "int4",
    "W4A16_GPTQ": "int4",
    "W4A8_AWQ": "int4",
    "INT4_AWQ": "int4",
    "INT4": "int4",
    "W8A16": "int8_weight",
    "W8A16_GPTQ": "int8_weight",
    "INT8": "int8",
    "W8A8_SQ_PER_CHANNEL": "int8",
    "W8A8_SQ_PER_CHANNEL_PER_TOKEN_PLUGIN": "int8",
}
INTEGER = {
    1: "int2", 2: "int2", 3: "int3", 4: "int4", 5: "int5", 6: "int6", 8: "int8_weight",
}  # fmt: skip
SMALL_GROUP = 32


def integer_format(bits: int, group: int = 128) -> str:
    """The weight-only integer format of that many bits, with scales per ``group``."""
    if bits == 4 and 0 < group <= SMALL_GROUP:
        return "int4_experts"
    if bits == 4 and 0 < group <= 2 * SMALL_GROUP:
        return "int4_g64"
    return INTEGER.get(bits, "int8_weight")


def scheme_format(weights: ConfigFields) -> str:
    """The format of a compressed-tensors or ModelOpt group's ``weights``."""
    bits = weights.count("num_bits", maximum=16)
    size = weights.count("group_size", default=0, minimum=-1)
    if bits == 16:
        return ""
    if weights.text("type") == "int":
        return integer_format(bits, size)
    if bits == 4:
        return "mxfp4" if size == SMALL_GROUP else "nvfp4"
    if bits < 8:
        return INTEGER.get(bits, "int8_weight")
    if size == SMALL_GROUP:
        return "mxfp8"
    default = "channel" if weights.has("strategy") else "tensor"
    strategy = weights.text("strategy", default)
    return {"block": "fp8_block", "tensor": "fp8_tensor"}.get(strategy, "fp8")


def _grouped(section: ConfigFields) -> str:
    bits = section.count("bits", "w_bit", "weight_bits", "nbits", default=4, maximum=16)
    return integer_format(
        bits, section.count("group_size", "q_group_size", default=128, minimum=-1)
    )


def _bitsandbytes(section: ConfigFields) -> str:
    return "int8" if section.flag("load_in_8bit") else "nf4"


def _fp8(section: ConfigFields) -> str:
    return "fp8_block" if section.items("weight_block_size") else "fp8_tensor"


def _torchao(section: ConfigFields) -> str:
    """torchao: a name such as "int4wo-128", or a serialised configuration with a type."""
    chosen = section.values.get("quant_type")
    text = str(chosen).lower().replace("_", "")
    if "float8" in text or "fp8" in text:
        return "fp8"
    if "int4" in text or "uint4" in text or "fpx" in text:
        stated = re.search(r"groupsize'?: ?(\d{1,4})|int4wo-(\d{1,4})", text)
        return integer_format(4, int(stated[1] or stated[2]) if stated else 128)
    if "int8dynamic" in text:
        return "int8"
    if "int8" in text:
        return "int8_weight"
    if "nvfp4" in text:
        return "nvfp4"
    if "mx" in text:
        return "mxfp4" if "4" in text else "mxfp8"
    raise section.error(
        "quant_type", "is not known", chosen, "int4, int8, float8, nvfp4 or mx types"
    )


def _hqq(section: ConfigFields) -> str:
    inner = section.section("quant_config") or section
    inner = inner.section("weight_quant_params") or inner
    bits = inner.count("nbits", default=4, maximum=8)
    return integer_format(bits, inner.count("group_size", default=64, minimum=-1))


def quark_format(weight: ConfigFields) -> str:
    """Quark: a data type, a scheme and a group."""
    dtype, scheme = weight.text("dtype"), weight.text("qscheme")
    group = weight.count("group_size", default=0, minimum=-1) if weight.has("group_size") else 0
    if dtype.startswith(("fp8", "float8")):
        return {"per_tensor": "fp8_tensor", "per_block": "fp8_block"}.get(scheme, "fp8")
    if dtype in ("fp4", "mxfp4") or (dtype == "mx" and weight.text("mx_element_dtype") == "fp4"):
        return "mxfp4"
    if dtype in ("fp6_e2m3", "fp6_e3m2"):
        return "int6"
    if dtype.startswith(("int4", "uint4")):
        return integer_format(4, group or 128)
    if dtype.startswith(("int8", "uint8")):
        return "int8"
    raise weight.error("dtype", "is not known", dtype, "fp8_e4m3, fp4, int4, int8")


def quark_weight(chosen: ConfigFields) -> ConfigFields | None:
    """How weights are stored: of several steps (FP8 of INT4) the last, which is what lies in the file."""
    listed = chosen.values.get("weight")
    if isinstance(listed, list):
        return chosen.override({"weight": listed[-1] if listed else None}).section("weight")
    return chosen.section("weight")


def _quark(section: ConfigFields) -> str:
    chosen = section.section("global_quant_config")
    weight = quark_weight(chosen) if chosen else None
    if weight is None:
        raise section.error("global_quant_config", "is missing", None, "a section with `weight`")
    return quark_format(weight)


def _fp_quant(section: ConfigFields) -> str:
    written = section.text("forward_dtype", "mxfp4")
    return "nvfp4" if written == "nvfp4" else "mxfp4"


def _exl(section: ConfigFields) -> str:
    """ExLlamaV2 and V3: an average of bits, rounded to the nearest format."""
    return integer_format(max(2, min(8, round(section.number("bits", 4.0)))))


def _codebooks(section: ConfigFields) -> str:
    """AQLM, VPTQ: codebooks of 2^n vectors."""
    bits = section.count("nbits_per_codebook", default=16, maximum=32)
    books, group = (
        section.count("num_codebooks", default=1),
        section.count("in_group_size", default=8),
    )
    return "int2" if bits * books / group <= 2 else "int3"


def _gguf(section: ConfigFields) -> str:
    return section.text("file_type", section.text("quant_type", "q4_k_m")).lower()


def _online(section: ConfigFields) -> str:
    bits = section.count("bits", default=8, maximum=8)
    return "mxfp4" if bits == 4 else "fp8"


def _auto_round(section: ConfigFields) -> str:
    data = section.text("data_type", "int")
    if data.startswith("nv_fp"):
        return "nvfp4"
    if data.startswith("mx_fp"):
        return "mxfp4" if section.count("bits", default=4) == 4 else "mxfp8"
    if data.startswith("fp"):
        return "fp8_block" if section.items("group_size") else "fp8"
    if (
        section.count("act_bits", default=16, maximum=32) <= 8
        and section.count("bits", default=4) == 8
    ):
        return "int8"
    return _grouped(section)


Method = Callable[[ConfigFields], str]


def _always(name: str) -> Method:
    return lambda _section: name


METHODS: dict[str, Method] = {
    **dict.fromkeys(
        ("awq", "awq_marlin", "auto_awq", "gptq", "gptq_marlin", "auto_gptq", "moe_wna16"), _grouped
    ),
    **dict.fromkeys(("gptq_marlin_24", "marlin", "qqq", "qoq", "humming", "cpu_awq"), _grouped),
    **dict.fromkeys(("auto-round", "auto_round", "inc", "intel"), _auto_round),
    **dict.fromkeys(("exl2", "exl3"), _exl),
    **dict.fromkeys(("aqlm", "vptq"), _codebooks),
    "bitsandbytes": _bitsandbytes,
    **dict.fromkeys(("fp8", "deepseek_v4_fp8"), _fp8),
    **dict.fromkeys(("fbgemm_fp8", "ptpc_fp8", "w8a8_fp8", "fp8_per_channel"), _always("fp8")),
    "fp8_per_tensor": _always("fp8_tensor"),
    "fp8_per_block": _always("fp8_block"),
    "deepspeedfp": _grouped,
    **dict.fromkeys(("mxfp4", "gpt_oss_mxfp4", "quark_mxfp4"), _always("mxfp4")),
    **dict.fromkeys(("mxfp8",), _always("mxfp8")),
    **dict.fromkeys(("petit_nvfp4", "nvfp4_per_token", "nvfp4_online"), _always("nvfp4")),
    **dict.fromkeys(("w8a8_int8", "tpu_int8"), _always("int8")),
    **dict.fromkeys(("blockwise_int8",), _always("int8_block")),
    "experts_int8": _always("int8_experts"),
    **dict.fromkeys(("eetq", "quanto", "int8_per_channel_weight_only"), _always("int8_weight")),
    "w4afp8": _always("w4afp8"),
    "mxfp_w4a8": _always("mxfp4"),
    "quark": _quark,
    "quark_int4fp8_moe": _always("w4afp8"),
    "torchao": _torchao,
    "hqq": _hqq,
    "fp_quant": _fp_quant,
    "gguf": _gguf,
    "online": _online,
    "bitnet": _always("int2"),
    "spqr": _always("int3"),
}


def unknown_method(section: ConfigFields, found: str) -> InputError:
    """The error for a method nobody knows, naming those that are."""
    known = (*sorted({*METHODS, "compressed-tensors", "modelopt"}),)
    error = section.error("quant_method", "is not known", found, ", ".join(known))
    error.action = nearest(found, (*known, *MODELOPT))
    return error
