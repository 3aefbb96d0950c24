# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The last passes: under META everything that belongs to the frames is stored, kind by kind, and then they are let go.

Absolute values, from the record: what is not known to have been stored is stored again, as long as the frame carries this
slot's mark. What belongs to a frame is what its entry says of the page that arrives, and the words that lead to that page.
"""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.engine.work cimport PREPARED, UNMAPPED_0, Work, Worker
from pagexchange_native.format cimport *
from pagexchange_native.pages.page_tables cimport rewrite
from pagexchange_native.plugin cimport pgx_mover_ops


cdef extern from *:
    """
    static inline void pgx_xor64(uint64_t *p, uint64_t v) { __atomic_fetch_xor(p, v, __ATOMIC_ACQ_REL); }
    """
    void pgx_xor64(uint64_t *p, uint64_t v) nogil


cdef inline void merge_flags(pgx_entry *e, uint64_t new, uint64_t swap) noexcept nogil:
    """Takes a word's bits that move. Who changes one of them needs the page's lock, which we have; the others are changed
    without it, and kept."""
    cdef uint64_t differ = (pgx_load64(&e.flags) ^ new) & swap
    if differ:
        pgx_xor64(&e.flags, differ)


cdef inline uint64_t *_word(Worker *w, const Work *p, uint32_t side) noexcept nogil:
    """The tree's word that leads to the page of a side, by the private copy of its checked number."""
    if p.slot[side] == PGX_SLOT_HEAD:
        return &w.r.mappings[p.mapping[side] - 1].pages.head
    return &w.r.xanodes[(p.slot[side] - 1) // PGX_XA_SLOTS].slot[(p.slot[side] - 1) % PGX_XA_SLOTS]


cdef inline void _store_flags(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    merge_flags(&w.r.entries[w.work[i].pfn[side]], w.rec.pair[i].side[side].flags, w.r.layout.swap)


cdef inline void _store_entry(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """What the entry of a side's frame says of the other side's page."""
    cdef pgx_entry *e = &w.r.entries[w.work[i].pfn[side]]
    cdef const pgx_side *page = &w.rec.pair[i].side[1 - side]
    pgx_store64(&e.mapping, page.mapping)
    pgx_relaxed_store64(&e.index, page.index)
    pgx_relaxed_store64(&e.private_, page.private_)
    pgx_relaxed_store32(&e.mapcount, page.mapcount)
    pgx_relaxed_store32(&e.rmap, page.rmap)
    pgx_relaxed_store16(&e.held, page.held)
    pgx_relaxed_store32(&e.slot, page.slot)


cdef inline void _store_word(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """The tree's word leads to the frame that a side's page is in now."""
    cdef const Work *p = &w.work[i]
    pgx_store64(_word(w, p, side), pgx_xa_entry(p.pfn[1 - side]))


cdef inline void _store_tables(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """So do its page-table entries."""
    cdef const Work *p = &w.work[i]
    cdef const pgx_side *page = &w.rec.pair[i].side[side]
    rewrite(w.r, page.rmap, page.mapcount, p.order, p.pfn[side], p.pfn[1 - side], True)


cdef inline void arrive(Worker *w, uint32_t i, uint32_t side) noexcept nogil:
    """Makes the frame of a side the other side's page's: all that `finish` does for it, for recovery."""
    cdef const Work *p = &w.work[i]
    _store_flags(w, i, side)
    _store_entry(w, i, side)
    if p.slot[1 - side]:
        _store_word(w, i, 1 - side)
    if p.done & (UNMAPPED_0 << (1 - side)):
        _store_tables(w, i, 1 - side)


cdef inline void finish(Worker *w) noexcept nogil:
    cdef uint32_t k, i, side
    cdef Work *p
    for k in range(w.n_flagged):
        i = w.flagged[k]
        if w.work[i].status == 0:
            _store_flags(w, i, 0)
            _store_flags(w, i, 1)
    for k in range(w.n_live):
        _store_entry(w, w.live[k], 0)
        _store_entry(w, w.live[k], 1)
    for k in range(w.n_find):
        if w.work[w.files[k] >> 1].status == 0:
            _store_word(w, w.files[k] >> 1, w.files[k] & 1)
    for k in range(w.n_mapped):
        if w.work[w.mapped[k] >> 1].status == 0:
            _store_tables(w, w.mapped[k] >> 1, w.mapped[k] & 1)
    for k in range(w.n_live):
        p = &w.work[w.live[k]]
        for side in range(2):
            # A frame that a page has left for a free one stays frozen until it is freed: nobody has it in between.
            if not p.owner[1 - side]:
                pgx_store64(pgx_state_word(&w.r.entries[p.pfn[side]]), pgx_state_of(p.refs[1 - side], 0))


cdef inline void store_counters(Worker *w) noexcept nogil:
    cdef uint32_t node, c
    for node in range(w.r.nnodes):
        if w.rec.targets >> node & 1:
            for c in range(PGX_NR_COUNTERS):
                pgx_store64(<uint64_t *>&w.rec.counter[node][c], <uint64_t>w.rec.target[node][c])


cdef inline void give_back_all(Worker *w) noexcept nogil:
    """What movers took for pairs that are done."""
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    cdef uint32_t k
    if ops.release == NULL:
        return
    for k in range(w.n_live):
        if w.work[w.live[k]].done & PREPARED:
            ops.release(ops.ctx, w.r, w.slot, &w.rec.pair[w.live[k]])
