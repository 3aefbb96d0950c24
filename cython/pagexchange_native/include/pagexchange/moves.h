/* The loops that move bytes: exchange under the undo log per instruction set, the temporary page, and bare loops
 * without a log for comparison. `moves.c` has those per instruction set, reached through the table that `pgx_isa_find`
 * returns; the others are inline, so that each module that calls them has its own copy and no call leaves it. */
#ifndef PAGEXCHANGE_MOVES_H
#define PAGEXCHANGE_MOVES_H

#include <string.h>

#include "plugin.h"

/* A folio's share for one thread is a multiple of TWO chunks: the next range's first chunk then uses log half 0, which
 * the state word does not call open, so that no further publish is needed between two ranges of one worker. */
#define PGX_SHARE (2u * PGX_CHUNK)

/* A later pair, of which the first PGX_FETCHED bytes are fetched while as many, the last ones, of this one move. NULL
 * pointers: none. The hardware follows from there; inside a folio a hint costs more than it brings. */
typedef struct pgx_ahead {
    const uint8_t *a, *b;
} pgx_ahead;
#define PGX_FETCHED 4096u

/* How many pairs further on that one is: two for pages, which are moved before the next one has come from DRAM. */
static inline size_t pgx_pairs_ahead(uint64_t bytes) { return bytes > PGX_FETCHED ? 1 : 2; }

/* `pair`, or nothing where it lies right behind the pair before it on both sides: the hardware is ahead already. */
static inline pgx_ahead pgx_unless_neighbour(pgx_ahead pair, pgx_ahead before, uint64_t bytes) {
    const pgx_ahead none = {NULL, NULL};
    return pair.a == before.a + bytes && pair.b == before.b + bytes ? none : pair;
}

/* A clock for comparisons within one thread: cheap, and of no unit. 0 where there is none. */
static inline uint64_t pgx_ticks(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

/* Exchanges `bytes` (a multiple of PGX_SHARE) of a and b, from step `step` on.
 * Chunk k: log[k & 1] = A; publish 2k + 1; A = B; publish 2k + 2; B = log[k & 1]. Where both chunks fit into registers
 * they are loaded before the first of these stores: what cannot be read is then met at step 2k, in A as in B.
 * A step of 0 begins; any other step is what the state word said when its owner died: the open chunk is redone first. */
typedef void (*pgx_undo_fn)(uint8_t *a, uint8_t *b, uint64_t bytes, uint64_t step, const pgx_log *log, uint32_t pair,
                            const pgx_ahead *ahead);
/* The same without a log: for benchmarks only. */
typedef void (*pgx_bare_fn)(uint8_t *a, uint8_t *b, uint64_t bytes, const pgx_ahead *ahead);
/* Reads both and returns a value that depends on every byte: the limit. */
typedef uint64_t (*pgx_read_fn)(const uint8_t *a, const uint8_t *b, uint64_t bytes, const pgx_ahead *ahead);
/* Two pairs without a frame in common, chunk by chunk in turn, no log: for benchmarks only. ahead: NULL, or what comes
 * after each of them. */
typedef void (*pgx_two_fn)(uint8_t *const a[2], uint8_t *const b[2], uint64_t bytes, const pgx_ahead ahead[2]);

/* Copies `bytes` (a multiple of PGX_CHUNK) from a to b, and publishes nothing. */
typedef void (*pgx_copy_fn)(const uint8_t *a, uint8_t *b, uint64_t bytes, const pgx_ahead *ahead);

typedef struct pgx_isa {
    const char *name;
    uint32_t width; /* bytes of one register */
    int (*supported)(void);
    pgx_undo_fn undo;
    pgx_bare_fn bare;
    pgx_read_fn read;
    pgx_two_fn two;
    pgx_copy_fn copy;
    pgx_copy_fn stream; /* the same past the caches, all of it stored when it returns; NULL: the CPU has no such stores */
} pgx_isa;

/* Those compiled in, the widest first; the list ends with a NULL name. */
extern const pgx_isa pgx_isas[];
/* By name, "auto" for the widest that this CPU has. NULL: unknown, or not supported here (*known tells which). */
const pgx_isa *pgx_isa_find(const char *name, int *known);

/* Copies a page by the library's memcpy, which picks the best loop for this CPU. Through a pointer that the compiler
 * cannot see through: else it might put a `rep movs` here. */
static void *(*const volatile pgx_library_copy)(void *, const void *, size_t) = memcpy;

static inline void pgx_copy_page(uint8_t *to, const uint8_t *from, uint64_t bytes) {
    pgx_library_copy(to, from, bytes);
}

/* T = A; publish 1; A = B; publish 2; B = T. Step 0 is published before T is written, because T may be the one that the
 * pair before it still calls open. From step `step` on, as above. */
static inline void pgx_temp_exchange(uint8_t *a, uint8_t *b, uint8_t *temp, uint64_t bytes, uint64_t step,
                                     const pgx_log *log, uint32_t pair) {
    if (step == 0) {
        pgx_log_step(log, pair, 0);
        pgx_copy_page(temp, a, bytes);
        pgx_log_step(log, pair, 1);
    }
    if (step <= 1) {
        pgx_copy_page(a, b, bytes);
        pgx_log_step(log, pair, 2);
    }
    pgx_copy_page(b, temp, bytes);
}

/* Finishes one move that was left at `step`, under log format `kind`. 0; -EINVAL for a kind that is not redone chunk by
 * chunk; -EUCLEAN for a step that the move does not have (then nothing is touched). */
int pgx_move_resume(const pgx_isa *isa, uint32_t kind, const pgx_move *move, const pgx_log *log, uint64_t step);

/* ---- loops of the 2019 thread, without a log: for `bench`; the scalar loops of moves.c move words in the same way */

static inline uint64_t pgx_load_word(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    __asm__ volatile("" : "+r"(x)); /* one general register: not to be vectorised */
    return x;
}
static inline void pgx_store_word(uint8_t *p, uint64_t x) { memcpy(p, &x, 8); }

/* 8 bytes at a time, and the compiler may not make more of it. */
static inline void pgx_rfc_swap(uint8_t *a, uint8_t *b, uint64_t bytes) {
    for (uint64_t i = 0; i < bytes; i += 8) {
        uint64_t tmp = pgx_load_word(a + i);
        pgx_store_word(a + i, pgx_load_word(b + i));
        pgx_store_word(b + i, tmp);
    }
}

/* What the compiler makes of it: `__restrict__` counts only as long as this is a function of its own. */
__attribute__((noinline, unused)) static void pgx_auto_swap(uint8_t *__restrict__ a, uint8_t *__restrict__ b,
                                                            uint64_t bytes) {
    for (uint64_t i = 0; i < bytes / 8; i++) {
        uint64_t x, y;
        memcpy(&x, a + i * 8, 8);
        memcpy(&y, b + i * 8, 8);
        memcpy(a + i * 8, &y, 8);
        memcpy(b + i * 8, &x, 8);
    }
}

/* First byte of share k of `shares`: k = 0 is 0, k = shares is `bytes`. Sizes differ by at most one PGX_SHARE, and
 * nothing is lost for any size: what does not fill a PGX_SHARE goes to the last one. */
static inline uint64_t pgx_share_begin(uint64_t bytes, uint32_t k, uint32_t shares) {
    uint64_t n = bytes / PGX_SHARE;
    if (k >= shares)
        return bytes;
    return (n / shares * k + n % shares * k / shares) * PGX_SHARE;
}

#endif
