# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Puts a pair back as it was: everything above the point of no return, backwards. Its trees stay held until the batch ends."""

from libc.stdint cimport uint32_t

from pagexchange_native.engine.claim cimport let_go
from pagexchange_native.engine.work cimport PREPARED, UNMAPPED_0, Work, Worker
from pagexchange_native.format cimport *
from pagexchange_native.pages.page_tables cimport rewrite
from pagexchange_native.plugin cimport pgx_mover_ops


cdef inline void drop(Worker *w, uint32_t i, int status) noexcept nogil:
    """Gives a pair its status, and its pages back."""
    cdef Work *p = &w.work[i]
    cdef const pgx_mover_ops *ops = &w.plan.movers[w.mover]
    cdef pgx_entry *e
    cdef int side
    p.status = status
    if p.done & PREPARED and ops.release != NULL:
        ops.release(ops.ctx, w.r, w.slot, &w.rec.pair[i])
    for side in range(1, -1, -1):
        e = &w.r.entries[p.pfn[side]]
        if p.done & (UNMAPPED_0 << side):
            rewrite(w.r, e.rmap, e.mapcount, p.order, p.pfn[side], p.pfn[side], True)
    let_go(w, i)
    p.done = 0
    w.rec.pair[i].status = status
