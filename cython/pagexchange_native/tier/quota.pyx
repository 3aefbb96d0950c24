# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""A pairing with a budget for each second: pages by priority, cut where the budget ends, as quotas of DAMOS are."""

from libc.math cimport INFINITY, floor
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.tier.format cimport pgx_block, pgx_block_order, pgx_block_stayed, pgx_tier
from pagexchange_native.tier.pairing cimport Pairing

cdef enum:
    SCORES = 100   # 0 to DAMOS_MAX_SCORE
    SUBSCORE = 100  # DAMON_MAX_SUBSCORE
    LOGS = 32       # DAMON_MAX_AGE_IN_LOG

cdef struct budget:
    uint64_t batch
    double bytes_per_second  # 0 no such limit
    double ns_per_second
    double hot               # accesses from which on a page is hot
    double by_heat, by_age   # weights of the two parts of a score

cdef struct moment:  # what scores of one step have in common
    const pgx_tier *tier
    const budget *budget
    float hot                # heat of a hot page
    float most               # heat of the hottest


cdef uint64_t allowed(const budget *b, const pgx_tier *t) noexcept nogil:
    """Pairs of this step. What a step's share is short of a whole pair the later ones have, by their numbers."""
    cdef double share = INFINITY
    if b.bytes_per_second > 0.0:
        share = b.bytes_per_second * t.seconds / (2.0 * t.block_bytes)
    if b.ns_per_second > 0.0 and t.ns_per_pair > 0.0:
        share = min(share, b.ns_per_second * t.seconds / t.ns_per_pair)
    if share >= b.batch:
        return b.batch
    return <uint64_t>(floor(share * t.step) - floor(share * (t.step - 1)))


cdef int hot_score(const moment *m, const pgx_block *block) noexcept nogil:
    """Priority of a page as hot, 0 to 99: `damon_hot_score` of mm/damon/ops-common.c, with steps for seconds."""
    cdef int heat = <int>(SUBSCORE * (block.heat / m.most)) if m.most > 0 else 0
    cdef uint32_t steps = min(pgx_block_stayed(m.tier, block), m.tier.step)
    cdef int age = 0
    while age < LOGS and steps:
        age += 1
        steps >>= 1
    age = (LOGS + (age if heat else -age)) * SUBSCORE // LOGS // 2
    return <int>((m.budget.by_heat * heat + m.budget.by_age * age) / (m.budget.by_heat + m.budget.by_age)
                 * (SCORES - 1) / SUBSCORE)


cdef inline int score(const moment *m, uint64_t block, bint fast) noexcept nogil:
    """Priority of a block to leave its node; -1: it stays."""
    cdef const pgx_block *b = &m.tier.blocks[block]
    if pgx_block_order(b) < 0 or (b.heat >= m.hot) == fast:
        return -1
    return SCORES - 1 - hot_score(m, b) if fast else hot_score(m, b)


cdef int cut(const moment *m, uint64_t first, uint64_t n, bint fast, uint64_t wanted) noexcept nogil:
    """The lowest score that is taken: that at which those from the top on are as many as are wanted."""
    cdef uint64_t[SCORES] histogram
    cdef uint64_t block, sum = 0
    cdef int s
    memset(histogram, 0, sizeof(histogram))
    for block in range(first, first + n):
        s = score(m, block, fast)
        if s >= 0:
            histogram[s] += 1
    for s in range(SCORES - 1, 0, -1):
        sum += histogram[s]
        if sum >= wanted:
            return s
    return 0


cdef int64_t take(const moment *m, uint64_t first, uint64_t n, bint fast, uint64_t wanted, int64_t *column) noexcept nogil:
    """Writes blocks from the cut on to every second place, those beyond its score before those at it; how many."""
    cdef int lowest = cut(m, first, n, fast, wanted)
    cdef uint64_t block, taken = 0
    cdef int s, turn
    for turn in range(2):
        for block in range(first, first + n):
            if taken == wanted:
                return taken
            s = score(m, block, fast)
            if (s == lowest) if turn else (s > lowest):
                column[2 * taken] = block
                taken += 1
    return taken


cdef int64_t pair(void *ctx, const pgx_tier *t, int64_t *pairs) noexcept nogil:
    cdef moment m
    cdef uint64_t wanted, block
    cdef int64_t found, i, n = 0
    m.tier, m.budget, m.most = t, <const budget *>ctx, 0.0
    m.hot = <float>(m.budget.hot * t.weight)
    wanted = min(allowed(m.budget, t), t.limit)
    if not wanted:
        return 0
    for block in range(t.fast, t.fast + t.nfast):
        m.most = max(m.most, t.blocks[block].heat)
    for block in range(t.slow, t.slow + t.nslow):
        m.most = max(m.most, t.blocks[block].heat)
    found = take(&m, t.slow, t.nslow, False, wanted, pairs)
    found = take(&m, t.fast, t.nfast, True, found, pairs + 1)
    for i in range(found):
        if pgx_block_order(&t.blocks[pairs[2 * i]]) == pgx_block_order(&t.blocks[pairs[2 * i + 1]]):
            pairs[2 * n], pairs[2 * n + 1] = pairs[2 * i], pairs[2 * i + 1]
            n += 1
    return n


cdef class Quota(Pairing):
    """Pairs as many pages in a second as a budget allows, the hot ones of the slow node with those of the fast one that are not.

    Scores are those of DAMON (Linux, mm/damon/ops-common.c, `damon_hot_score` and `damon_cold_score`), cut by their
    histogram where the budget ends (mm/damon/core.c, `damos_adjust_quota`). Other than there a page is a block and no
    region, and its age the steps since it came to its frame. Pairs whose orders differ are left out.

    Parameters
    ----------
    batch : int
        Pairs of a step, at most.
    bytes_per_second, ms_per_second : float
        The budget: bytes that move, milliseconds that moving takes. 0: none; with neither, `batch` alone.
    hot : float
        Accesses, older ones counted for less, from which on a page is hot.
    by_heat, by_age : float
        Weights of the two parts of a score.
    """

    cdef budget budget

    def __init__(self, uint64_t batch, double bytes_per_second, double ms_per_second, double hot, double by_heat,
                 double by_age):
        if not by_heat + by_age > 0.0:
            raise ValueError("by_heat and by_age are both 0; one of them must count")
        self.budget.batch = batch
        self.budget.bytes_per_second = bytes_per_second
        self.budget.ns_per_second = ms_per_second * 1e6
        self.budget.hot = hot
        self.budget.by_heat, self.budget.by_age = by_heat, by_age
        self.name = "quota"
        self.ops.ctx = &self.budget
        self.ops.most = batch
        self.ops.pair = pair

    cpdef dict describe(self):
        """Return the budget."""
        limits = []
        if self.budget.bytes_per_second > 0.0:
            limits.append(f"{self.budget.bytes_per_second:,.0f} bytes")
        if self.budget.ns_per_second > 0.0:
            limits.append(f"{self.budget.ns_per_second / 1e6:g} ms")
        return {
            "budget of a second": " and ".join(limits) or "none",
            "batch": f"{self.budget.batch} pairs",
            "hot": f"from {self.budget.hot:g} accesses on",
        }
