# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""The default pairing: the hottest pages of the slow node against the coldest of the fast one."""

from libc.errno cimport ENOMEM
from libc.math cimport INFINITY, nextafterf
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from pagexchange_native.tier.best cimport best_of, best_room, best_search, block_of, value_of
from pagexchange_native.tier.format cimport pgx_block_order, pgx_tier
from pagexchange_native.tier.pairing cimport Pairing

cdef enum:
    ORDERS = 16

cdef struct hint:  # where a search begins. It says how long one takes, and nothing else
    double last     # heat of the last block that the last search took, in accesses; 0.0 it took fewer than k
    double margin   # how far from there the next one begins, as a share of it


cdef struct chosen:
    uint64_t batch
    double hysteresis
    uint32_t rest
    hint hot
    hint cold


cdef uint64_t search(const pgx_tier *t, best_search *s, hint *h, float most, uint64_t *items) noexcept nogil:
    """The best k beyond `most`. Begins near where the last search has ended, and goes farther until it finds k."""
    cdef uint64_t n = 0
    cdef float bound
    cdef double margin = h.margin
    cdef int turn
    for turn in range(3):
        bound = <float>(h.last * t.weight * (1.0 - margin if s.hottest else 1.0 + margin))
        if turn == 2 or not (bound > most if s.hottest else 0.0 < bound < most):
            bound = most
        n = best_of(t, s, bound, items)
        if n == s.k or bound == most:
            break
        margin = min(4.0 * margin, 0.9)
        h.margin = min(1.3 * h.margin, 0.5)
    if s.found > s.k + s.k // 2:
        h.margin = max(0.8 * h.margin, 0.01)
    h.last = value_of(items[n - 1], s.hottest) / t.weight if n == s.k else 0.0
    return n


cdef int64_t pair(void *ctx, const pgx_tier *t, int64_t *pairs) noexcept nogil:
    cdef chosen *c = <chosen *>ctx
    cdef best_search hottest, coldest
    cdef uint64_t k = min(c.batch, t.limit)
    cdef uint64_t i, nhot, ncold, block
    cdef int64_t n = 0
    cdef uint64_t[ORDERS] following  # place of the next cold block of each order
    cdef int order
    cdef double cold
    cdef float most
    cdef uint64_t *colds = <uint64_t *>malloc(2 * best_room(k) * sizeof(uint64_t))
    cdef uint64_t *hots = colds + best_room(k)
    if colds == NULL:
        return -ENOMEM
    coldest.first, coldest.n, coldest.bounds, coldest.hottest = t.fast, t.nfast, t.fast_bounds, False
    hottest.first, hottest.n, hottest.bounds, hottest.hottest = t.slow, t.nslow, t.slow_bounds, True
    coldest.k = hottest.k = k
    coldest.rest = hottest.rest = c.rest
    ncold = search(t, &coldest, &c.cold, INFINITY, colds)
    if ncold:
        # Who is not hotter than this has no partner. Rounded down: the pairs themselves are compared in doubles.
        most = nextafterf(<float>(c.hysteresis * value_of(colds[0], False)), -1.0)
        nhot = search(t, &hottest, &c.hot, most if most > 0.0 else 0.0, hots)
        for i in range(ORDERS):
            following[i] = 0
        for i in range(nhot):
            block = block_of(hots[i])
            order = pgx_block_order(&t.blocks[block])
            while following[order] < ncold and pgx_block_order(&t.blocks[block_of(colds[following[order]])]) != order:
                following[order] += 1
            if following[order] == ncold:
                continue
            cold = value_of(colds[following[order]], False)
            if not value_of(hots[i], True) > c.hysteresis * cold:
                continue
            pairs[2 * n] = block
            pairs[2 * n + 1] = block_of(colds[following[order]])
            following[order] += 1
            n += 1
    free(colds)
    return n


cdef class HottestColdest(Pairing):
    """Pairs the hottest pages of the slow node with the coldest of the fast one, while these are so much hotter.

    Both lists are made of pages that may move and are not at rest, `batch` of each at most; of equally hot pages the one
    in the lower frame comes first. Each hot page, the hottest first, gets the coldest page of its own order that is left.

    Parameters
    ----------
    batch : int
        Pairs of a step, at most.
    hysteresis : float
        How many times hotter than its partner a page must be.
    rest : int
        Steps that a page stays where it came to, or was refused to leave.
    """

    cdef chosen chosen

    def __init__(self, uint64_t batch, double hysteresis, uint32_t rest):
        self.chosen.batch = batch
        self.chosen.hysteresis = hysteresis
        self.chosen.rest = rest
        self.chosen.hot.last = self.chosen.cold.last = 0.0
        self.chosen.hot.margin = self.chosen.cold.margin = 0.1
        self.name = "hottest-coldest"
        self.ops.ctx = &self.chosen
        self.ops.most = batch
        self.ops.pair = pair

    cpdef dict describe(self):
        """Return what it was told."""
        return {
            "batch": f"{self.chosen.batch} pairs",
            "hysteresis": f"{self.chosen.hysteresis:g} times hotter",
            "rest": f"{self.chosen.rest} steps",
        }
