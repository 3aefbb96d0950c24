"""The k hottest or coldest blocks of a node that may move: bounds of groups are compared first, blocks where they pass."""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy, memset

from pagexchange_native.tier.format cimport (
    PGX_TIER_GROUP, PGX_TIER_STRIDE, pgx_block, pgx_block_order, pgx_block_stayed, pgx_group_beyond, pgx_tier,
    pgx_tier_beyond, pgx_tier_fetch, pgx_tier_first,
)

cdef enum:
    DIGIT = 256
    AHEAD = 64  # groups that are fetched before the first of them is looked at


cdef union bits:
    float value
    uint32_t word


cdef struct best_search:
    float *bounds       # of the node's groups
    uint64_t first      # blocks of the node
    uint64_t n
    uint64_t k          # that are wanted
    uint64_t found      # out: blocks that were beyond the bound when they were looked at
    uint32_t rest       # steps that a block stays where it came to
    bint hottest        # else the coldest


cdef struct best_list:
    uint64_t *items     # 2 * k, and as many to sort them
    uint64_t n
    float bound


cdef inline uint64_t best_room(uint64_t k) noexcept nogil:
    """Items of the memory that `best_of` needs."""
    return 4 * k


cdef inline uint64_t item_of(float value, uint64_t block, bint hottest) noexcept nogil:
    """A block with its heat as one number, the better the lower: heat is never negative, so its bits are in its order."""
    cdef bits b
    b.value = value
    return <uint64_t>(~b.word if hottest else b.word) << 32 | block


cdef inline uint64_t block_of(uint64_t item) noexcept nogil:
    return item & 0xffffffffu


cdef inline float value_of(uint64_t item, bint hottest) noexcept nogil:
    cdef bits b
    b.word = <uint32_t>(item >> 32)
    if hottest:
        b.word = ~b.word
    return b.value


cdef inline void sort_items(uint64_t *items, uint64_t *spare, uint64_t n) noexcept nogil:
    """Sorts by heat; blocks of equal heat stay in their order, and that is ascending: they come in it."""
    cdef uint32_t[4 * DIGIT] counts
    cdef uint32_t *count
    cdef uint32_t at, next_at, digit
    cdef uint64_t i
    cdef int d
    cdef uint64_t *source = items
    cdef uint64_t *target = spare
    memset(counts, 0, sizeof(counts))
    for i in range(n):
        for d in range(4):
            counts[d * DIGIT + ((items[i] >> (32 + 8 * d)) & 0xff)] += 1
    for d in range(4):
        count = &counts[d * DIGIT]
        if n and count[(items[0] >> (32 + 8 * d)) & 0xff] == n:
            continue  # all have this digit
        at = 0
        for digit in range(DIGIT):
            next_at = at + count[digit]
            count[digit] = at
            at = next_at
        for i in range(n):
            digit = (source[i] >> (32 + 8 * d)) & 0xff
            target[count[digit]] = source[i]
            count[digit] += 1
        source, target = target, source
    if source != items:
        memcpy(items, source, n * sizeof(uint64_t))


cdef inline void keep_best(best_search *s, best_list *l) noexcept nogil:
    sort_items(l.items, l.items + 2 * s.k, l.n)
    if l.n >= s.k:
        l.n = s.k
        l.bound = value_of(l.items[l.n - 1], s.hottest)


cdef inline void look_at(const pgx_tier *t, best_search *s, uint64_t group, best_list *l) noexcept nogil:
    """Adds the group's blocks that are beyond the list's bound, and tightens the group's."""
    cdef uint64_t at = s.first + group * PGX_TIER_GROUP
    cdef uint64_t place
    cdef const pgx_block *b
    cdef pgx_block[PGX_TIER_GROUP] padded  # of the node's last group, with blocks that are never beyond a bound
    cdef const pgx_block *blocks = &t.blocks[at]
    cdef uint32_t passing
    if at + PGX_TIER_GROUP > s.first + s.n:
        for place in range(PGX_TIER_GROUP):
            padded[place].heat = 0.0 if s.hottest else INFINITY
            if at + place < s.first + s.n:
                padded[place] = t.blocks[at + place]
        blocks = padded
    passing = pgx_group_beyond(blocks, l.bound, s.hottest, &s.bounds[group])
    while passing:
        place = pgx_tier_first(passing)
        passing &= passing - 1
        b = &blocks[place]
        if pgx_block_stayed(t, b) > s.rest and pgx_block_order(b) >= 0:
            # Beyond the bound as it was before this group: what should not have been added is the first to be left out.
            l.items[l.n] = item_of(b.heat, at + place, s.hottest)
            l.n += 1
            s.found += 1
            if l.n == 2 * s.k:
                keep_best(s, l)


cdef inline uint64_t best_of(const pgx_tier *t, best_search *s, float bound, uint64_t *items) noexcept nogil:
    """Writes the best blocks beyond a bound, best first, at most k; returns how many. `items` has `best_room(k)`.

    Of blocks of equal heat the lower ones are better. Left out are blocks at rest, and those where no page starts.
    """
    cdef uint64_t[AHEAD + PGX_TIER_STRIDE] waiting
    cdef uint64_t group, i, n = 0
    cdef uint64_t groups = (s.n + PGX_TIER_GROUP - 1) // PGX_TIER_GROUP
    cdef uint32_t passing
    cdef best_list l
    l.items, l.n, l.bound = items, 0, bound
    s.found = 0
    group = 0
    while group < groups:
        passing = pgx_tier_beyond(s.bounds + group, l.bound, s.hottest)
        while passing:
            waiting[n] = group + pgx_tier_first(passing)
            pgx_tier_fetch(&t.blocks[s.first + waiting[n] * PGX_TIER_GROUP])
            passing &= passing - 1
            n += 1
        group += PGX_TIER_STRIDE
        if n >= AHEAD or group >= groups:
            for i in range(n):
                look_at(t, s, waiting[i], &l)
            n = 0
            if not s.hottest and l.bound == 0.0:
                break  # none is colder
    keep_best(s, &l)
    return l.n
