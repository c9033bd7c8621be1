/* The state of one replica between engine steps; replica.py. */
#include "core.h"

#include <math.h>
#include <string.h>

int64_t blocks_for(const Limits *limits, int64_t tokens) {
    return (tokens + limits->block_tokens - 1) / limits->block_tokens * limits->grows;
}

static double fixed_bytes(const Limits *limits, int64_t tokens) {
    double windows = 0.0;
    for (int64_t i = 0; i < limits->windows_count; i++) {
        int64_t held = tokens < limits->window_tokens[i] ? tokens : limits->window_tokens[i];
        windows += limits->window_bytes[i] * (double)held;
    }
    return limits->state_bytes + windows;
}

double sequence_bytes(const Limits *limits, int64_t tokens) {
    int64_t blocks = (tokens + limits->block_tokens - 1) / limits->block_tokens;
    return fixed_bytes(limits, tokens) + (double)blocks * limits->block_bytes;
}

static double fixed_blocks(const Limits *limits, const Sequence *sequence) {
    if (limits->grows_alone)
        return 0.0;
    return fixed_bytes(limits, sequence->prompt + sequence->output - 1) / limits->unit_bytes;
}

int can_ever_hold(const Limits *limits, const Sequence *sequence) {
    int64_t total = sequence->prompt + sequence->output - 1;
    return fixed_blocks(limits, sequence) + (double)blocks_for(limits, total) <= limits->pool_blocks;
}

static int64_t tick_after(const Replica *replica, int64_t steps) {
    if (replica->limits->tokens_per_step == 1.0)
        return replica->decode_steps + steps;
    return (int64_t)((double)(replica->decode_steps + steps) * replica->limits->tokens_per_step + 1e-9);
}

static int64_t modulo(int64_t value, int64_t of) {
    int64_t rest = value % of;
    return rest < 0 ? rest + of : rest;
}

static int64_t phases_between(const Replica *replica, int64_t first, int64_t end) {
    int64_t sum = 0;
    for (int64_t i = first; i < end; i++)
        sum += replica->phases[i];
    return sum;
}

int64_t growth(const Replica *replica, int64_t steps) {
    int64_t block = replica->limits->block_tokens, weight = replica->limits->grows;
    if (!replica->decoding)
        return 0;
    int64_t ticks = tick_after(replica, steps) - replica->tick;
    int64_t top = modulo(-replica->tick, block);
    if (ticks == 1 && block > 1)
        return replica->phases[top] * weight;
    int64_t whole = ticks / block, rest = ticks % block;
    int64_t taken = replica->decoding * whole;
    if (rest) {
        int64_t first = top - rest + 1;
        taken += phases_between(replica, first > 0 ? first : 0, top + 1);
        if (rest > top + 1)
            taken += phases_between(replica, block + first, block);
    }
    return taken * weight;
}

/* Ends of the running sequences: a heap by tick, then by who joined first. */
static int before(const End *a, const End *b) {
    return a->end < b->end || (a->end == b->end && a->join < b->join);
}

