# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The first pass of a batch: lock, freeze, check and record at once, one compare and swap for each frame.

`refs` and `owner` are one word. A page at rest has no owner and as many references as its entry accounts for, so one
compare and swap takes both, or shows that the page is not at rest. All that is decided is read before it, so that the
entries of many pairs are on their way at once, and compared after it.
"""

from libc.errno cimport EAGAIN, EBUSY, EINVAL
from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.engine.page_check cimport (
    IS_HELD,
    IS_REFERENCED,
    IS_WRITTEN,
    Page,
    exists,
    look,
    movable,
    same,
    tails_forbid,
)
from pagexchange_native.engine.work cimport ASYNC, FROZEN_0, FROZEN_1, LOCKED_0, LOCKED_1, SYNC, Work, Worker
from pagexchange_native.format cimport *

cdef enum:
    TAILS_AHEAD = 2    # pairs
    FETCHED_ORDER = 4  # of a larger folio the processor fetches the rest


cdef inline void record_side(Worker *w, uint32_t i, uint32_t side, const Page *page) noexcept nogil:
    """Writes what a locked and frozen page is to the record, and fetches what will be changed for it."""
    cdef pgx_region *r = w.r
    cdef Work *p = &w.work[i]
    cdef pgx_side *to = &w.rec.pair[i].side[side]
    cdef const pgx_entry *e = &r.entries[p.pfn[side]]
    cdef uint32_t rmap = e.rmap
    # What does not exist is number 0: hints, of any numbers, need no bounds.
    cdef uint32_t entry = rmap - <uint32_t>(rmap != 0)
    cdef uint32_t word = e.slot - <uint32_t>(e.slot != 0)
    p.mapping[side] = page.file
    p.refs[side] = page.refs
    to.mapping = page.mapping
    to.index = e.index
    to.private_ = e.private_
    to.rmap = rmap
    to.mapcount = page.mapcount
    to.refs = page.refs
    to.held = <uint16_t>page.held
    pgx_prefetch(&r.tables[entry // PGX_TABLE_SLOTS].pte[entry % PGX_TABLE_SLOTS])
    pgx_prefetch(&r.xanodes[word // PGX_XA_SLOTS])
    pgx_prefetch(&r.xanodes[word // PGX_XA_SLOTS].slot[word % PGX_XA_SLOTS])


cdef inline uint64_t _not_at_rest(const Page *page, uint32_t owner) noexcept nogil:
    """Bits that say that the page is frozen, or that somebody else than `owner` has it."""
    return (page.word ^ pgx_state_of(0, owner)) & ~pgx_state_of(~PGX_FROZEN, 0)


cdef inline int other_order(const Worker *w) noexcept nogil:
    """Of folios that differ in size: a free frame was taken for the page that was there, and now another one is."""
    return -EAGAIN if w.plan.copies else -EINVAL


cdef inline int check_pair(Worker *w, uint32_t i, Page *a, Page *b) noexcept nogil:
    """What forbids the exchange, of two pages as they were looked at: 0, -errno, IS_HELD or IS_WRITTEN. Without tails."""
    cdef const pgx_region *r = w.r
    cdef Work *p = &w.work[i]
    cdef int rc = exists(r, p.pfn[0], a)
    if rc == 0:
        rc = exists(r, p.pfn[1], b)
    if rc == 0 and a.order != b.order:
        rc = other_order(w)
    if rc != 0:
        return rc
    p.order = a.order
    if _not_at_rest(a, p.owner[0]) | _not_at_rest(b, p.owner[1]) or ((a.flags | b.flags) & r.layout.locked):
        return IS_HELD
    rc = movable(r, a)
    return movable(r, b) if rc == 0 else rc


cdef inline int _claim(Worker *w, uint32_t i) noexcept nogil:
    cdef pgx_region *r = w.r
    cdef Work *p = &w.work[i]
    cdef uint64_t mark = pgx_state_of(PGX_FROZEN | w.slot, w.slot + 1)
    cdef uint64_t *word_a = pgx_state_word(&r.entries[p.pfn[0]])
    cdef uint64_t *word_b = pgx_state_word(&r.entries[p.pfn[1]])
    cdef Page a, b, a_now, b_now
    cdef int rc
    look(r, p.pfn[0], &a)
    look(r, p.pfn[1], &b)
    rc = check_pair(w, i, &a, &b)
    if rc != 0:
        return rc
    if a.word != pgx_state_of(a.refs, p.owner[0]) or b.word != pgx_state_of(b.refs, p.owner[1]) or \
            a.refs == 0 or b.refs == 0:
        return IS_REFERENCED
    if not pgx_cas64(word_a, a.word, mark):
        return IS_HELD
    if not pgx_cas64(word_b, b.word, mark):
        pgx_store64(word_a, a.word)
        return IS_HELD
    look(r, p.pfn[0], &a_now)
    look(r, p.pfn[1], &b_now)
    if not same(&a, &a_now) or not same(&b, &b_now):
        rc = IS_HELD
    elif a.order:
        rc = tails_forbid(r, p.pfn[0], p.pfn[1], a.order, &w.tails[i])
    if rc != 0:
        pgx_store64(word_b, b.word)
        pgx_store64(word_a, a.word)
        return rc
    p.done = LOCKED_0 | LOCKED_1 | FROZEN_0 | FROZEN_1
    record_side(w, i, 0, &a)  # the second look saw the same, and has not worked out the rest
    record_side(w, i, 1, &b)
    return 0


cdef inline int refused_as(const Worker *w, int why) noexcept nogil:
    """The status of a pair that the mode does not let wait."""
    if why == IS_WRITTEN:
        return -EBUSY
    return -EBUSY if why == IS_REFERENCED and w.plan.mode == SYNC else -EAGAIN


cdef inline void let_go(Worker *w, uint32_t i) noexcept nogil:
    """Puts a claimed pair's words back."""
    cdef Work *p = &w.work[i]
    cdef uint32_t side
    for side in range(2):
        if p.done & (FROZEN_0 << side):
            pgx_store64(pgx_state_word(&w.r.entries[p.pfn[side]]), pgx_state_of(p.refs[side], p.owner[side]))
        elif p.done & (LOCKED_0 << side):
            pgx_change_owner(&w.r.entries[p.pfn[side]], w.slot + 1, 0)
    p.done &= ~<uint32_t>(LOCKED_0 | LOCKED_1 | FROZEN_0 | FROZEN_1)


