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
    double bound    # of the last one, in accesses
    double factor   # by which the next one begins beyond it


cdef struct chosen:
    uint64_t batch
    double hysteresis
    uint32_t rest
    hint hot
    hint cold


cdef void learn(hint *h, const pgx_tier *t, const best_search *s, uint64_t n, const uint64_t *items, bint missed) noexcept nogil:
    """Keeps the bound of this step, and how far beyond it the next one begins: so that a little more than k are found."""
    cdef double step = 1.05
    if missed:
        step = 0.8  # too near
    elif s.found <= s.k + s.k // 2:
        step = 1.0
    h.factor = h.factor * step if s.hottest else h.factor / step
    h.factor = min(max(h.factor, 0.05), 0.98) if s.hottest else min(max(h.factor, 1.02), 20.0)
    h.bound = value_of(items[n - 1], s.hottest) / t.weight if n == s.k else 0.0


cdef uint64_t search(const pgx_tier *t, best_search *s, hint *h, float most, uint64_t *items) noexcept nogil:
    """The best k beyond `most`. Begins where the last search has ended; if that was too near, once more from `most` on."""
    cdef uint64_t n
    cdef float bound = <float>(h.bound * h.factor * t.weight)
    cdef bint nearer = bound > most if s.hottest else 0.0 < bound < most
    if nearer:
        n = best_of(t, s, bound, items)
        if n == s.k:
            learn(h, t, s, n, items, False)
            return n
    n = best_of(t, s, most, items)
    learn(h, t, s, n, items, nearer)
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
        self.chosen.hot.bound = self.chosen.cold.bound = 0.0
        self.chosen.hot.factor, self.chosen.cold.factor = 0.8, 1.25
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
