/* What a native plug-in object gives the engine: one table of functions per question. Called without the GIL, for a
 * whole batch; none may block, run Python or touch what it was not handed. */
#ifndef PAGEXCHANGE_PLUGIN_H
#define PAGEXCHANGE_PLUGIN_H

#include "arena.h"

/* ---- flags: a pure function on flag words ------------------------------------------------------------------------
 * a[i] is the word of the lower frame of pair i, b[i] of the higher one. new_a[i] is what the LOWER FRAME is to have
 * afterwards, new_b[i] the higher one. Returns 0 or -errno for the whole batch. */
typedef int (*pgx_flags_fn)(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b, size_t n);

typedef struct pgx_flags_ops {
    uint32_t abi, size; /* PGX_ABI, sizeof(pgx_flags_ops) */
    void *ctx;
    pgx_flags_fn exchange;
} pgx_flags_ops;

/* ---- mapping: finds the XArray word that points at a page ---------------------------------------------------------- */
typedef struct pgx_find {
    uint64_t mapping; /* mapping number (not the tagged word) */
    uint64_t index;   /* in base pages */
    uint32_t pfn;     /* the frame that the word should point at */
    int32_t status;   /* out: 0, or -errno (-EAGAIN: not found there) */
    uint64_t slot;    /* out: byte offset of the word in the arena */
    uint64_t found;   /* out: the entry read there */
} pgx_find;

/* Fills status, slot and found of n pages. The caller holds the mapping's slots in place. */
typedef void (*pgx_find_fn)(void *ctx, pgx_region *region, pgx_find *pages, size_t n);

typedef struct pgx_mapping_ops {
    uint32_t abi, size;
    void *ctx;
    pgx_find_fn find;
} pgx_mapping_ops;

/* ---- data: moves bytes between two frames, between two publishes of the log ------------------------------------------ */
typedef struct pgx_move {
    uint8_t *a, *b;  /* the two folios */
    uint8_t *temp;   /* PGX_LOG_TEMP: the third one */
    uint64_t bytes;  /* of one folio, or of a range of one: a multiple of PGX_PAGE_MIN */
    uint32_t pair;   /* its number in the record: part of the published step */
    uint32_t pad;
} pgx_move;

typedef struct pgx_log { /* where a data step is published and saved */
    uint64_t *state; /* the slot's publish word */
    uint8_t *chunk;  /* 2 * PGX_CHUNK bytes */
    uint32_t phase;  /* PGX_DATA or PGX_HELP */
    uint32_t slot;
    pgx_region *region;
} pgx_log;

static inline void pgx_log_step(const pgx_log *log, uint32_t pair, uint64_t step) {
    pgx_publish(log->state, ((((uint64_t)pair << 40) | step) << 8) | log->phase);
}

/* Before the point of no return, per pair: may take a frame (pair->temp). 0, or -errno that refuses the pair. */
typedef int (*pgx_prepare_fn)(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair);
/* After the pair is done or dropped: gives back what prepare took. */
typedef void (*pgx_release_fn)(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair);
/* Exchanges n folio pairs: in the order of `moves`, which is ascending by `pair`, one after the other. The published step
 * says of the pairs before it that they are done, and of those behind it that they are untouched; a mover that goes
 * backwards, or works on two pairs in turn, leaves pages torn when its process dies. May not fail. */
typedef void (*pgx_move_fn)(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log);

/* The table of a data mover, and of a data copier. A copier's `move` copies each `a`, a page, to `b`, a frame that nobody
 * else has, and does nothing else: it leaves `a` as it is, and publishes step 0 of a pair before it begins that pair, and
 * no other. Who finishes for a dead one exchanges the two from the beginning, which comes to the same, as nobody wants
 * the bytes that were in `b`. Its kind is PGX_LOG_UNDO, and it has no `release`: what `prepare` says is yes or no. */
typedef struct pgx_mover_ops {
    uint32_t abi, size;
    uint32_t kind;    /* enum pgx_log_kind: the core log format that it works under */
    uint32_t threads; /* how many threads may share a list, or one large folio; 1 none */
    void *ctx;
    pgx_prepare_fn prepare; /* NULL: nothing to prepare */
    pgx_release_fn release; /* NULL: nothing to give back */
    pgx_move_fn move;
} pgx_mover_ops;

#endif
