"""Vision towers of the common shapes, and the projectors that lead to the text model.

A tower style names an encoder and a projector; ``catalogs/models/classes.csv`` says which section of
which class is read with which. Sources: the vision classes of Hugging Face transformers (CLIP, SigLIP,
InternViT, Pixtral, Idefics 3, LLaVA, PaliGemma, Aya, Molmo) and of their model repositories.
"""

from __future__ import annotations

from collections.abc import Callable

from planner.catalog.architectures.blocks import Tensors
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.multimodal import audio, vision
from planner.catalog.architectures.multimodal.vision import matrix, scale, vit_blocks

HIDDEN = ("hidden_size", "embed_dim", "width", "image_emb_dim")
DEPTH = ("num_hidden_layers", "depth", "layers", "image_num_layers")
WIDTH = ("intermediate_size", "mlp_dim", "image_mlp_dim")

PACKED = 2**15

Tower = Callable[[ConfigFields, ConfigFields, int], Tensors]


def has_shape(config: ConfigFields) -> bool:
    """Whether the section says at least how wide and how deep the tower is."""
    audio_keys = ("d_model", "hidden_dim", "attention_dim", "conf_num_hidden_layers")
    wide = any(config.has(key) for key in (*HIDDEN, *audio_keys))
    deep = any(
        config.has(key)
        for key in (*DEPTH, "encoder_layers", "num_layers", "num_blocks", "conf_num_hidden_layers")
    )
    return wide and deep


def _side(config: ConfigFields, *keys: str, default: int = 0) -> int:
    """A pixel count that a file gives as a number or as a pair."""
    for key in keys:
        value = config.values.get(key)
        if isinstance(value, list) and value:
            value = value[0]
        if value is not None:
            return ConfigFields({key: value}, config.where, config.path).count(key)
    if default:
        return default
    return config.count(*keys)


def _width(config: ConfigFields, hidden: int) -> int:
    ratio = int(hidden * config.number("mlp_ratio", 4.0))
    return config.count(*WIDTH, default=ratio)


