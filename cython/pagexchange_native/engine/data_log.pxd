# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Where the log of a slot's data step lies, and what is moved under it."""

from libc.stdint cimport uint32_t

from pagexchange_native.engine.work cimport Work, Worker
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
    """The bytes of a pair, and its temporary frame if the record names one."""
    cdef const Work *p = &w.work[i]
    cdef uint32_t temp = w.rec.pair[i].temp
    move.a = pgx_frame_at(w.r, p.pfn[0])
    move.b = pgx_frame_at(w.r, p.pfn[1])
    move.temp = pgx_frame_at(w.r, temp - 1) if temp and temp <= w.r.nframes else NULL
    move.bytes = w.r.page_size << p.order
    move.pair = i