cdef inline void _fetch_tails(const Worker *w, uint32_t i) noexcept nogil:
    """Fetches what a large folio's tails say, in front of the processor's own prefetch, which begins after some misses."""
    cdef const Work *p = &w.work[i]
    cdef uint32_t order = pgx_load8(&w.r.entries[p.pfn[0]].order)
    cdef uint32_t t
    if order == 0:
        return
    for t in range(1, 1u << min(order, FETCHED_ORDER)):  # hints, of any numbers
        pgx_prefetch(&w.r.entries[p.pfn[0]] + t)
        pgx_prefetch(&w.r.entries[p.pfn[1]] + t)


cdef inline bint claim(Worker *w) noexcept nogil:
    """Takes every pair that is at rest and refuses the others. False when one may be waited for: then none is taken.

    Trying never waits, so its order does not matter.
    """
    cdef uint32_t i, k
    cdef int rc
    for i in range(w.n):
        if i + TAILS_AHEAD < w.n:
            _fetch_tails(w, i + TAILS_AHEAD)
        if w.work[i].status != 0:
            continue
        rc = _claim(w, i)
        if rc == 0:
            continue
        if rc > 0:
            w.tries += rc == IS_REFERENCED
            if w.plan.mode != ASYNC and (rc != IS_WRITTEN or w.plan.mode == SYNC):
                for k in range(i):
                    let_go(w, k)
                return False
            rc = refused_as(w, rc)
        w.work[i].status = rc
        w.rec.pair[i].status = rc
    return True
