/* The event loop of a service; simulator.py. */
#include "core.h"

#include <math.h>
#include <stdlib.h>

#ifndef SOURCE_DIGEST
#define SOURCE_DIGEST ""
#endif

const char *planner_core_source(void) { return SOURCE_DIGEST; }

/* ---- two heaps: ends of steps by time and replica, later events by time and order */

static int sooner(const StepEnd *a, const StepEnd *b) {
    return a->at_s < b->at_s || (a->at_s == b->at_s && a->number < b->number);
}

static void push_step_end(Simulation *sim, double at_s, int64_t number) {
    sim->ends = grown(sim, sim->ends, &sim->ends_room, sim->ends_count + 1, sizeof *sim->ends);
    StepEnd *heap = sim->ends, entry = {at_s, number};
    int64_t i = sim->ends_count++;
    for (; i && sooner(&entry, heap + (i - 1) / 2); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = entry;
}

static StepEnd pop_step_end(Simulation *sim) {
    StepEnd *heap = sim->ends, top = heap[0], last = heap[--sim->ends_count];
    int64_t i = 0, count = sim->ends_count;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child + 1 < count && sooner(heap + child + 1, heap + child))
            child++;
        if (child >= count || !sooner(heap + child, &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

static int earlier(const Later *a, const Later *b) {
    return a->at_s < b->at_s || (a->at_s == b->at_s && a->tie < b->tie);
}

static void push_later(Simulation *sim, double at_s, int32_t slot, int64_t sender) {
    sim->later = grown(sim, sim->later, &sim->later_room, sim->later_count + 1, sizeof *sim->later);
    Later *heap = sim->later, entry = {at_s, ++sim->ties, sender, slot};
    int64_t i = sim->later_count++;
    for (; i && earlier(&entry, heap + (i - 1) / 2); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = entry;
}

static Later pop_later(Simulation *sim) {
    Later *heap = sim->later, top = heap[0], last = heap[--sim->later_count];
    int64_t i = 0, count = sim->later_count;
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child + 1 < count && earlier(heap + child + 1, heap + child))
            child++;
        if (child >= count || !earlier(heap + child, &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

/* ---- requests */

static int closed(const Simulation *sim) { return sim->service->concurrency >= 0; }

static int32_t request_of(Simulation *sim, int64_t request) {
    int64_t prompt = sim->service->prompts[request];
    int64_t cached = (int64_t)((double)prompt * sim->service->cached_share);
    if (cached > prompt - 1)
        cached = prompt - 1;
    return new_sequence(sim, request, sim->service->outputs[request], cached);
}

static void send_next(Simulation *sim, double now_s) {
    Service *service = sim->service;
    if (sim->next >= service->requests)
        return;
    int64_t request = sim->next++;
    sim->in_system++;
    service->arrivals[request] = now_s;
    push_later(sim, now_s + service->admission_s, request_of(sim, request), -1);
}

void leave(Simulation *sim, double now_s) {
    sim->in_system--;
    if (closed(sim))
        send_next(sim, now_s);
}

static void refuse(Simulation *sim, int32_t slot) {
    sim->service->shed[sim->sequences[slot].request] = 1;
    free_sequence(sim, slot);
    leave(sim, sim->service->clock_s);
}

static void wait_for_a_replica(Simulation *sim, int32_t slot, double now_s, const Pool *pool, int64_t sender) {
    const Service *service = sim->service;
    double ready = INFINITY;
    for (int64_t g = pool->first_group; g < pool->first_group + pool->groups; g++) {
        const Group *group = service->groups + g;
        for (int64_t i = group->first; i < group->first + group->count; i++) {
            double at_s = service->members[i].ready_s;
            if (at_s > now_s && at_s < ready)
                ready = at_s;
        }
    }
    if (ready < INFINITY)
        push_later(sim, ready, slot, sender);
    else
        refuse(sim, slot);
}

static Replica *of_call(Simulation *sim, int64_t request) {
    const Service *service = sim->service;
    int64_t number = service->calls ? service->replica[service->calls[request]] : -1;
    return number < 0 ? 0 : sim->replicas + number;
}

static void route(Simulation *sim, int32_t slot, double now_s, int64_t sender) {
    Service *service = sim->service;
    const Replica *from = sender < 0 ? 0 : sim->replicas + sender;
    const Pool *pool = service->pools + (from ? service->links[from->member->link].pool : 0);
    Replica *replica = from ? 0 : of_call(sim, sim->sequences[slot].request);
    if (!replica)
        replica = choose(sim, pool, now_s, from);
    if (!replica) {
        wait_for_a_replica(sim, slot, now_s, pool, sender);
        return;
    }
    Sequence *sequence = sim->sequences + slot;
    if (replica->member->link >= 0)
        sequence->output = 1;
    int full = service->max_queue >= 0 && replica->waiting_count >= service->max_queue && !from;
    if (full || !can_ever_hold(replica->limits, sequence)) {
        refuse(sim, slot);
        return;
    }
    service->replica[sequence->request] = replica->number;
    double before = replica->step_end_s;
    submit(replica, slot, now_s);
    if (replica->step_end_s != before)
        push_step_end(sim, replica->step_end_s, replica->number);
}

/* ---- from a prefill replica to those that decode */

void hand_over(Simulation *sim, Replica *sender, const Sequence *sequence, double now_s) {
    Service *service = sim->service;
    const Link *link = service->links + sender->member->link;
    const Limits *mine = sender->limits, *theirs = service->limits + link->limits;
    int64_t request = sequence->request, prompt = sequence->prompt;
    service->first_s[request] = service->end_s[request] = -1.0;
    int32_t moved = new_sequence(sim, request, service->outputs[request], prompt - 1);
    double held = sequence_bytes(mine, prompt), there = sequence_bytes(theirs, prompt);
    sender->used_blocks += held / mine->unit_bytes;
    double sent = (there > held ? there : held) / link->bytes_per_s;
    double start = sender->link_free_s > now_s ? sender->link_free_s : now_s;
    sender->link_free_s = start + sent / (double)mine->ranks;
    double arrives = start + sent + link->latency_s;
    push_later(sim, arrives + link->admission_s, moved, sender->number);
}

static void arrived(Simulation *sim, Replica *sender, int64_t prompt, double now_s) {
    sender->used_blocks -= sequence_bytes(sender->limits, prompt) / sender->limits->unit_bytes;
    if (wake(sender, now_s))
        push_step_end(sim, now_s, sender->number);
}

/* ---- the loop */

static void sample(Simulation *sim, double now_s) {
    Service *service = sim->service;
    int64_t width = 3 + service->members_count;
    while (sim->next_sample_s <= now_s) {
        service->samples = grown(sim, service->samples, &sim->samples_room, service->samples_count + 1,
                                 width * (int64_t)sizeof(double));
        double *row = service->samples + service->samples_count++ * width;
        int64_t run = 0, wait = 0;
        for (int64_t i = 0; i < service->members_count; i++) {
            run += running(sim->replicas + i);
            wait += sim->replicas[i].waiting_count;
            row[3 + i] = sim->replicas[i].used_blocks;
        }
        row[0] = sim->next_sample_s;
        row[1] = (double)run;
        row[2] = (double)wait;
        sim->next_sample_s += service->sample_every_s;
    }
}

static void tick(Simulation *sim, double now_s) {
    Service *service = sim->service;
    service->area += (double)sim->in_system * (now_s - service->clock_s);
    service->clock_s = now_s;
    if (now_s >= sim->next_sample_s)
        sample(sim, now_s);
}

static double next_event_s(const Simulation *sim) {
    const Service *service = sim->service;
    double later = sim->later_count ? sim->later[0].at_s : INFINITY;
    if (!closed(sim) && sim->next < service->requests) {
        double arrival = service->arrivals[sim->next] + service->admission_s;
        return arrival < later ? arrival : later;
    }
    return later;
}

static void finish_steps(Simulation *sim, double until_s) {
    int64_t waiting = sim->later_count;
    while (sim->ends_count && sim->ends[0].at_s < until_s) {
        StepEnd end = pop_step_end(sim);
        Replica *replica = sim->replicas + end.number;
        if (replica->step_end_s != end.at_s)
            continue;
        tick(sim, end.at_s);
        finish_step(replica);
        if (replica->step_end_s < INFINITY)
            push_step_end(sim, replica->step_end_s, end.number);
        if (sim->later_count != waiting)
            return;
    }
}

static void take_next(Simulation *sim, double now_s) {
    Service *service = sim->service;
    if (sim->later_count && sim->later[0].at_s <= now_s) {
        Later event = pop_later(sim);
        if (event.sender >= 0)
            arrived(sim, sim->replicas + event.sender, sim->sequences[event.slot].prompt, now_s);
        route(sim, event.slot, now_s, event.sender);
        return;
    }
    int64_t request = sim->next++;
    sim->in_system++;
    service->area += service->admission_s;
    route(sim, request_of(sim, request), now_s, -1);
    if (request % 1000 == 0 && !service->progress(request))
        stop(sim, INTERRUPTED);
}

static int play(Simulation *sim) {
    const Service *service = sim->service;
    for (int64_t i = 0; i < service->concurrency; i++)
        send_next(sim, 0.0);
    for (;;) {
        finish_steps(sim, next_event_s(sim));
        double now_s = next_event_s(sim);
        if (now_s == INFINITY) {
            if (sim->ends_count)
                continue;
            return DONE;
        }
        if (sim->ends_count && sim->ends[0].at_s < now_s)
            continue;
        tick(sim, now_s);
        take_next(sim, now_s);
        if (sim->in_system > service->max_backlog)
            return OVERLOADED;
    }
}

static void build(Simulation *sim) {
    Service *service = sim->service;
    int64_t count = service->members_count;
    sim->replicas = zeroed(sim, count, sizeof *sim->replicas);
    sim->turns = zeroed(sim, service->groups_count, sizeof *sim->turns);
    sim->served = zeroed(sim, service->groups_count, sizeof *sim->served);
    sim->options = zeroed(sim, count, sizeof *sim->options);
    for (int64_t i = 0; i < count; i++) {
        Replica *replica = sim->replicas + i;
        replica->owner = sim;
        replica->number = i;
        replica->member = service->members + i;
        replica->limits = service->limits + replica->member->limits;
        replica->table = service->tables + replica->member->table;
        replica->scheduler = replica->member->scheduler;
        replica->ratio = FIRST_NEW_TOKEN_RATIO;
        replica->step_end_s = INFINITY;
        replica->last_decode_s = -1.0;
        replica->phases = zeroed(sim, replica->limits->block_tokens, sizeof *replica->phases);
        replica->queues = zeroed(sim, service->levels_count, sizeof *replica->queues);
    }
}

static void dismantle(Simulation *sim) {
    for (int64_t i = 0; sim->replicas && i < sim->service->members_count; i++) {
        Replica *replica = sim->replicas + i;
        for (int64_t level = 0; replica->queues && level < sim->service->levels_count; level++)
            free(replica->queues[level].slots);
        free(replica->queues);
        free(replica->prefilling);
        free(replica->ends);
        free(replica->admitted);
        free(replica->phases);
        free(replica->step.chunks);
        free(replica->stalls_at);
        free(replica->stalls);
    }
    free(sim->replicas);
    free(sim->sequences);
    free(sim->free_slots);
    free(sim->ends);
    free(sim->later);
    free(sim->turns);
    free(sim->served);
    free(sim->options);
    free(sim);
}

/* Play a service; the status says how it ended. What was found is in the structure. */
int planner_core_run(Service *service) {
    Simulation *sim = calloc(1, sizeof *sim);
    if (!sim)
        return OUT_OF_MEMORY;
    sim->service = service;
    if (!setjmp(sim->stop)) {
        build(sim);
        sim->status = play(sim);
    }
    int status = sim->status;
    service->sent = sim->next;
    dismantle(sim);
    return status;
}

void planner_core_release(Service *service) {
    free(service->samples);
    free(service->gaps);
    service->samples = 0;
    service->gaps = 0;
}
