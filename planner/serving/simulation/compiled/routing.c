/* Which replica a request goes to; routing.py and the Pool of replica_groups.py. */
#include "core.h"

#include <math.h>

enum { WORDS = 624, MIDDLE = 397 };

/* The next 32 bits of a Mersenne Twister MT19937 (Matsumoto and Nishimura 1998), as Python's random has it. */
static uint32_t random_word(uint32_t *state) {
    if (state[WORDS] >= WORDS) {
        for (int i = 0; i < WORDS; i++) {
            uint32_t joined = (state[i] & 0x80000000u) | (state[(i + 1) % WORDS] & 0x7fffffffu);
            state[i] = state[(i + MIDDLE) % WORDS] ^ (joined >> 1) ^ (joined & 1u ? 0x9908b0dfu : 0u);
        }
        state[WORDS] = 0;
    }
    uint32_t word = state[state[WORDS]++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

/* random.randrange(count): bits of the count's length until they are below it. */
static int64_t random_below(uint32_t *state, int64_t count) {
    int bits = 0;
    while (count >> bits)
        bits++;
    int64_t drawn;
    do
        drawn = (int64_t)(random_word(state) >> (32 - bits));
    while (drawn >= count);
    return drawn;
}

static Replica *routed(Simulation *sim, int64_t group_number, const int64_t *options, int64_t count) {
    const Group *group = sim->service->groups + group_number;
    Replica *replicas = sim->replicas;
    if (count == 1)
        return replicas + options[0];
    if (group->policy == RANDOM)
        return replicas + options[random_below(group->random, count)];
    int64_t turn = sim->turns[group_number] = (sim->turns[group_number] + 1) % count;
    if (group->policy == ROUND_ROBIN)
        return replicas + options[turn];
    int64_t chosen = turn;
    for (int64_t i = 1; i < count; i++) { /* the least loaded; the next in turn, then the first of equals */
        int64_t other = turn + i < count ? turn + i : turn + i - count;
        int64_t load = replicas[options[other]].in_flight, least = replicas[options[chosen]].in_flight;
        if (load < least)
            chosen = other;
    }
    return replicas + options[chosen];
}

Replica *choose(Simulation *sim, const Pool *pool, double now_s, const Replica *sender) {
    Service *service = sim->service;
    int by_unit = sender && service->links[sender->member->link].units > 1;
    int by_time = !by_unit && service->scales;
    int64_t best = -1, count = 0;
    double behind = INFINITY;
    for (int64_t g = pool->first_group; g < pool->first_group + pool->groups; g++) {
        const Group *group = service->groups + g;
        if (by_unit || by_time || pool->groups > 1) {
            double served = sim->served[g] / group->weight;
            if (!(served < behind))
                continue;
            int64_t open = 0;
            for (int64_t i = group->first; i < group->first + group->count; i++) {
                const Member *member = service->members + i;
                open += by_unit ? member->unit == sender->member->unit
                                : !by_time || (member->ready_s <= now_s && now_s < member->retire_s);
            }
            if (!open)
                continue;
            behind = served;
        }
        best = g;
    }
    if (best < 0)
        return 0;
    const Group *group = service->groups + best;
    for (int64_t i = group->first; i < group->first + group->count; i++) {
        const Member *member = service->members + i;
        if (by_unit ? member->unit == sender->member->unit
                    : !by_time || (member->ready_s <= now_s && now_s < member->retire_s))
            sim->options[count++] = i;
    }
    sim->served[best] += 1;
    return routed(sim, best, sim->options, count);
}
