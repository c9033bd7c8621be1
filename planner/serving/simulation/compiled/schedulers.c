/* How engines compose the next step; schedulers/chunked_prefill.py, prefill_first.py, no_evict.py. */
#include "core.h"

static const double INITIAL_NEW_TOKEN_RATIO = FIRST_NEW_TOKEN_RATIO;
static const double MINIMUM_NEW_TOKEN_RATIO = 0.7 * 0.14;
static const double RATIO_DECAY_STEPS = 600.0;
static const int64_t LONGEST_EXPECTED_OUTPUT_TOKENS = 4096;
static const int64_t RETRACTION_HORIZON_STEPS = 20;
static const int64_t BLOCKED_STEPS = 32;

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void begin(Step *step, int64_t decode, int64_t context) {
    step->active = 1;
    step->decode = decode;
    step->context = context;
    step->steps = 1;
    step->prefill = step->largest = step->prefill_sequences = step->chunks_count = 0;
    step->pairs = 0.0;
    step->sampled = decode;
}

static void add_chunk(Replica *replica, int32_t slot, int64_t tokens) {
    Step *step = &replica->step;
    const Sequence *sequence = replica->owner->sequences + slot;
    int64_t done = sequence->prompt + sequence->generated - sequence->pending;
    step->chunks = grown(replica->owner, step->chunks, &step->chunks_room, step->chunks_count + 1,
                         sizeof *step->chunks);
    step->chunks[step->chunks_count++] = (Chunk){tokens, slot};
    step->prefill += tokens;
    step->largest = larger(step->largest, tokens);
    step->prefill_sequences++;
    step->pairs += (double)(tokens * done) + (double)(tokens * (tokens + 1)) / 2.0;
    if (tokens == sequence->pending)
        step->sampled++;
}

/* ---- chunked prefill */

/* Whether the step has to be composed again, as one of its sequences gave way. */
static int fill_chunked(Replica *replica, int admits) {
    const Limits *limits = replica->limits;
    Sequence *sequences = replica->owner->sequences;
    int64_t budget = limits->max_num_batched_tokens - replica->step.decode * (1 + limits->draft_tokens);
    double free = free_blocks(replica) - (double)growth(replica, 1);
    for (int64_t i = 0; i < replica->prefilling_count; i++) {
        Sequence *sequence = sequences + replica->prefilling[i];
        int64_t tokens = smaller(smaller(sequence->pending, budget), limits->chunk_tokens);
        if (tokens <= 0)
            return 0;
        int64_t done = sequence->prompt + sequence->generated - sequence->pending;
        double need = (double)(blocks_for(limits, done + tokens) - sequence->blocks);
        if (need > free)
            return preempt_latest(replica, 0);
        free -= need;
        hold(replica, sequence, done + tokens);
        add_chunk(replica, replica->prefilling[i], tokens);
        budget -= tokens;
    }
    while (admits && replica->waiting_count && budget > 0 && running(replica) < limits->max_num_seqs) {
        int32_t slot = waiting_head(replica);
        const Sequence *sequence = sequences + slot;
        int64_t cached = look_up_prefix(replica, sequence);
        int64_t left = sequence->prompt + sequence->generated - cached;
        int64_t tokens = smaller(smaller(left, budget), limits->chunk_tokens);
        if (admission_blocks(replica, sequence, cached + left) > free)
            break;
        free -= admission_blocks(replica, sequence, cached + tokens);
        admit(replica, cached, cached + tokens);
        add_chunk(replica, slot, tokens);
        budget -= tokens;
    }
    return 0;
}

static int lacks_room(const Replica *replica) {
    return tight(replica) && running(replica) > 1 && (double)growth(replica, 1) > free_blocks(replica);
}

static void compose_chunked(Replica *replica) {
    Step *step = &replica->step;
    int preempted = 0;
    while (lacks_room(replica)) {
        preempt_latest(replica, 0);
        preempted = 1;
    }
    begin(step, replica->decoding, replica->context);
    if (replica->prefilling_count || (replica->waiting_count && !preempted))
        while (fill_chunked(replica, !preempted)) {
            preempted = 1;
            begin(step, replica->decoding, replica->context);
        }
    if (step->chunks_count)
        return;
    if (!replica->decoding)
        step->active = 0;
    else if (!preempted)
        step->steps = larger(1, steps_within_pool(replica, steps_to_next_end(replica)));
}

/* ---- prompts first and alone */

static int64_t tokens_to_decode(const Replica *replica) {
    return replica->end_sum - replica->decoding * replica->tick;
}

