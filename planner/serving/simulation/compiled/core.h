/* A service of replicas simulated over arrays: the compiled form of the event loop in
 * planner/serving/simulation (simulator.py, timed_replica.py, replica.py, schedulers/, routing.py,
 * replica_groups.py, step_table.py).
 *
 * Every function here does the same floating-point operations in the same order as the Python function
 * of its name, so that both give the same numbers to the digit. What the Python side documents is not
 * repeated. A new rule goes into the Python loop first; library.py says what the core covers.
 */
#ifndef PLANNER_CORE_H
#define PLANNER_CORE_H

#include <float.h>
#include <setjmp.h>
#include <stdint.h>

#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0
#error "doubles are computed with more digits here than Python's"
#endif
#if defined(__FAST_MATH__)
#error "-ffast-math changes results"
#endif

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

/* ---- what the caller hands over; library.py mirrors these structures field by field */

enum { MOST_WINDOWS = 2 };
#define FIRST_NEW_TOKEN_RATIO 0.7
enum { CHUNKED_PREFILL, PREFILL_FIRST, NO_EVICT };
enum { ROUND_ROBIN, RANDOM, LEAST_LOADED };
enum { DONE, OVERLOADED, INTERRUPTED, OUT_OF_MEMORY, OUT_OF_DOMAIN };

/* A step table; rows[batch] holds the values at the knots, then the slopes between them; mixed[row] holds
 * for each prefill point the coarse grid, then the cost of one prompt more. Both are filled on demand. */
typedef struct {
    int64_t knots_count, coarse_count, batches_count, prefills_count, rows_count;
    const double *knots, *coarse, *batches, *prefills;
    const double **rows;
    const double **mixed;
    int64_t ranks, joins;
} Table;

typedef struct {
    int64_t max_num_seqs, max_num_batched_tokens, chunk_tokens, block_tokens, grows, grows_alone;
    int64_t draft_tokens, ranks, chunked, prefix_caching, windows_count;
    int64_t window_tokens[MOST_WINDOWS];
    double window_bytes[MOST_WINDOWS];
    double state_bytes, block_bytes, unit_bytes, pool_blocks, tokens_per_step;
} Limits;

/* Where the answers of a prefill replica are written; pool: of the decode replicas. */
typedef struct {
    int64_t pool, limits, units;
    double bytes_per_s, latency_s, admission_s;
} Link;

/* A replica, and what it did. link: -1 where answers are written here; unit: its failure domain. */
typedef struct {
    int64_t table, limits, scheduler, link, unit;
    double ready_s, retire_s;
    int64_t steps, prefilled_tokens;
    double prefill_busy_s, decode_busy_s, batch_area, kv_area;
} Member;

/* Replicas `first` to `first + count - 1`; random: state of the generator, 624 words and the position. */
typedef struct {
    int64_t first, count, policy;
    double weight;
    uint32_t *random;
} Group;

typedef struct {
    int64_t first_group, groups;
} Pool;

/* What the core asks of the caller: to fill a row of a table (mixed: of the lattice), to price a step beyond
 * the lattice, and to look up every 1000 requests. Zero means stop. */
typedef int (*FillRow)(int64_t table, int64_t mixed, int64_t row);
typedef int (*PriceStep)(int64_t table, const double *batch, double *seconds);
typedef int (*Progress)(int64_t request);

typedef struct {
    int64_t requests, concurrency, max_backlog, max_queue, scales;
    double cached_share, admission_s, sample_every_s;
    const int64_t *prompts, *outputs;
    double *arrivals;
    const int64_t *calls; /* the first request of each one's call; NULL where each comes alone */
    const int64_t *levels; /* where each one's priority ranks, 0 first; NULL where all wait alike */
    int64_t levels_count;
    double *start_s, *first_s, *end_s, *longest_gap_s;
    int64_t *preemptions, *replica, *cached;
    uint8_t *shed;
    int64_t tables_count, limits_count, links_count, members_count, groups_count, pools_count;
    Table *tables;
    Limits *limits;
    Link *links;
    Member *members;
    Group *groups;
    Pool *pools; /* the first one takes what arrives */
    FillRow fill_row;
    PriceStep price_step;
    Progress progress;
    /* found; the arrays are freed by planner_core_release */
    int64_t sent, samples_count, gaps_count;
    double area, clock_s;
    double *samples; /* rows of time, running, waiting, then the used blocks of each replica */
    int64_t *gaps;   /* tokens by bin of their gap */
} Service;

EXPORTED int planner_core_run(Service *service);
EXPORTED void planner_core_release(Service *service);
EXPORTED const char *planner_core_source(void);

/* ---- inside */

typedef struct {
    int64_t request, prompt, output, generated, pending, cached, blocks, kept, base, end_tick, order;
    int64_t preemptions, joined, serial, level;
    double fixed;
} Sequence;

