"""Vision towers and their projectors, tensor by tensor; engines keep them in 16 bits.

Engines cut the blocks' matrices over tensor parallelism and replicate embeddings, norms and mergers.

Sources: the vision classes of Hugging Face transformers (Qwen3-VL, Gemma 4, Kimi-K2.5's MoonViT,
MiniMax-M3, Step-3.7) and of their model repositories.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import Tensors
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.model import Tensor


def matrix(
    name: str, rows: int, cols: int, *, copies: int = 1, bias: bool = True, block: bool = False
) -> Tensors:
    """A tower's matrix and bias; ``block``: tensor parallelism cuts it."""
    shard = "split" if block else "replicated"
    weight = Tensor(f"visual.{name}.weight", "vision", rows, cols, copies, shard)
    if not bias:
        return (weight,)
    return (weight, Tensor(f"visual.{name}.bias", "vision", rows, 1, copies, "replicated"))


def scale(name: str, width: int, *, copies: int = 1, bias: bool = True) -> Tensors:
    """A tower's norm or scale, with its bias for a LayerNorm."""
    count = 2 if bias else 1
    return (Tensor(f"visual.{name}", "vision", width, 1, copies * count, "replicated"),)


def vit_blocks(
    hidden: int, width: int, depth: int, *, bias: bool = True, gated: bool = False
) -> Tensors:
    """``depth`` transformer blocks: two norms, attention and a feed-forward."""
    tensors = scale("norm1", hidden, copies=depth, bias=bias)
    tensors += scale("norm2", hidden, copies=depth, bias=bias)
    tensors += matrix("attn.qkv", 3 * hidden, hidden, copies=depth, bias=bias, block=True)
    tensors += matrix("attn.proj", hidden, hidden, copies=depth, bias=bias, block=True)
    if gated:
        tensors += matrix("mlp.gate", width, hidden, copies=depth, bias=bias, block=True)
    tensors += matrix("mlp.fc1", width, hidden, copies=depth, bias=bias, block=True)
    return tensors + matrix("mlp.fc2", hidden, width, copies=depth, bias=bias, block=True)


def qwen3(config: ConfigFields, _text_hidden: int) -> Tensors:
    """Qwen3-VL: patch and position embeddings, blocks, one merger and the deep-stack mergers."""
    hidden, depth = config.count("hidden_size"), config.layer_count("depth")
    merged = hidden * config.count("spatial_merge_size") ** 2
    patch = config.count("in_channels", default=3) * config.count("temporal_patch_size")
    patch *= config.count("patch_size") ** 2
    deep = len(config.items("deepstack_visual_indexes") or ())
    tensors = matrix("patch_embed", hidden, patch)
    tensors += matrix("pos_embed", config.count("num_position_embeddings"), hidden, bias=False)
    tensors += vit_blocks(hidden, config.count("intermediate_size"), depth)
    tensors += scale("merger.norm", hidden)
    if deep:
        tensors += scale("deepstack_mergers.norm", merged, copies=deep)
    out = config.count("out_hidden_size")
    return (
        tensors
        + matrix("mergers.fc1", merged, merged, copies=1 + deep)
        + matrix("mergers.fc2", out, merged, copies=1 + deep)
    )


def qwen2(config: ConfigFields, text_hidden: int) -> Tensors:
    """Qwen2-VL and Qwen2.5-VL: the latter has gated feed-forwards and RMS norms."""
    depth = config.layer_count("depth")
    gated = config.has("out_hidden_size")
    hidden = config.count("hidden_size" if gated else "embed_dim")
    ratio = config.count("mlp_ratio", default=4)
    width = config.count("intermediate_size") if gated else hidden * ratio
    out = config.count("out_hidden_size", "hidden_size", default=text_hidden)
    merged = hidden * config.count("spatial_merge_size", default=2) ** 2
    patch = config.count("in_channels", "in_chans", default=3)
    patch *= config.count("temporal_patch_size", default=2) * config.count("patch_size") ** 2
    tensors = matrix("patch_embed", hidden, patch, bias=False)
    tensors += scale("norms", hidden, copies=2 * depth, bias=not gated)
    tensors += matrix("attn.qkv", 3 * hidden, hidden, copies=depth, block=True)
    tensors += matrix("attn.proj", hidden, hidden, copies=depth, block=True)
    tensors += matrix("mlp.up", width, hidden, copies=depth * (2 if gated else 1), block=True)
    tensors += matrix("mlp.down", hidden, width, copies=depth, block=True)
    tensors += scale("merger.norm", hidden, bias=not gated)
    return tensors + matrix("merger.fc1", merged, merged) + matrix("merger.fc2", out, merged)


