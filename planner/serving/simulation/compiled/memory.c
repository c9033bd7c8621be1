/* Arrays that grow, the slots of sequences, and the way out when there is no memory left. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

void stop(Simulation *sim, int status) {
    sim->status = status;
    longjmp(sim->stop, 1);
}

void *grown(Simulation *sim, void *values, int64_t *room, int64_t needed, int64_t size) {
    int64_t larger = *room ? *room * 2 : 16;
    if (needed <= *room)
        return values;
    if (larger < needed)
        larger = needed;
    void *moved = realloc(values, (size_t)larger * (size_t)size);
    if (!moved)
        stop(sim, OUT_OF_MEMORY);
    *room = larger;
    return moved;
}

void *zeroed(Simulation *sim, int64_t count, int64_t size) {
    void *values = calloc((size_t)(count > 0 ? count : 1), (size_t)size);
    if (!values)
        stop(sim, OUT_OF_MEMORY);
    return values;
}

/* A slot of a sequence that ended is used again; its serial number tells the two apart. */
int32_t new_sequence(Simulation *sim, int64_t request, int64_t output, int64_t cached) {
    int32_t slot;
    if (sim->free_count) {
        slot = sim->free_slots[--sim->free_count];
    } else {
        int64_t room = sim->free_room;
        sim->sequences = grown(sim, sim->sequences, &room, sim->slots + 1, sizeof *sim->sequences);
        sim->free_slots = grown(sim, sim->free_slots, &sim->free_room, room, sizeof *sim->free_slots);
        slot = (int32_t)sim->slots++;
    }
    Sequence *sequence = sim->sequences + slot;
    memset(sequence, 0, sizeof *sequence);
    sequence->request = request;
    sequence->prompt = sim->service->prompts[request];
    sequence->output = output;
    sequence->cached = cached;
    sequence->pending = sequence->prompt - cached;
    sequence->end_tick = -1;
    sequence->joined = -1;
    sequence->serial = ++sim->serials;
    sequence->level = sim->service->levels ? sim->service->levels[request] : 0;
    return slot;
}

void free_sequence(Simulation *sim, int32_t slot) {
    sim->sequences[slot].serial = 0;
    sim->free_slots[sim->free_count++] = slot;
}
