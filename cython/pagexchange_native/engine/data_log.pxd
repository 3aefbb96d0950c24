# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Where the log of a slot's data step lies, and what is moved under it."""

from libc.stdint cimport uint32_t

from pagexchange_native.engine.work cimport Work, Worker, page_side
from pagexchange_native.format cimport *
from pagexchange_native.plugin cimport pgx_log, pgx_move


cdef inline void log_of(pgx_region *r, uint32_t slot, uint32_t phase, pgx_log *log) noexcept nogil:
    cdef pgx_slot *rec = pgx_slot_at(r, slot)
    log.state = &rec.state
    log.chunk = &rec.log[0][0]
    log.phase = phase
    log.slot = slot
    log.region = r


cdef inline void move_of(const Worker *w, uint32_t i, pgx_move *move) noexcept nogil:
    """The bytes of a pair, and the frame that the record names as taken for it; of a migration the page's first."""
    cdef const Work *p = &w.work[i]
    cdef uint32_t temp = w.rec.pair[i].temp
    cdef uint32_t first = page_side(p)
    move.a = pgx_frame_at(w.r, p.pfn[first])
    move.b = pgx_frame_at(w.r, p.pfn[1 - first])
    move.temp = pgx_frame_at(w.r, temp - 1) if temp and temp <= w.r.nframes else NULL
    move.bytes = w.r.page_size << p.order
    move.pair = i
