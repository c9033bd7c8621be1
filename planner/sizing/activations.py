"""Peak activation memory of one GPU at start-up, as an engine's own profile run sees it."""

from __future__ import annotations

from planner.catalog.model import (
    Layer,
    MoeMlp,
    RecurrentMixer,
    SoftmaxAttention,
    distinct_layers,
)
from planner.deployment import Deployment
from planner.sizing.batch_limits import batch_limits
from planner.sizing.coefficients import MemoryCoefficients

ENCODER_WIDTHS = 5  # a patch's hidden state and its four-fold feed-forward
ACTIVATION_BYTES = 2  # activations are 16-bit in every weight format


def activation_bytes(deployment: Deployment, coefficients: MemoryCoefficients) -> float:
    """Peak bytes beside the weights [B]: the largest of forward pass, sampler and vision tower.

    ``max(encoder, cache + forward, cache + sampler)``: the tower's outputs (the encoder cache) stay
    alive while the language model is profiled.
    """
    sequences = batch_limits(deployment).rank_sequences
    sampler = sampler_bytes_per_logit(deployment, coefficients)
    sampler *= sequences * deployment.model.vocab_size
    forward = forward_bytes(deployment, _profile_tokens(deployment, coefficients), coefficients)
    cache, encoder = _vision_bytes(deployment, coefficients)
    return max(encoder, cache + forward, cache + sampler)


def sampler_bytes_per_logit(deployment: Deployment, coefficients: MemoryCoefficients) -> float:
    """Peak of the sampler's warm-up [B per sequence and vocabulary entry]; 0 where nothing is sampled."""
    if deployment.model.head != "lm":
        return 0.0
    if deployment.model.architecture in deployment.engine.fused_sampler_models:
        return coefficients.fused_sampler_bytes_per_logit
    limits = deployment.engine.limits_on(deployment.gpu)
    own = limits.sampler_bytes_per_logit if limits else None
    return coefficients.sampler_bytes_per_logit if own is None else own


def forward_bytes(deployment: Deployment, tokens: float, coefficients: MemoryCoefficients) -> float:
    """Peak of a forward pass over ``tokens`` tokens [B]: the widest layer's block, plus hidden states.

    ``2 tokens (c h + w)``: ``h`` hidden size, ``c`` hidden copies alive, ``w`` the widest values one
    token needs inside a block on this rank (gated MLP: both projections and their product).
    """
    width = max(_block_values(layer, deployment) for layer in distinct_layers(deployment.model))
    hidden = coefficients.forward_hidden_copies * deployment.model.hidden_size
    return ACTIVATION_BYTES * tokens * (hidden + width)


def _profile_tokens(deployment: Deployment, coefficients: MemoryCoefficients) -> int:
    """Tokens of the start-up profile's forward pass."""
    budget = batch_limits(deployment).rank_tokens
    longest = deployment.settings.max_model_len_tokens or deployment.model.max_context_tokens
    if budget < longest <= coefficients.unchunked_prompt_tokens:
        return longest
    return budget


def _block_values(layer: Layer, deployment: Deployment) -> float:
    """Values one token needs at the peak of a layer on one rank."""
    return max(_mixer_values(layer, deployment), _mlp_values(layer, deployment))


def _mixer_values(layer: Layer, deployment: Deployment) -> float:
    mixer = layer.mixer
    if mixer is None:
        return 0.0
    if isinstance(mixer, RecurrentMixer):
        return float(mixer.conv_values) / deployment.tensor_parallel
    if isinstance(mixer, SoftmaxAttention):
        queries = mixer.heads * (mixer.head_dim + mixer.v_head_dim)
        cached = mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)
        return (queries + cached) / deployment.tensor_parallel
    head = 2 * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim) + 2 * mixer.v_head_dim
    latent = mixer.kv_lora_rank + mixer.qk_rope_head_dim + (mixer.q_lora_rank or 0)
    return mixer.heads * head / deployment.tensor_parallel + latent


def _mlp_values(layer: Layer, deployment: Deployment) -> float:
    mlp = layer.mlp
    if mlp is None:
        return 0.0
    matrices = 3 if mlp.gated else 2
    if isinstance(mlp, MoeMlp):
        split = deployment.tensor_parallel if deployment.expert_parallel == 1 else 1
        hidden = mlp.latent or deployment.model.hidden_size
        return mlp.top_k * (matrices * mlp.width / split + hidden)
    return matrices * mlp.width / deployment.tensor_parallel


def _vision_bytes(deployment: Deployment, coefficients: MemoryCoefficients) -> tuple[float, float]:
    """Return ``(encoder cache, encoder peak)`` [B]; zeros for a language model.

    The profile encodes a step's worth of image tokens, or one largest image where the tower takes any
    resolution (it merges patches); a patch keeps its input and a four-fold feed-forward alive.
    """
    tower = deployment.model.vision
    if not tower:
        return 0.0, 0.0
    tokens = batch_limits(deployment).rank_tokens
    if any(".merger" in tensor.name for tensor in tower):
        tokens = max(tokens, int(coefficients.encoder_tokens))
    cache = ACTIVATION_BYTES * tokens * deployment.model.hidden_size
    sizes = (min(t.rows, t.cols) for t in tower if ".attn." in t.name and t.cols > 1)
    hidden = min(sizes, default=0)
    patches = tokens * coefficients.encoder_patches_per_token
    return cache, cache + ACTIVATION_BYTES * patches * ENCODER_WIDTHS * hidden
