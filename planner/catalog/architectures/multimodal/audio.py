"""Audio encoders and their projectors, tensor by tensor; engines keep them in 16 bits.

Sources: the audio classes of Hugging Face transformers (Whisper, Qwen2-Audio, Qwen2.5-Omni, Qwen3-Omni,
Voxtral, Granite Speech, Gemma 3n, Phi-4-multimodal) and of their model repositories.
"""

from __future__ import annotations

from planner.catalog.architectures.blocks import Tensors
from planner.catalog.architectures.fields import ConfigFields
from planner.catalog.architectures.multimodal.vision import matrix, scale

KERNEL = 3  # of both convolutions over the spectrogram


def whisper_encoder(config: ConfigFields, *, positions: bool = True) -> Tensors:
    """Two convolutions, positions and blocks; the key projection has no bias."""
    hidden = config.count("d_model", "hidden_size")
    depth = config.layer_count("encoder_layers", "num_hidden_layers")
    width = config.count("encoder_ffn_dim", "intermediate_size", default=4 * hidden)
    bins = config.count("num_mel_bins", default=128)
    tensors = matrix("conv1", hidden, bins * KERNEL) + matrix("conv2", hidden, hidden * KERNEL)
    if positions:
        rows = config.count("max_source_positions", default=1500)
        tensors += matrix("pos_embed", rows, hidden, bias=False)
    tensors += scale("norms", hidden, copies=2 * depth)
    tensors += matrix("attn.qvo", hidden, hidden, copies=3 * depth, block=True)
    tensors += matrix("attn.k", hidden, hidden, copies=depth, bias=False, block=True)
    tensors += matrix("mlp.fc1", width, hidden, copies=depth, block=True)
    tensors += matrix("mlp.fc2", hidden, width, copies=depth, block=True)
    return tensors + scale("layer_norm", hidden)


