/* A replica with a clock; timed_replica.py. */
#include "core.h"

#include <math.h>
#include <string.h>

static const double CONTEXT_GROWTH = 1.25;
static const double GAP_BINS_PER_DECADE = 200.0;
static const double SHORTEST_GAP_S = 1e-5;

static double seconds_of(const Replica *replica, int64_t steps) {
    return (double)steps * replica->step_s +
           replica->slope_s * (double)steps * (double)(steps - 1) / 2.0;
}

static void cut(Replica *replica, double now_s) {
    double left = now_s - replica->start_s;
    double half = replica->slope_s / 2.0;
    double linear = replica->step_s - half;
    double wanted;
    if (fabs(half) * left < 1e-9 * linear * linear) {
        wanted = ceil(left / linear);
    } else {
        double root = linear * linear + 4.0 * half * left;
        if (!(root >= 0.0))
            stop(replica->owner, OUT_OF_DOMAIN);
        wanted = ceil((sqrt(root) - linear) / (2.0 * half));
    }
    if (!(fabs(wanted) < 9e15))
        stop(replica->owner, OUT_OF_DOMAIN);
    int64_t steps = wanted > 1.0 ? (int64_t)wanted : 1;
    while (steps > 1 && seconds_of(replica, steps - 1) >= left)
        steps--;
    while (seconds_of(replica, steps) < left)
        steps++;
    if (steps < replica->step.steps) {
        replica->step.steps = steps;
        replica->step_end_s = replica->start_s + seconds_of(replica, steps);
    }
}

void submit(Replica *replica, int32_t slot, double now_s) {
    int blocked = replica->waiting_count > 0;
    replica->in_flight++;
    submit_waiting(replica, slot);
    if (!replica->step.active)
        replica->step_end_s = now_s;
    else if (!blocked && replica->step.steps > 1)
        cut(replica, now_s);
}

int wake(Replica *replica, double now_s) {
    if (replica->step.active || !replica->waiting_count)
        return 0;
    replica->step_end_s = now_s;
    return 1;
}

static void begin_step(Replica *replica, double now_s) {
    Simulation *sim = replica->owner;
    Step *step = &replica->step;
    replica->start_s = now_s;
    compose(replica);
    if (!step->active) {
        replica->step_end_s = INFINITY;
        replica->last_decode_s = -1.0;
        return;
    }
    double first = step_seconds(sim, replica->table, step);
    replica->step_s = first;
    for (int64_t i = 0; i < step->chunks_count; i++) {
        const Sequence *sequence = sim->sequences + step->chunks[i].slot;
        if (sim->service->start_s[sequence->request] < 0) {
            sim->service->start_s[sequence->request] = now_s;
            sim->service->cached[sequence->request] = sequence->cached;
        }
    }
    int64_t steps = step->steps;
    if (steps == 1) {
        replica->slope_s = 0.0;
        replica->step_end_s = now_s + first;
        return;
    }
    double context = (double)step->context;
    double growth_tokens = (double)step->decode * replica->limits->tokens_per_step;
    int64_t longest =
        (int64_t)(((CONTEXT_GROWTH - 1) * context + (double)(64 * step->decode)) / growth_tokens) + 1;
    if (steps > longest)
        steps = step->steps = longest;
    double last = decode_s(sim, replica->table, step->decode, context + growth_tokens * (double)(steps - 1));
    replica->slope_s = steps > 1 ? (last - first) / (double)(steps - 1) : 0.0;
    replica->step_end_s = now_s + seconds_of(replica, steps);
}

static void count_gap(Simulation *sim, double gap_s, int64_t tokens) {
    Service *service = sim->service;
    double counted = gap_s > SHORTEST_GAP_S ? gap_s : SHORTEST_GAP_S;
    int64_t bin = (int64_t)(log10(counted / SHORTEST_GAP_S) * GAP_BINS_PER_DECADE);
    if (bin >= service->gaps_count) {
        service->gaps = grown(sim, service->gaps, &sim->gaps_room, bin + 1, sizeof *service->gaps);
        memset(service->gaps + service->gaps_count, 0,
               (size_t)(bin + 1 - service->gaps_count) * sizeof *service->gaps);
        service->gaps_count = bin + 1;
    }
    service->gaps[bin] += tokens;
}

/* The first of several equal steps waited for the prompts before it. */
static void note_gaps(Replica *replica, double now_s) {
    Simulation *sim = replica->owner;
    const Step *step = &replica->step;
    double waited = replica->last_decode_s >= 0 ? replica->start_s - replica->last_decode_s : 0.0;
    double gap = waited + (step->steps == 1 ? now_s - replica->start_s : replica->step_s);
    replica->last_decode_s = now_s;
    replica->decodes++;
    count_gap(sim, gap, step->decode);
    if (step->steps > 1)
        count_gap(sim, replica->step_s, step->decode * (step->steps - 1));
    int64_t room = replica->stalls_room;
    replica->stalls = grown(sim, replica->stalls, &room, replica->stalls_count + 1, sizeof *replica->stalls);
    replica->stalls_at = grown(sim, replica->stalls_at, &replica->stalls_room, replica->stalls_count + 1,
                               sizeof *replica->stalls_at);
    while (replica->stalls_count && replica->stalls[replica->stalls_count - 1] <= gap)
        replica->stalls_count--;
    replica->stalls[replica->stalls_count] = gap;
    replica->stalls_at[replica->stalls_count++] = replica->decodes;
}

void finish_step(Replica *replica) {
    const Step *step = &replica->step;
    double now = replica->step_end_s;
    if (!step->active) {
        begin_step(replica, now);
        return;
    }
    double seconds = now - replica->start_s;
    Member *member = replica->member;
    member->steps += step->steps;
    member->batch_area += (double)running(replica) * seconds;
    member->kv_area += replica->used_blocks * seconds;
    if (step->chunks_count) {
        member->prefill_busy_s += seconds;
        member->prefilled_tokens += step->prefill;
    } else {
        member->decode_busy_s += seconds;
    }
    if (step->decode)
        note_gaps(replica, now);
    else if (!replica->decoding)
        replica->last_decode_s = -1.0;
    commit(replica);
    begin_step(replica, now);
}

void on_first_token(Replica *replica, Sequence *sequence) {
    replica->owner->service->first_s[sequence->request] = replica->step_end_s;
    sequence->joined = replica->decodes;
}

void on_resumed(Replica *replica, Sequence *sequence) {
    if (sequence->joined < 0)
        sequence->joined = replica->decodes;
}

void on_finished(Replica *replica, int32_t slot) {
    Simulation *sim = replica->owner;
    Service *service = sim->service;
    Sequence sequence = sim->sequences[slot];
    int64_t request = sequence.request;
    double now = replica->step_end_s;
    service->end_s[request] = now;
    service->preemptions[request] += sequence.preemptions;
    if (sequence.output > 1) {
        double mean = (now - service->first_s[request]) / (double)(sequence.output - 1);
        int64_t since = (sequence.joined < 0 ? 0 : sequence.joined) + 1;
        int64_t low = 0, high = replica->stalls_count;
        while (low < high) { /* bisect_right */
            int64_t middle = (low + high) / 2;
            if (since < replica->stalls_at[middle])
                high = middle;
            else
                low = middle + 1;
        }
        double longest = low < replica->stalls_count ? replica->stalls[low] : 0.0;
        service->longest_gap_s[request] = mean > longest ? mean : longest;
    }
    free_sequence(sim, slot);
    if (replica->member->link < 0)
        leave(sim, now);
    else
        hand_over(sim, replica, &sequence, now);
}
