# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The free frames of a migration: each page of a batch gets one before the batch begins, and leaves one behind it.

A frame that was taken is locked by the slot and named by `temp` of its pair, as a temporary page is, until the exchange
freezes it with the page; so nobody else can have it, and a pair's second frame is never a page that somebody wants. The
frame that a page has left stays frozen until it is freed here: a reference that somebody would take to it is refused, as
a page's that is gone. Source: `alloc_migration_target` and `migrate_folio_move` of Linux 6.18.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport int32_t, int64_t, uint32_t

from pagexchange_native.arena.taken cimport free_frame, give_frame_back, take_frame
from pagexchange_native.engine.page_check cimport Page, exists, look
from pagexchange_native.engine.work cimport Work, Worker, page_side
from pagexchange_native.format cimport *


cdef inline int64_t _take(Worker *w, uint32_t pfn, uint32_t *temp) noexcept nogil:
    """A free frame for the page in frame `pfn`, or -errno."""
    cdef Page page
    cdef int64_t target
    cdef int rc
    look(w.r, pfn, &page)
    rc = exists(w.r, pfn, &page)
    if rc != 0:
        return rc
    if temp[0]:  # one of an earlier batch, whose node was not let go
        give_frame_back(w.r, w.slot, temp)
        if temp[0]:
            return -EAGAIN
    w.asked += 1ull << page.order
    target = take_frame(w.r, w.node, page.order, w.slot, temp)
    if target >= 0:
        w.got += 1ull << page.order
    return target


cdef inline void take_targets(Worker *w, int32_t *status) noexcept nogil:
    """Takes a free frame for each page of a batch. One that gets none has its status, and is none of the batch any more."""
    cdef uint32_t i
    cdef uint32_t kept = 0
    cdef int64_t target
    cdef Work *p
    for i in range(w.n):
        w.work[kept] = w.work[i]
        p = &w.work[kept]
        target = _take(w, p.pfn[0], &w.rec.pair[kept].temp)
        if target < 0:
            status[p.at] = <int32_t>target
            continue
        p.owner[0] = 0
        p.owner[1] = w.slot + 1
        p.pfn[1] = <uint32_t>target
        if p.pfn[1] < p.pfn[0]:  # a record's frames are ascending
            p.pfn[1] = p.pfn[0]
            p.pfn[0] = <uint32_t>target
            p.owner[0] = w.slot + 1
            p.owner[1] = 0
        kept += 1
    w.n = kept


cdef inline void _free_left(Worker *w, uint32_t i) noexcept nogil:
    """Frees the frame that a page has left. When its node is not let go it becomes what was taken for this pair instead."""
    cdef const Work *p = &w.work[i]
    cdef uint32_t pfn = p.pfn[page_side(p)]
    cdef uint32_t *temp = &w.rec.pair[i].temp
    if free_frame(w.r, pfn, w.slot, temp) != 0:
        pgx_store32(temp, pfn + 1)
        pgx_store64(pgx_state_word(&w.r.entries[pfn]), pgx_state_of(1, w.slot + 1))


cdef inline void free_frames(Worker *w) noexcept nogil:
    """Frees what a batch has left over: behind each page that went, and what was taken for each that did not."""
    cdef uint32_t i
    for i in range(w.n):
        if w.work[i].status == 0:
            _free_left(w, i)
        else:
            give_frame_back(w.r, w.slot, &w.rec.pair[i].temp)