def gemma4(config: ConfigFields, text_hidden: int) -> Tensors:
    """Gemma 4: two-axis position tables, blocks with four norms and gated feed-forwards."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    head_dim = config.count("head_dim")
    heads = config.count("num_attention_heads") * head_dim
    width = config.count("intermediate_size")
    tensors = matrix("patch_embed", hidden, 3 * config.count("patch_size") ** 2, bias=False)
    tensors += matrix("pos_embed", 2 * config.count("position_embedding_size"), hidden, bias=False)
    tensors += matrix("attn.qkvo", heads, hidden, copies=4 * depth, bias=False, block=True)
    tensors += matrix("mlp.gate_up_down", width, hidden, copies=3 * depth, bias=False, block=True)
    tensors += scale("norms", hidden, copies=4 * depth, bias=False)
    tensors += scale("qk_norms", head_dim, copies=2 * depth, bias=False)
    return tensors + matrix("projection", text_hidden, hidden, bias=False)


def siglip(config: ConfigFields, text_hidden: int) -> Tensors:
    """Gemma 3: a SigLIP tower, a soft-token norm and a projection."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    patch = config.count("patch_size")
    positions = (config.count("image_size") // patch) ** 2
    tensors = matrix("patch_embed", hidden, 3 * patch**2)
    tensors += matrix("pos_embed", positions, hidden, bias=False)
    tensors += vit_blocks(hidden, config.count("intermediate_size"), depth)
    tensors += scale("post_layernorm", hidden) + scale("soft_norm", hidden, bias=False)
    return tensors + matrix("projection", text_hidden, hidden, bias=False)


def moonvit(config: ConfigFields, text_hidden: int) -> Tensors:
    """MoonViT of Kimi-VL, Kimi-K2.5 and later, with its patch merger."""
    hidden = config.count("vt_hidden_size", "hidden_size")
    depth = config.layer_count("vt_num_hidden_layers", "num_hidden_layers")
    positions = config.count("init_pos_emb_height", "pos_emb_height")
    positions *= config.count("init_pos_emb_width", "pos_emb_width")
    merged = config.count("mm_hidden_size", default=hidden)
    for side in config.items("merge_kernel_size", 2) or (2, 2):
        merged *= ConfigFields({"merge_kernel_size": side}, config.where).count("merge_kernel_size")
    tensors = matrix("patch_embed", hidden, 3 * config.count("patch_size") ** 2)
    tensors += matrix("pos_embed", positions, hidden, bias=False)
    tensors += vit_blocks(hidden, config.count("vt_intermediate_size", "intermediate_size"), depth)
    tensors += scale("final_layernorm", hidden) + scale("merger.pre_norm", hidden)
    out = config.count("text_hidden_size", default=text_hidden)
    return tensors + matrix("merger.fc1", merged, merged) + matrix("merger.fc2", out, merged)


def llama4(config: ConfigFields, text_hidden: int) -> Tensors:
    """Llama 4: class and position embeddings, blocks, pixel shuffle and two projections."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    patch = config.count("patch_size")
    positions = (config.count("image_size") // patch) ** 2 + 1
    tensors = matrix("patch_embed", hidden, 3 * patch**2, bias=False)
    tensors += matrix("class_embedding", 1, hidden, bias=False)
    tensors += matrix("pos_embed", positions, hidden, bias=False)
    tensors += vit_blocks(hidden, config.count("intermediate_size"), depth)
    tensors += scale("layernorm_pre", hidden) + scale("layernorm_post", hidden)
    wide = config.count("projector_input_dim")
    tensors += matrix("adapter.fc1", wide, config.count("intermediate_size"), bias=False)
    tensors += matrix("adapter.fc2", config.count("projector_output_dim"), wide, bias=False)
    return tensors + matrix("projector", text_hidden, config.count("vision_output_dim"), bias=False)


def clip_merged(config: ConfigFields, text_hidden: int) -> Tensors:
    """MiniMax-M3: a CLIP-shaped tower, a projector and a patch-merging feed-forward."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    compression = config.section("img_token_compression_config") or config
    merged = text_hidden * compression.count("spatial_merge_size", default=2) ** 2
    patch = (
        3 * config.count("patch_size") ** 2 * compression.count("temporal_patch_size", default=1)
    )
    tensors = matrix("patch_embed", hidden, patch, bias=False)
    tensors += vit_blocks(hidden, config.count("intermediate_size"), depth)
    tensors += scale("layernorm_pre", hidden)
    tensors += matrix("projector.fc1", text_hidden, hidden)
    tensors += matrix("projector.fc2", text_hidden, text_hidden)
    tensors += matrix("merge.fc1", text_hidden, merged)
    return tensors + matrix("merge.fc2", text_hidden, text_hidden)


def step(config: ConfigFields, text_hidden: int) -> Tensors:
    """Step-3.7's perception encoder with layer scales, two strided convolutions and a projection."""
    width, depth = (
        config.count("width", default=1536),
        config.count("layers", default=47, maximum=1000),
    )
    inner = round(config.number("mlp_ratio", 8960 / 1536) * width)
    patch, image = config.count("patch_size", default=14), config.count("image_size", default=728)
    tensors = matrix("patch_embed", width, 3 * patch**2, bias=False)
    tensors += matrix("pos_embed", (image // patch) ** 2, width, bias=False)
    tensors += vit_blocks(width, inner, depth)
    tensors += scale("layer_scales", width, copies=2 * depth, bias=False)
    tensors += scale("layernorm_pre", width)
    tensors += matrix("downsample1", 2 * width, 9 * width)
    tensors += matrix("downsample2", 4 * width, 9 * 2 * width)
    return tensors + matrix("projection", text_hidden, 4 * width, bias=False)


def pixtral_blocks(config: ConfigFields) -> Tensors:
    """Pixtral: rotary positions, gated feed-forwards, no biases."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    tensors = matrix("patch_embed", hidden, 3 * config.count("patch_size") ** 2, bias=False)
    tensors += scale("layernorm_pre", hidden, bias=False)
    width = config.count("intermediate_size")
    return tensors + vit_blocks(hidden, width, depth, bias=False, gated=True)


def pixtral(config: ConfigFields, text_hidden: int) -> Tensors:
    """Mistral 3: a Pixtral tower, a patch merger and two projections."""
    hidden = config.count("hidden_size")
    tensors = pixtral_blocks(config)
    tensors += scale("projector.norm", hidden, bias=False)
    tensors += matrix("projector.merge", hidden, 4 * hidden, bias=False)
    tensors += matrix("projector.fc1", text_hidden, hidden, bias=False)
    return tensors + matrix("projector.fc2", text_hidden, text_hidden, bias=False)


def glm4v(config: ConfigFields, text_hidden: int) -> Tensors:
    """GLM-4V and GLM-5.3-Flash: gated blocks, a strided convolution and a gated merger."""
    hidden, depth = config.count("hidden_size"), config.layer_count("depth")
    out = config.count("out_hidden_size", default=text_hidden)
    patch, merge = config.count("patch_size"), config.count("spatial_merge_size")
    bias = config.flag("attention_bias")
    newer = config.has("projection_intermediate_size")
    inner = config.count("projection_intermediate_size", "intermediate_size")
    width = config.count("intermediate_size") if newer else out
    pixels = config.count("in_channels") * config.count("temporal_patch_size") * patch**2
    tensors = matrix("patch_embed", hidden, pixels)
    tensors += scale("norms", hidden, copies=2 * depth, bias=False)
    tensors += matrix("attn.qkv", 3 * hidden, hidden, copies=depth, bias=bias, block=True)
    tensors += matrix("attn.proj", hidden, hidden, copies=depth, bias=bias, block=True)
    tensors += matrix("mlp.gate_up", width, hidden, copies=2 * depth, bias=bias, block=True)
    tensors += matrix("mlp.down", hidden, width, copies=depth, bias=bias, block=True)
    if newer:
        head_dim = hidden // config.count("num_heads")
        tensors += scale("qk_norms", head_dim, copies=2 * depth, bias=False)
    else:
        positions = (config.count("image_size") // patch) ** 2
        tensors += matrix("pos_embed", positions, hidden, bias=False)
        tensors += scale("post_conv_layernorm", hidden, bias=False)
    tensors += scale("post_layernorm", hidden, bias=False)
    tensors += matrix("downsample", out, hidden * merge**2)
    tensors += matrix("merger.proj", out, out, bias=False) + scale("merger.norm", out)
    return tensors + matrix("merger.gate_up_down", inner, out, copies=3, bias=False)


def mllama(config: ConfigFields, text_hidden: int) -> Tensors:
    """Llama 3.2 Vision: tiles with gated embeddings, local and gated global blocks, one projection."""
    hidden, width = config.count("hidden_size"), config.count("intermediate_size")
    depth = config.layer_count("num_hidden_layers")
    gated = config.count("num_global_layers", maximum=1000)
    both = depth + gated
    patch = config.count("patch_size")
    positions = (config.count("image_size") // patch) ** 2 + 1
    tiles = config.count("max_num_tiles")
    ratios = len(config.items("supported_aspect_ratios") or ()) + 1
    tensors = matrix("patch_embed", hidden, 3 * patch**2, bias=False)
    tensors += matrix("class_embedding", 1, hidden, bias=False)
    tensors += matrix("pos_embed", positions, hidden, bias=False)
    tensors += matrix("tile_embed", ratios * tiles * positions, hidden, bias=False)
    tensors += matrix("tile_positions", ratios * tiles, hidden, copies=2, bias=False)
    tensors += scale("gates", 1, copies=3 + 2 * gated, bias=False)
    tensors += scale("layernorm_pre_post", hidden, copies=2)
    tensors += scale("norms", hidden, copies=2 * both)
    tensors += matrix("attn.qkvo", hidden, hidden, copies=4 * both, bias=False, block=True)
    tensors += matrix("mlp.fc1", width, hidden, copies=both, block=True)
    tensors += matrix("mlp.fc2", hidden, width, copies=both, block=True)
    return tensors + matrix("projector", text_hidden, config.count("vision_output_dim"))