def qwen2_audio(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Qwen2-Audio: a Whisper encoder and one projection."""
    hidden = config.count("d_model", "hidden_size")
    return whisper_encoder(config) + matrix("projector", text_hidden, hidden)


def qwen2_omni_audio(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Qwen2.5-Omni: a Whisper encoder whose positions are computed, and one projection."""
    hidden = config.count("d_model", "hidden_size")
    out = config.count("output_dim", default=text_hidden)
    tensors = whisper_encoder(config, positions=False) + matrix("projector", out, hidden)
    return tensors + matrix("begin_end", 2, hidden, bias=False)


def qwen3_omni_audio(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Qwen3-Omni and Qwen3-ASR: three strided convolutions, blocks and two projections."""
    hidden, depth = config.count("d_model"), config.layer_count("encoder_layers")
    inner, width = config.count("downsample_hidden_size"), config.count("encoder_ffn_dim")
    bins = config.count("num_mel_bins", default=128)
    for _ in range(KERNEL):
        bins = (bins + 1) // 2
    tensors = matrix("conv1", inner, KERNEL**2)
    tensors += matrix("conv2", inner, inner * KERNEL**2, copies=2)
    tensors += matrix("conv_out", hidden, inner * bins, bias=False)
    tensors += scale("norms", hidden, copies=2 * depth)
    tensors += matrix("attn.qkvo", hidden, hidden, copies=4 * depth, block=True)
    tensors += matrix("mlp.fc1", width, hidden, copies=depth, block=True)
    tensors += matrix("mlp.fc2", hidden, width, copies=depth, block=True)
    tensors += scale("layer_norm", hidden) + matrix("proj1", hidden, hidden)
    return tensors + matrix("proj2", config.count("output_dim", default=text_hidden), hidden)


def stacked(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Voxtral and GLM-ASR: a Whisper encoder, four frames to a token, two projections."""
    hidden = config.count("d_model", "hidden_size")
    stack = config.count("intermediate_size", "encoder_ffn_dim", default=4 * hidden)
    tensors = whisper_encoder(config)
    tensors += matrix("projector.fc1", text_hidden, stack, bias=False)
    return tensors + matrix("projector.fc2", text_hidden, text_hidden, bias=False)


def two_projections(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """A Whisper encoder and two projections (Audio Flamingo, MiniCPM-o)."""
    hidden = config.count("d_model", "hidden_size")
    tensors = whisper_encoder(config) + matrix("projector.fc1", text_hidden, hidden)
    return tensors + matrix("projector.fc2", text_hidden, text_hidden)


def ultravox(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """Ultravox: a Whisper encoder, eight frames stacked, a gated projector."""
    hidden = config.count("d_model", "hidden_size")
    stack, inner = top.count("stack_factor", default=8), top.count("hidden_size", default=4096)
    tensors = whisper_encoder(config) + scale("projector.norm_pre", hidden * stack, bias=False)
    tensors += matrix("projector.fc1", inner, hidden * stack, bias=False)
    tensors += scale("projector.norm_mid", inner // 2, bias=False)
    return tensors + matrix("projector.fc2", text_hidden, inner // 2, bias=False)


def _conformer(hidden: int, width: int, kernel: int, depth: int, *, gated: bool = False) -> Tensors:
    """Conformer blocks: two half feed-forwards, attention, a gated convolution."""
    first = 2 * width if gated else width
    tensors = scale("norms", hidden, copies=5 * depth)
    tensors += matrix("ff.fc1", first, hidden, copies=2 * depth, block=True)
    tensors += matrix("ff.fc2", hidden, width, copies=2 * depth, block=True)
    tensors += matrix("attn.qkvo", hidden, hidden, copies=4 * depth, block=True)
    tensors += matrix("conv.pointwise1", 2 * hidden, hidden, copies=depth)
    tensors += matrix("conv.depthwise", hidden, kernel, copies=depth)
    return tensors + matrix("conv.pointwise2", hidden, hidden, copies=depth)


def granite_speech(config: ConfigFields, top: ConfigFields, text_hidden: int) -> Tensors:
    """Granite Speech: conformer blocks, a character head fed back, and a windowed query transformer."""
    hidden, depth = config.count("hidden_dim"), config.layer_count("num_layers")
    heads = config.count("num_heads") * config.count("dim_head")
    wide = config.count("conv_expansion_factor", default=2) * hidden
    out = config.count("output_dim")
    tensors = matrix("input", hidden, config.count("input_dim")) + matrix("ctc", out, hidden)
    tensors += matrix("ctc_back", hidden, out)
    tensors += scale("norms", hidden, copies=5 * depth)
    inner = config.count("feedforward_mult", default=4) * hidden
    tensors += matrix("ff.fc1", inner, hidden, copies=2 * depth, block=True)
    tensors += matrix("ff.fc2", hidden, inner, copies=2 * depth, block=True)
    tensors += matrix("attn.qkvo", heads, hidden, copies=4 * depth, block=True)
    tensors += matrix("conv.up", 2 * wide, hidden, copies=depth)
    kernel = config.count("conv_kernel_size", default=15)
    tensors += matrix("conv.depthwise", wide, kernel, copies=depth)
    tensors += matrix("conv.down", hidden, wide, copies=depth)
    projector = top.section("projector_config")
    if projector is None:
        return tensors + matrix("projector", text_hidden, hidden)
    width = projector.count("hidden_size", default=1024)
    return tensors + query_transformer(projector, hidden) + matrix("out", text_hidden, width)


def query_transformer(config: ConfigFields, encoder_hidden: int) -> Tensors:
    """A Q-Former: BERT blocks that read the encoder's output every so many layers."""
    hidden, depth = config.count("hidden_size"), config.layer_count()
    width = config.count("intermediate_size")
    crossing = -(-depth // config.count("cross_attention_frequency", default=2))
    tensors = matrix("qformer.attn.qkvo", hidden, hidden, copies=4 * depth, block=True)
    tensors += matrix("qformer.cross.q_o", hidden, hidden, copies=2 * crossing, block=True)
    tensors += matrix("qformer.cross.kv", hidden, encoder_hidden, copies=2 * crossing, block=True)
    tensors += matrix("qformer.fc1", width, hidden, copies=depth, block=True)
    return tensors + matrix("qformer.fc2", hidden, width, copies=depth, block=True)


def gemma3n_audio(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Gemma 3n: conformer blocks whose attention has a relative-position projection."""
    hidden, depth = config.count("hidden_size"), config.layer_count("conf_num_hidden_layers")
    kernel = config.count("conf_conv_kernel_size", default=5)
    tensors = _conformer(hidden, 4 * hidden, kernel, depth)
    tensors += matrix("attn.positions", hidden, hidden, copies=depth, bias=False, block=True)
    tensors += matrix("subsample", hidden, hidden)
    return tensors + matrix("projection", text_hidden, hidden, bias=False)


def phi4_audio(config: ConfigFields, _top: ConfigFields, text_hidden: int) -> Tensors:
    """Phi-4-multimodal: conformer blocks with gated feed-forwards, and two sets of projections."""
    hidden = config.count("attention_dim", "hidden_size", default=1024)
    width = config.count("linear_units", "intermediate_size", default=1536)
    depth = config.layer_count("num_blocks")
    tensors = _conformer(hidden, width, config.count("kernel_size", default=3), depth, gated=True)
    tensors += matrix("conv.extra", hidden, hidden, copies=depth)
    for name in ("speech", "vision"):
        tensors += matrix(f"projector.{name}.fc1", text_hidden, hidden)
        tensors += matrix(f"projector.{name}.fc2", text_hidden, text_hidden)
    return tensors