typedef struct {
    int64_t end, join, serial;
    int32_t slot;
} End;

typedef struct {
    int64_t serial;
    int32_t slot;
} Admitted;

typedef struct {
    int64_t tokens;
    int32_t slot;
} Chunk;

typedef struct {
    int active;
    int64_t decode, context, steps, prefill, largest, prefill_sequences, sampled;
    double pairs;
    Chunk *chunks;
    int64_t chunks_count, chunks_room;
} Step;

/* A ring. */
typedef struct {
    int32_t *slots;
    int64_t first, count, room;
} Queue;

typedef struct Simulation Simulation;

typedef struct {
    Simulation *owner;
    const Limits *limits;
    Table *table;
    Member *member;
    int64_t number, scheduler;
    Queue *queues; /* of each level */
    int64_t waiting_count;
    int32_t *prefilling;
    int64_t prefilling_count, prefilling_room;
    End *ends;
    int64_t ends_count, ends_room;
    Admitted *admitted;
    int64_t admitted_count, admitted_room;
    int64_t *phases;
    int64_t decoding, in_flight, context, orders, joins, end_sum, decode_steps, tick;
    double used_blocks, ratio;
    /* its clock */
    Step step;
    double step_end_s, start_s, step_s, slope_s, last_decode_s, link_free_s;
    int64_t decodes, stalls_count, stalls_room;
    int64_t *stalls_at;
    double *stalls;
} Replica;

typedef struct {
    double at_s;
    int64_t number;
} StepEnd;

typedef struct {
    double at_s;
    int64_t tie, sender; /* sender: the prefill replica, -1 for a request on its way in */
    int32_t slot;
} Later;

struct Simulation {
    Service *service;
    Replica *replicas;
    Sequence *sequences;
    int32_t *free_slots;
    int64_t slots, free_count, free_room, serials;
    StepEnd *ends;
    int64_t ends_count, ends_room;
    Later *later;
    int64_t later_count, later_room, ties;
    int64_t *turns;
    double *served;
    int64_t *options; /* the numbers of the replicas that accept now */
    int64_t next, in_system, samples_room, gaps_room;
    double next_sample_s;
    int status;
    jmp_buf stop;
};

/* memory.c */
void *grown(Simulation *sim, void *values, int64_t *room, int64_t needed, int64_t size);
void *zeroed(Simulation *sim, int64_t count, int64_t size);
void stop(Simulation *sim, int status);
int32_t new_sequence(Simulation *sim, int64_t request, int64_t output, int64_t cached);
void free_sequence(Simulation *sim, int32_t slot);

/* step_table.c */
double decode_s(Simulation *sim, Table *table, int64_t batch, double context);
double step_seconds(Simulation *sim, Table *table, const Step *step);

/* queue.c */
int32_t queue_head(const Queue *queue);
int32_t waiting_head(const Replica *replica);
int32_t take_waiting(Replica *replica);
void submit_waiting(Replica *replica, int32_t slot);
void requeue_first(Replica *replica, int32_t slot);

/* replica.c */
int64_t blocks_for(const Limits *limits, int64_t tokens);
double sequence_bytes(const Limits *limits, int64_t tokens);
int can_ever_hold(const Limits *limits, const Sequence *sequence);
int64_t growth(const Replica *replica, int64_t steps);
int64_t steps_to_next_end(Replica *replica);
int64_t steps_within_pool(const Replica *replica, int64_t steps);
int tight(const Replica *replica);
int64_t look_up_prefix(const Replica *replica, const Sequence *sequence);
double admission_blocks(const Replica *replica, const Sequence *sequence, int64_t tokens);
void admit(Replica *replica, int64_t cached, int64_t tokens);
void hold(Replica *replica, Sequence *sequence, int64_t tokens);
int preempt_latest(Replica *replica, int requeue_last);
void commit(Replica *replica);
static inline int64_t running(const Replica *r) { return r->decoding + r->prefilling_count; }
static inline double free_blocks(const Replica *r) { return r->limits->pool_blocks - r->used_blocks; }

/* schedulers.c: sets replica->step; step.active is zero when nothing can run */
void compose(Replica *replica);

/* timed_replica.c */
void submit(Replica *replica, int32_t slot, double now_s);
int wake(Replica *replica, double now_s);
void finish_step(Replica *replica);
void on_first_token(Replica *replica, Sequence *sequence);
void on_resumed(Replica *replica, Sequence *sequence);
void on_finished(Replica *replica, int32_t slot);

/* routing.c: the chosen replica, NULL where none accepts */
Replica *choose(Simulation *sim, const Pool *pool, double now_s, const Replica *sender);

/* service.c: what a replica's last step leaves to the fleet */
void leave(Simulation *sim, double now_s);
void hand_over(Simulation *sim, Replica *sender, const Sequence *sequence, double now_s);

#endif