static void fill_prompts(Replica *replica) {
    const Limits *limits = replica->limits;
    Sequence *sequences = replica->owner->sequences;
    int64_t budget = limits->max_num_batched_tokens;
    double per_token = (double)blocks_for(limits, limits->block_tokens) / (double)limits->block_tokens;
    double expected = replica->ratio * (double)smaller(tokens_to_decode(replica),
                                                       replica->decoding * LONGEST_EXPECTED_OUTPUT_TOKENS);
    double free = free_blocks(replica) - expected * per_token;
    for (int64_t i = 0; i < replica->prefilling_count; i++) {
        const Sequence *sequence = sequences + replica->prefilling[i];
        int64_t tokens = smaller(smaller(sequence->pending, budget), limits->chunk_tokens);
        add_chunk(replica, replica->prefilling[i], tokens);
        budget -= tokens;
    }
    while (replica->waiting_count && budget > 0 && running(replica) < limits->max_num_seqs) {
        int32_t slot = waiting_head(replica);
        const Sequence *sequence = sequences + slot;
        int64_t cached = look_up_prefix(replica, sequence);
        int64_t held = sequence->prompt + sequence->generated;
        int64_t output = smaller(sequence->output - sequence->generated, LONGEST_EXPECTED_OUTPUT_TOKENS);
        double need = admission_blocks(replica, sequence, held) + (double)output * per_token;
        if (need > free && running(replica))
            return;
        free -= need;
        int64_t tokens = smaller(smaller(held - cached, budget), limits->chunk_tokens);
        admit(replica, cached, held);
        add_chunk(replica, slot, tokens);
        budget -= tokens;
    }
}

static void make_room(Replica *replica) {
    int retracted = 0;
    while (lacks_room(replica)) {
        preempt_latest(replica, 1);
        retracted = 1;
    }
    if (retracted && replica->decoding) {
        double horizon = (double)(RETRACTION_HORIZON_STEPS * replica->decoding);
        double ratio = horizon / (double)larger(tokens_to_decode(replica), 1);
        if (replica->ratio > ratio)
            ratio = replica->ratio;
        if (INITIAL_NEW_TOKEN_RATIO > ratio)
            ratio = INITIAL_NEW_TOKEN_RATIO;
        replica->ratio = ratio < 1.0 ? ratio : 1.0;
    }
}

static void compose_prompts_first(Replica *replica) {
    Step *step = &replica->step;
    if (replica->prefilling_count || replica->waiting_count) {
        begin(step, 0, 0);
        fill_prompts(replica);
        if (step->chunks_count)
            return;
    }
    step->active = 0;
    if (!replica->decoding)
        return;
    make_room(replica);
    int64_t steps = larger(1, steps_within_pool(replica, steps_to_next_end(replica)));
    if (replica->waiting_count && running(replica) < replica->limits->max_num_seqs)
        steps = smaller(steps, BLOCKED_STEPS);
    double decay = (INITIAL_NEW_TOKEN_RATIO - MINIMUM_NEW_TOKEN_RATIO) / RATIO_DECAY_STEPS;
    double ratio = replica->ratio - decay * (double)steps;
    replica->ratio = ratio > MINIMUM_NEW_TOKEN_RATIO ? ratio : MINIMUM_NEW_TOKEN_RATIO;
    begin(step, replica->decoding, replica->context);
    step->steps = steps;
}

/* ---- no eviction: the worst case is reserved */

static void fill_reserved(Replica *replica) {
    const Limits *limits = replica->limits;
    const Step *step = &replica->step;
    Sequence *sequences = replica->owner->sequences;
    int64_t budget = limits->max_num_batched_tokens - step->decode * (1 + limits->draft_tokens);
    for (int64_t i = 0; i < replica->prefilling_count; i++) {
        const Sequence *sequence = sequences + replica->prefilling[i];
        int64_t tokens = smaller(smaller(sequence->pending, budget), limits->chunk_tokens);
        if (tokens <= 0)
            return;
        add_chunk(replica, replica->prefilling[i], tokens);
        budget -= tokens;
    }
    while (replica->waiting_count && running(replica) < limits->max_num_seqs) {
        int32_t slot = waiting_head(replica);
        const Sequence *sequence = sequences + slot;
        int64_t total = sequence->prompt + sequence->output - 1;
        int64_t cached = look_up_prefix(replica, sequence);
        int64_t left = sequence->prompt + sequence->generated - cached;
        int64_t most = smaller(budget, limits->chunk_tokens);
        int fits = left <= most || (!limits->chunked && !step->chunks_count);
        int64_t tokens = fits ? left : most;
        if (tokens <= 0 || !(fits || limits->chunked))
            return;
        if (admission_blocks(replica, sequence, total) > free_blocks(replica))
            return;
        admit(replica, cached, total);
        add_chunk(replica, slot, tokens);
        budget -= tokens;
    }
}

static void compose_reserved(Replica *replica) {
    Step *step = &replica->step;
    begin(step, replica->decoding, replica->context);
    if (replica->prefilling_count || replica->waiting_count)
        fill_reserved(replica);
    if (step->chunks_count)
        return;
    if (!replica->decoding)
        step->active = 0;
    else
        step->steps = steps_to_next_end(replica);
}

void compose(Replica *replica) {
    if (replica->scheduler == CHUNKED_PREFILL)
        compose_chunked(replica);
    else if (replica->scheduler == PREFILL_FIRST)
        compose_prompts_first(replica);
    else
        compose_reserved(replica);
}
