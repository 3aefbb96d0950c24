"""What a tier shows a native pairing, and the table that the pairing gives, as Cython sees them: `tier.h`."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef extern from "pagexchange/tier.h" nogil:
    enum:
        PGX_TIER_ORDER_SHIFT
        PGX_TIER_GROUP
        PGX_TIER_STRIDE
    const uint32_t PGX_TIER_STEP
    const uint32_t PGX_TIER_ORDER
    const uint32_t PGX_TIER_TAKEN
    const uint32_t PGX_TIER_REFUSED

    ctypedef struct pgx_block:
        float heat
        uint32_t state

    ctypedef struct pgx_tier:
        const pgx_block *blocks
        float *fast_bounds
        float *slow_bounds
        double weight
        double seconds
        double ns_per_pair
        uint64_t run
        uint64_t fast
        uint64_t nfast
        uint64_t slow
        uint64_t nslow
        uint64_t free_fast
        uint64_t limit
        uint64_t block_bytes
        uint32_t step

    int pgx_block_order(const pgx_block *block)
    uint32_t pgx_block_stayed(const pgx_tier *tier, const pgx_block *block)
    uint32_t pgx_tier_beyond(const float *values, float bound, bint above)
    uint32_t pgx_group_beyond(const pgx_block *group, float bound, bint above, float *tight)
    uint32_t pgx_tier_first(uint32_t bits)
    void pgx_tier_fetch(const void *p)

    ctypedef int64_t (*pgx_pair_fn)(void *ctx, const pgx_tier *tier, int64_t *pairs) noexcept nogil
    ctypedef struct pgx_pairing_ops:
        uint32_t abi
        uint32_t size
        void *ctx
        uint64_t most
        pgx_pair_fn pair
