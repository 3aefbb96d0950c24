/* What a native pairing is shown of a tier, and the table of functions that it gives. Called without the GIL; it may not
 * block, run Python, or change what it is shown. */
#ifndef PAGEXCHANGE_TIER_H
#define PAGEXCHANGE_TIER_H

#include "arena.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A block is what a tier moves as a whole: block i is the frames i * run to i * run + run - 1. What is known of one lies
 * together, since each use of it is a line of cache. */
typedef struct pgx_block {
    float heat;     /* divided by the tier's `weight` it is in accesses of this step; never negative */
    uint32_t state; /* PGX_TIER_: since which step what lies there does, its order, and whether it was refused to go */
} pgx_block;

#define PGX_TIER_STEP 0x03ffffffu /* step in which it came or was refused; 0 neither */
#define PGX_TIER_TAKEN 0x04000000u /* the pairs of this step have it */
#define PGX_TIER_ORDER_SHIFT 27   /* order + 1 of the folio that starts there; 0 none that could move */
#define PGX_TIER_ORDER 0x78000000u
#define PGX_TIER_REFUSED 0x80000000u

#define PGX_TIER_GROUP 8 /* blocks of a group: a line of cache, where a node starts at a multiple of it */
#define PGX_TIER_STRIDE 16 /* groups that are compared at once: each node's bounds are padded to a multiple of it */

typedef struct pgx_tier {
    const pgx_block *blocks;
    /* By group of the node's blocks. None of a slow group is hotter than its bound, none of a fast one is colder. They
     * need not be reached: who has looked at a group may tighten its bound, and that is all that may be written. */
    float *fast_bounds, *slow_bounds;
    double weight;
    double seconds;       /* since the step before, 0.0 in the first */
    double ns_per_pair;   /* that a pair has taken so far, 0.0 unknown */
    uint64_t run;
    uint64_t fast, nfast; /* first block of the fast node, and how many */
    uint64_t slow, nslow;
    uint64_t free_fast;   /* frames of the fast node that are free */
    uint64_t limit;       /* pairs at most */
    uint64_t block_bytes; /* of a block of order 0 */
    uint32_t step;        /* from 1 on */
    uint32_t pad;
} pgx_tier;

/* Order of the folio that lies in a block, or -1 where no page starts that could move. */
static inline int pgx_block_order(const pgx_block *b) {
    return (int)((b->state & PGX_TIER_ORDER) >> PGX_TIER_ORDER_SHIFT) - 1;
}

/* Steps since what lies in a block came there, or was refused; UINT32_MAX: neither. */
static inline uint32_t pgx_block_stayed(const pgx_tier *t, const pgx_block *b) {
    uint32_t step = b->state & PGX_TIER_STEP;
    return step ? t->step - step : UINT32_MAX;
}

/* Which of PGX_TIER_STRIDE values are above a bound, or below it: a bit for each. */
static inline uint32_t pgx_tier_beyond(const float *values, float bound, int above) {
#if defined(__SSE2__)
    __m128 b = _mm_set1_ps(bound);
    __m128i m[4];
    for (int i = 0; i < 4; i++) {
        __m128 v = _mm_loadu_ps(values + 4 * i);
        m[i] = _mm_castps_si128(above ? _mm_cmpgt_ps(v, b) : _mm_cmplt_ps(v, b));
    }
    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm_packs_epi32(m[0], m[1]), _mm_packs_epi32(m[2], m[3])));
#else
    uint32_t found = 0;
    for (int i = 0; i < PGX_TIER_STRIDE; i++)
        found |= (uint32_t)(above ? values[i] > bound : values[i] < bound) << i;
    return found;
#endif
}

/* Which blocks of a whole group are hotter than a bound, or colder: a bit for each; and the hottest, or coldest, heat. */
static inline uint32_t pgx_group_beyond(const pgx_block *group, float bound, int above, float *tight) {
#if defined(__SSE2__)
    const float *at = (const float *)group;
    __m128 b = _mm_set1_ps(bound);
    __m128 x = _mm_shuffle_ps(_mm_loadu_ps(at), _mm_loadu_ps(at + 4), _MM_SHUFFLE(2, 0, 2, 0));
    __m128 y = _mm_shuffle_ps(_mm_loadu_ps(at + 8), _mm_loadu_ps(at + 12), _MM_SHUFFLE(2, 0, 2, 0));
    __m128 t = above ? _mm_max_ps(x, y) : _mm_min_ps(x, y);
    __m128 u = _mm_movehl_ps(t, t);
    t = above ? _mm_max_ps(t, u) : _mm_min_ps(t, u);
    u = _mm_shuffle_ps(t, t, 1);
    *tight = _mm_cvtss_f32(above ? _mm_max_ss(t, u) : _mm_min_ss(t, u));
    x = above ? _mm_cmpgt_ps(x, b) : _mm_cmplt_ps(x, b);
    y = above ? _mm_cmpgt_ps(y, b) : _mm_cmplt_ps(y, b);
    return (uint32_t)(_mm_movemask_ps(x) | _mm_movemask_ps(y) << 4);
#else
    uint32_t found = 0;
    *tight = group[0].heat;
    for (int i = 0; i < PGX_TIER_GROUP; i++) {
        float heat = group[i].heat;
        if (above ? heat > *tight : heat < *tight)
            *tight = heat;
        found |= (uint32_t)(above ? heat > bound : heat < bound) << i;
    }
    return found;
#endif
}

/* Number of the lowest bit that is set, of those from pgx_tier_beyond; there is one. */
static inline uint32_t pgx_tier_first(uint32_t bits) { return (uint32_t)__builtin_ctz(bits); }

/* Towards L1, for both sides of an exchange are many lines apart. */
static inline void pgx_tier_fetch(const void *p) { __builtin_prefetch(p, 1, 3); }

/* Writes (block of the slow node, block of the fast node) to `pairs`, best first, no block twice. Returns how many: at
 * most the smaller of `tier->limit` and `most` of its table; or -errno. */
typedef int64_t (*pgx_pair_fn)(void *ctx, const pgx_tier *tier, int64_t *pairs);

typedef struct pgx_pairing_ops {
    uint32_t abi, size; /* PGX_ABI, sizeof(pgx_pairing_ops) */
    void *ctx;
    uint64_t most; /* pairs of a step */
    pgx_pair_fn pair;
} pgx_pairing_ops;

#endif
