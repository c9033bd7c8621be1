/* Who waits for a replica: a ring for each level; schedulers/priority_queue.py. */
#include "core.h"

#include <string.h>

static void widen(Replica *replica, Queue *queue) {
    int64_t old = queue->room, room = old;
    if (queue->count < old)
        return;
    queue->slots = grown(replica->owner, queue->slots, &room, old + 1, sizeof *queue->slots);
    memcpy(queue->slots + old, queue->slots, (size_t)queue->first * sizeof *queue->slots);
    queue->room = room; /* twice the old one: what wrapped around fits behind */
}

static int32_t *place_in(const Queue *queue, int64_t place) {
    return queue->slots + (queue->first + place) % queue->room;
}

static Queue *queue_of(Replica *replica, int32_t slot) {
    return replica->queues + replica->owner->sequences[slot].level;
}

static Queue *first_queue(const Replica *replica) {
    Queue *queue = replica->queues;
    while (!queue->count)
        queue++;
    return queue;
}

int32_t queue_head(const Queue *queue) { return *place_in(queue, 0); }

int32_t waiting_head(const Replica *replica) { return queue_head(first_queue(replica)); }

int32_t take_waiting(Replica *replica) {
    Queue *queue = first_queue(replica);
    int32_t slot = queue_head(queue);
    queue->first = (queue->first + 1) % queue->room;
    queue->count--;
    replica->waiting_count--;
    return slot;
}

void submit_waiting(Replica *replica, int32_t slot) {
    Queue *queue = queue_of(replica, slot);
    widen(replica, queue);
    *place_in(queue, queue->count++) = slot;
    replica->waiting_count++;
}

/* In front; with levels, where its arrival puts it. */
void requeue_first(Replica *replica, int32_t slot) {
    const Simulation *sim = replica->owner;
    Queue *queue = queue_of(replica, slot);
    widen(replica, queue);
    queue->first = (queue->first + queue->room - 1) % queue->room;
    queue->count++;
    replica->waiting_count++;
    int64_t place = 0;
    if (sim->service->levels)
        for (; place + 1 < queue->count; place++) {
            int32_t before = *place_in(queue, place + 1);
            if (sim->sequences[before].request >= sim->sequences[slot].request)
                break;
            *place_in(queue, place) = before;
        }
    *place_in(queue, place) = slot;
}