def vit(
    config: ConfigFields,
    *,
    classed: bool = False,
    patch_bias: bool = True,
    norm_before: bool = False,
    norm_after: bool = True,
    layer_scales: bool = False,
) -> Tensors:
    """A vision transformer: patches, positions, blocks and norms."""
    hidden, depth = config.count(*HIDDEN), config.layer_count(*DEPTH)
    patch = _side(config, "patch_size", "image_patch_size", default=14)
    image = _side(config, "image_size", "image_default_input_size", default=336)
    tensors = matrix("patch_embed", hidden, 3 * patch**2, bias=patch_bias)
    count = config.count("num_position_embeddings", default=max(1, (image // patch) ** 2))
    tensors += matrix("pos_embed", count + (1 if classed else 0), hidden, bias=False)
    if classed:
        tensors += matrix("class_embedding", 1, hidden, bias=False)
    tensors += vit_blocks(hidden, _width(config, hidden), depth)
    if layer_scales:
        tensors += scale("layer_scales", hidden, copies=2 * depth, bias=False)
    if norm_before:
        tensors += scale("layernorm_pre", hidden)
    return tensors + (scale("layernorm_post", hidden) if norm_after else ())


def clip(config: ConfigFields) -> Tensors:
    """CLIP: a class token, a norm before and one after the blocks."""
    return vit(config, classed=True, patch_bias=False, norm_before=True)


def siglip(config: ConfigFields) -> Tensors:
    """SigLIP: positions for every patch and a norm after the blocks."""
    return vit(config)


def intern_vit(config: ConfigFields) -> Tensors:
    """InternViT: a class token and layer scales; 6B has query and key norms and no biases."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    bias = config.flag("qkv_bias", config.flag("attention_bias", True))
    tensors = vit(config, classed=True, norm_after=False, layer_scales=True)
    if not bias:
        rows = sum(t.rows for t in tensors if t.name.endswith("attn.qkv.bias"))
        tensors = (
            tuple(t for t in tensors if not t.name.endswith("attn.qkv.bias")) if rows else tensors
        )
    if config.flag("qk_normalization", config.flag("use_qk_norm")):
        tensors += scale("qk_norms", hidden, copies=2 * depth, bias=False)
    return tensors


def _two(text_hidden: int, wide: int, *, bias: bool = True, inner: int = 0) -> Tensors:
    inner = inner or text_hidden
    tensors = matrix("projector.fc1", inner, wide, bias=bias)
    return tensors + matrix("projector.fc2", text_hidden, inner, bias=bias)


def clip_llava(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """LLaVA: CLIP or SigLIP and two projections; newline embeddings where the class has them."""
    kind = config.text("model_type")
    if kind == "pixtral":
        tower = vision.pixtral_blocks(config)
    else:
        tower = siglip(config) if "siglip" in kind else clip(config)
    bias = top.flag("multimodal_projector_bias", True)
    tensors = tower + _two(text_hidden, config.count(*HIDDEN), bias=bias)
    if top.items("image_grid_pinpoints"):
        tensors += matrix("image_newline", 1, text_hidden, bias=False)
    return tensors


def clip_merged(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Phi-3 Vision: CLIP, four patches merged, two projections."""
    return clip(config) + _two(text_hidden, 4 * config.count(*HIDDEN))


def siglip_two(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """SigLIP and two projections."""
    return siglip(config) + _two(text_hidden, config.count(*HIDDEN))


def siglip_one(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """PaliGemma: SigLIP and one projection."""
    return siglip(config) + matrix("projector", text_hidden, config.count(*HIDDEN))


def siglip_merged(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """SigLIP, four patches merged, a norm and two projections (DeepSeek-VL2, PaddleOCR-VL, Keye)."""
    merged = 4 * config.count(*HIDDEN)
    tensors = siglip(config) + scale("merger.norm", config.count(*HIDDEN))
    return (
        tensors + matrix("merger.fc1", merged, merged) + matrix("merger.fc2", text_hidden, merged)
    )


def siglip_packed(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """PaddleOCR-VL and Keye: the same with a second table of positions for packed patches."""
    tensors = siglip_merged(config, top, text_hidden)
    return tensors + matrix("packing_positions", PACKED, config.count(*HIDDEN), bias=False)


def siglip_gated(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """Aya and Command A Vision: patches merged by ``downsample_factor``, a gated projector."""
    merged = config.count(*HIDDEN) * top.count("downsample_factor", default=2) ** 2
    inner = top.count("alignment_intermediate_size", default=36_864)
    tensors = siglip(config) + scale("projector.norm", merged)
    tensors += matrix("projector.fc1", inner, merged)
    return tensors + matrix("projector.fc2", text_hidden, inner // 2)


def siglip_shuffled(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """Idefics 3 and SmolVLM: ``scale_factor`` squared patches to a token, one projection without bias."""
    merged = config.count(*HIDDEN) * top.count("scale_factor", default=2) ** 2
    return siglip(config) + matrix("projector", text_hidden, merged, bias=False)


def siglip_lfm(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """LFM2-VL: patches merged, a norm and two projections."""
    merged = config.count(*HIDDEN) * top.count("downsample_factor", default=2) ** 2
    inner = top.count("projector_hidden_size", default=text_hidden)
    tensors = siglip(config) + scale("projector.norm", merged)
    return tensors + _two(text_hidden, merged, inner=inner)


def siglip_resampled(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """MiniCPM-V: a resampler with learned queries reads the patches."""
    queries = top.count("query_num", default=64)
    tensors = siglip(config) + matrix("resampler.query", queries, text_hidden, bias=False)
    tensors += matrix("resampler.kv", text_hidden, config.count(*HIDDEN), bias=False)
    tensors += matrix("resampler.attn.qkvo", text_hidden, text_hidden, copies=4)
    tensors += scale("resampler.norms", text_hidden, copies=3)
    return tensors + matrix("resampler.proj", text_hidden, text_hidden, bias=False)


def intern(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """InternVL: InternViT, four patches to a token, a norm and two projections."""
    factor = round(1 / (top.number("downsample_ratio", 0.5) or 0.5))
    merged = config.count("hidden_size") * factor**2
    tensors = intern_vit(config) + scale("projector.norm", merged)
    return tensors + _two(text_hidden, merged)


def radio(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """Nemotron VL: a RADIO tower, four patches to a token, a norm and two projections."""
    merged = 4 * config.count(*HIDDEN)
    inner = top.count("projector_hidden_size", default=text_hidden)
    tensors = vit(config, norm_after=False) + scale("projector.norm", merged, bias=False)
    return tensors + _two(text_hidden, merged, bias=False, inner=inner)


def molmo(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """Molmo: CLIP, attention over two by two patches of two layers, and a gated projector."""
    hidden = config.count(*HIDDEN)
    width = top.count("intermediate_size", default=8 * text_hidden) // 2
    tensors = vit(config, classed=True, patch_bias=False, norm_before=True, norm_after=False)
    tensors += matrix("pooling.attn.qkv", hidden, 2 * hidden, copies=3)
    tensors += matrix("pooling.attn.o", hidden, hidden)
    tensors += matrix("projector.gate_up", width, hidden, copies=2, bias=False)
    return tensors + matrix("projector.down", text_hidden, width, bias=False)


def query_bridge(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """BLIP-2: a ViT, a query transformer and one projection."""
    hidden = config.count(*HIDDEN)
    section = top.section("qformer_config")
    tensors = vit(config, classed=True)
    if section is None:
        return tensors + matrix("projection", text_hidden, hidden)
    width = section.count("hidden_size", default=768)
    tensors += audio.query_transformer(section.with_defaults(QFORMER), hidden)
    return tensors + matrix("projection", text_hidden, width)


QFORMER = {"hidden_size": 768, "num_hidden_layers": 12, "intermediate_size": 3072}


def plain(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """A vision transformer whose projector is not known: blocks, and two projections of four patches."""
    merged = 4 * config.count(*HIDDEN)
    return vit(config) + _two(text_hidden, merged)


def pixtral_params(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Pixtral as Mistral's own files describe it: a patch merger where they merge, two projections."""
    if config.count("spatial_merge_size", default=1) > 1:
        return vision.pixtral(config, text_hidden)
    bias = config.flag("adapter_bias", True)
    return vision.pixtral_blocks(config) + _two(text_hidden, config.count(*HIDDEN), bias=bias)


def _without_top(tower: Callable[[ConfigFields, int], Tensors]) -> Tower:
    return lambda config, _top, text_hidden: tower(config, text_hidden)


TOWERS: dict[str, Tower] = {
    "clip-llava": clip_llava,
    "clip-merged": clip_merged,
    "siglip-one": siglip_one,
    "siglip-two": siglip_two,
    "siglip-merged": siglip_merged,
    "siglip-packed": siglip_packed,
    "siglip-gated": siglip_gated,
    "siglip-shuffled": siglip_shuffled,
    "siglip-lfm": siglip_lfm,
    "siglip-resampled": siglip_resampled,
    "intern": intern,
    "radio": radio,
    "molmo": molmo,
    "query-bridge": query_bridge,
    "vit": plain,
    "pixtral": pixtral_params,
    "qwen2": _without_top(vision.qwen2),
    "qwen3": _without_top(vision.qwen3),
    "glm4v": _without_top(vision.glm4v),
    "gemma3": _without_top(vision.siglip),
    "gemma4": _without_top(vision.gemma4),
    "moonvit": _without_top(vision.moonvit),
    "qwen2-audio": audio.qwen2_audio,
    "qwen2-omni-audio": audio.qwen2_omni_audio,
    "qwen3-omni-audio": audio.qwen3_omni_audio,
    "whisper-stacked": audio.stacked,
    "whisper-two": audio.two_projections,
    "ultravox": audio.ultravox,
    "granite-speech": audio.granite_speech,
    "gemma3n-audio": audio.gemma3n_audio,
    "phi4-audio": audio.phi4_audio,
}