static void push_end(Replica *replica, End entry) {
    replica->ends = grown(replica->owner, replica->ends, &replica->ends_room, replica->ends_count + 1,
                          sizeof *replica->ends);
    End *heap = replica->ends;
    int64_t i = replica->ends_count++;
    for (; i && before(&entry, heap + (i - 1) / 2); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = entry;
}

static End pop_end(Replica *replica) {
    End *heap = replica->ends, top = heap[0], last = heap[--replica->ends_count];
    int64_t i = 0, count = replica->ends_count;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child + 1 < count && before(heap + child + 1, heap + child))
            child++;
        if (child >= count || !before(heap + child, &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static int holds(const Replica *replica, const End *entry) {
    const Sequence *sequence = replica->owner->sequences + entry->slot;
    return sequence->serial == entry->serial && sequence->end_tick == entry->end;
}

int64_t steps_to_next_end(Replica *replica) {
    while (!holds(replica, replica->ends))
        pop_end(replica);
    int64_t gap = replica->ends[0].end - replica->tick;
    if (replica->limits->tokens_per_step == 1.0)
        return gap;
    int64_t steps = (int64_t)((double)gap / replica->limits->tokens_per_step);
    if (steps < 1)
        steps = 1;
    while (tick_after(replica, steps) - replica->tick < gap)
        steps++;
    return steps;
}

/* Python's a // b of doubles that are not negative. */
static double floor_divided(double a, double b) {
    double quotient = (a - fmod(a, b)) / b, whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

int64_t steps_within_pool(const Replica *replica, int64_t steps) {
    double free = free_blocks(replica);
    double each = floor_divided((double)steps * replica->limits->tokens_per_step,
                                (double)replica->limits->block_tokens);
    if ((double)replica->decoding * (each + 2.0) <= free)
        return steps;
    if ((double)growth(replica, steps) <= free)
        return steps;
    int64_t low = 0, high = steps;
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if ((double)growth(replica, middle) <= free)
            low = middle;
        else
            high = middle;
    }
    return low;
}

int tight(const Replica *replica) {
    return (double)replica->decoding * (replica->limits->tokens_per_step + 1.0) > free_blocks(replica);
}

int64_t look_up_prefix(const Replica *replica, const Sequence *sequence) {
    int64_t cached = sequence->cached + sequence->kept * replica->limits->block_tokens;
    int64_t most = sequence->prompt + sequence->generated - 1;
    return cached < most ? cached : most;
}

double admission_blocks(const Replica *replica, const Sequence *sequence, int64_t tokens) {
    return fixed_blocks(replica->limits, sequence) + (double)blocks_for(replica->limits, tokens);
}

static void evict_kept(Replica *replica) {
    if (!replica->waiting_count)
        return;
    double free = free_blocks(replica);
    int64_t levels = replica->owner->service->levels_count;
    for (int64_t i = 0; i < levels; i++) {
        if (!replica->queues[i].count)
            continue;
        Sequence *head = replica->owner->sequences + queue_head(replica->queues + i);
        if (head->kept && (double)head->kept > free) {
            int64_t left = (int64_t)free;
            head->kept = left > 0 ? left : 0;
        }
        free -= (double)head->kept;
    }
}

void hold(Replica *replica, Sequence *sequence, int64_t tokens) {
    int64_t blocks = blocks_for(replica->limits, tokens);
    replica->used_blocks += (double)(blocks - sequence->blocks);
    sequence->blocks = blocks;
    evict_kept(replica);
}

void admit(Replica *replica, int64_t cached, int64_t tokens) {
    Simulation *sim = replica->owner;
    int32_t slot = take_waiting(replica);
    Sequence *sequence = sim->sequences + slot;
    sequence->cached = cached;
    sequence->pending = sequence->prompt + sequence->generated - cached;
    sequence->fixed = fixed_blocks(replica->limits, sequence);
    sequence->blocks = 0;
    sequence->order = replica->orders++;
    replica->used_blocks += sequence->fixed;
    sequence->kept = 0;
    hold(replica, sequence, tokens);
    replica->prefilling = grown(sim, replica->prefilling, &replica->prefilling_room,
                                replica->prefilling_count + 1, sizeof *replica->prefilling);
    replica->prefilling[replica->prefilling_count++] = slot;
    replica->admitted = grown(sim, replica->admitted, &replica->admitted_room, replica->admitted_count + 1,
                              sizeof *replica->admitted);
    replica->admitted[replica->admitted_count++] = (Admitted){sequence->serial, slot};
}

static void no_longer_prefilling(Replica *replica, int32_t slot) {
    int64_t i = 0;
    while (replica->prefilling[i] != slot)
        i++;
    replica->prefilling_count--;
    memmove(replica->prefilling + i, replica->prefilling + i + 1,
            (size_t)(replica->prefilling_count - i) * sizeof *replica->prefilling);
}

static void release(Replica *replica, Sequence *sequence) {
    replica->used_blocks -= (double)sequence->blocks + sequence->fixed;
    sequence->blocks = 0;
    sequence->fixed = 0.0;
}

static void join_batch(Replica *replica, int32_t slot) {
    Sequence *sequence = replica->owner->sequences + slot;
    int64_t context = sequence->prompt + sequence->generated - 1;
    sequence->base = context - replica->tick;
    sequence->end_tick = replica->tick + sequence->output - sequence->generated;
    replica->decoding++;
    replica->context += context;
    if (replica->scheduler != NO_EVICT)
        replica->phases[modulo(sequence->base, replica->limits->block_tokens)]++;
    replica->end_sum += sequence->end_tick;
    push_end(replica, (End){sequence->end_tick, ++replica->joins, sequence->serial, slot});
}

static void leave_batch(Replica *replica, Sequence *sequence) {
    int64_t context = sequence->base + replica->tick;
    replica->decoding--;
    replica->context -= context;
    replica->end_sum -= sequence->end_tick;
    sequence->generated = context - sequence->prompt + 1;
    if (replica->scheduler != NO_EVICT) {
        replica->phases[modulo(sequence->base, replica->limits->block_tokens)]--;
        sequence->blocks = blocks_for(replica->limits, context);
    }
}

static int alive(const Replica *replica, const Admitted *entry) {
    const Sequence *sequence = replica->owner->sequences + entry->slot;
    return sequence->serial == entry->serial && sequence->order >= 0;
}

/* Puts the lowest level's latest arrival behind all others that run. */
static void lowest_last(Replica *replica) {
    Admitted *admitted = replica->admitted;
    const Sequence *sequences = replica->owner->sequences;
    int64_t lowest = -1;
    for (int64_t i = 0; i < replica->admitted_count; i++) {
        if (!alive(replica, admitted + i))
            continue;
        const Sequence *one = sequences + admitted[i].slot;
        const Sequence *found = lowest < 0 ? 0 : sequences + admitted[lowest].slot;
        if (!found || one->level > found->level ||
            (one->level == found->level && one->request > found->request))
            lowest = i;
    }
    Admitted victim = admitted[lowest];
    memmove(admitted + lowest, admitted + lowest + 1,
            (size_t)(replica->admitted_count - lowest - 1) * sizeof *admitted);
    admitted[replica->admitted_count - 1] = victim;
}

int preempt_latest(Replica *replica, int requeue_last) {
    int by_level = replica->owner->service->levels != 0;
    if (by_level && !requeue_last)
        lowest_last(replica);
    while (!alive(replica, replica->admitted + replica->admitted_count - 1))
        replica->admitted_count--;
    int32_t slot = replica->admitted[--replica->admitted_count].slot;
    Sequence *sequence = replica->owner->sequences + slot;
    if (sequence->end_tick >= 0) {
        leave_batch(replica, sequence);
        sequence->end_tick = -1;
    } else {
        no_longer_prefilling(replica, slot);
    }
    if (replica->limits->prefix_caching)
        sequence->kept = sequence->blocks;
    release(replica, sequence);
    sequence->cached = 0;
    sequence->pending = sequence->prompt + sequence->generated;
    sequence->preemptions++;
    if (requeue_last)
        submit_waiting(replica, slot);
    else
        requeue_first(replica, slot);
    return by_level;
}

static void finish(Replica *replica, int32_t slot) {
    Sequence *sequence = replica->owner->sequences + slot;
    release(replica, sequence);
    replica->in_flight--;
    sequence->end_tick = -1;
    sequence->order = -1;
    if (replica->admitted_count > 64 + 2 * running(replica)) {
        int64_t kept = 0;
        for (int64_t i = 0; i < replica->admitted_count; i++)
            if (alive(replica, replica->admitted + i))
                replica->admitted[kept++] = replica->admitted[i];
        replica->admitted_count = kept;
    }
    on_finished(replica, slot);
}

static void end_prefill(Replica *replica, int32_t slot) {
    Sequence *sequence = replica->owner->sequences + slot;
    no_longer_prefilling(replica, slot);
    sequence->generated++;
    if (sequence->generated == 1)
        on_first_token(replica, sequence);
    else
        on_resumed(replica, sequence);
    if (sequence->generated >= sequence->output)
        finish(replica, slot);
    else
        join_batch(replica, slot);
}

static void advance(Replica *replica, int64_t steps) {
    if (replica->scheduler != NO_EVICT) {
        replica->used_blocks += (double)growth(replica, steps);
        evict_kept(replica);
    }
    replica->decode_steps += steps;
    int64_t tick = tick_after(replica, 0);
    replica->context += replica->decoding * (tick - replica->tick);
    replica->tick = tick;
}

void commit(Replica *replica) {
    Step *step = &replica->step;
    if (step->decode) {
        advance(replica, step->steps);
        while (replica->ends_count &&
               (replica->ends[0].end <= replica->tick || !holds(replica, replica->ends))) {
            End entry = pop_end(replica);
            if (holds(replica, &entry)) {
                leave_batch(replica, replica->owner->sequences + entry.slot);
                finish(replica, entry.slot);
            }
        }
    }
    for (int64_t i = 0; i < step->chunks_count; i++) {
        Sequence *sequence = replica->owner->sequences + step->chunks[i].slot;
        sequence->pending -= step->chunks[i].tokens;
        if (sequence->pending == 0)
            end_prefill(replica, step->chunks[i].slot);
    }
}
