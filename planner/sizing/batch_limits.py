"""What an engine may work on at once on one GPU, layout and speculation: settings over its defaults.

The only place where the defaults of ``catalogs/engines.yaml`` and the settings of a deployment meet:
memory, closed form, simulation, validation and launch files all read the values resolved here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.catalog.model import RecurrentMixer, distinct_layers
from planner.catalog.pooling import is_encoder
from planner.deployment import Deployment
from planner.sizing.layout import MemoryLayout


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """An engine's limits as its launch options say them, and how its schedulers share them.

    max_num_seqs: sequences that run at once [sequences]; max_num_batched_tokens: tokens of one step
    [tokens]. ranks: attention-DP ranks, each with its own scheduler. divided: the options are those
    of the whole replica, and a rank takes its part (SGLang); else every rank takes them whole.
    """

    max_num_seqs: int
    max_num_batched_tokens: int
    ranks: int = 1
    divided: bool = False

    @property
    def rank_sequences(self) -> int:
        """Sequences one rank runs at once [sequences]."""
        return self._of_rank(self.max_num_seqs)

    @property
    def rank_tokens(self) -> int:
        """Tokens one rank works on in a step [tokens]."""
        return self._of_rank(self.max_num_batched_tokens)

    def _of_rank(self, option: int) -> int:
        return max(1, option // self.ranks) if self.divided else option


def batch_limits(deployment: Deployment) -> BatchLimits:
    """Resolve the batch limits of a deployment.

    A setting comes first, then what the engine version takes with speculation, for this architecture,
    on this GPU, or on any.
    A default count of sequences is one scheduler's: where options are the replica's, the option is
    that times the ranks. Where the engine says so, a value nobody set stays within the other one.
    """
    engine, settings = deployment.engine, deployment.settings
    ranks = deployment.data_parallel
    limits = engine.limits_on(deployment.gpu)
    default_tokens = (limits and limits.max_num_batched_tokens) or engine.max_num_batched_tokens
    tokens = settings.max_num_batched_tokens or default_tokens
    sequences = settings.max_num_seqs or _default_sequences(deployment)
    if engine.sequences_within_tokens and not settings.max_num_seqs:
        sequences = min(sequences, tokens)
    context = settings.max_model_len_tokens
    if engine.sequences_within_tokens and context and not settings.max_num_batched_tokens:
        tokens = min(tokens, sequences * context)
    return BatchLimits(sequences, tokens, ranks, engine.options_cover_ranks)


def limits_within(deployment: Deployment, memory: MemoryLayout) -> BatchLimits:
    """``batch_limits`` with no more sequences than the recurrent states in ``memory`` allow.

    An engine refuses to start, or runs fewer, where it is allowed more; other models keep theirs.
    """
    limits = batch_limits(deployment)
    slots = state_slots(deployment, memory)
    if slots is None or slots >= limits.rank_sequences:
        return limits
    return replace(limits, max_num_seqs=slots * limits.ranks if limits.divided else slots)


def state_slots(deployment: Deployment, memory: MemoryLayout) -> int | None:
    """Sequences whose recurrent states one rank holds at once, at least 1; None without such layers.

    Where states live in the KV pool a sequence takes its states and a first block:
    ``pool / bytes_for(1)``. Where an engine splits the pool, states get ``r / (1 + r)`` of it, ``r`` its
    ``state_pool_ratio``, and a running sequence takes ``state_slots_per_sequence`` of them while
    prefixes are cached (SGLang ``handle_max_mamba_cache``), else one.
    """
    state = memory.kv.state_bytes_per_sequence
    if not state:
        return None
    engine = deployment.engine
    if not engine.state_pool_ratio:
        return max(1, int(memory.kv_pool_bytes // float(memory.kv.bytes_for(1))))
    per_sequence = engine.state_slots_per_sequence if prefix_caching(deployment) else 1
    states = memory.kv_pool_bytes * state_pool_share(deployment) / state
    return max(1, int(states) // per_sequence)


def state_pool_share(deployment: Deployment) -> float:
    """The share of the KV pool an engine sets aside for recurrent states; 0 where they share it."""
    ratio = deployment.engine.state_pool_ratio
    return ratio / (1 + ratio)


def _default_sequences(deployment: Deployment) -> int:
    engine = deployment.engine
    if deployment.settings.draft_tokens and engine.max_num_seqs_drafting is not None:
        return engine.max_num_seqs_drafting
    own_default = dict(engine.max_num_seqs_of).get(deployment.model.architecture)
    if own_default is not None:
        return own_default
    limits = engine.limits_on(deployment.gpu)
    own = (limits and limits.max_num_seqs) or engine.max_num_seqs
    return own * deployment.data_parallel if engine.options_cover_ranks else own


def default_memory_fraction(deployment: Deployment) -> float:
    """The engine version's own memory fraction on this GPU, where it is a constant."""
    limits = deployment.engine.limits_on(deployment.gpu)
    return (limits and limits.memory_fraction) or deployment.engine.memory_fraction


def prefix_caching(deployment: Deployment) -> bool:
    """Whether freed blocks stay to be found again: the setting, else the engine's own choice.

    An encoder keeps no blocks; a model with recurrent layers is left out by some versions.
    """
    if is_encoder(deployment.model):
        return False
    chosen, engine = deployment.settings.prefix_caching, deployment.engine
    if chosen is not None:
        return chosen
    layers = distinct_layers(deployment.model)
    recurrent = any(isinstance(layer.mixer, RecurrentMixer) for layer in layers)
    return engine.prefix_caching and (engine.caches_states or not recurrent)
