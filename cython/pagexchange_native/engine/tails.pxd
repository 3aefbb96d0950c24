# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The words of a folio's tails: what they say of the page (`tail` in a layout) is exchanged under the log, as data are.

What some tails are to have is saved, the step is published, and then it is stored. Step 2c + h: chunk c is open, and lies
in half h of the log; the halves take turns, from pair to pair, so that what is open is never what is being saved.
"""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.engine.finish cimport merge_flags
from pagexchange_native.engine.work cimport Work, Worker
from pagexchange_native.format cimport *


cdef inline uint32_t chunks_of(const Work *p) noexcept nogil:
    return ((1u << p.order) + PGX_TAIL_WORDS - 1) // PGX_TAIL_WORDS


cdef inline void store_tails(Worker *w, uint32_t i, uint32_t chunk, uint32_t half) noexcept nogil:
    """Stores an open chunk: the words of up to 16 frames of each side; the first frame of a folio is no tail."""
    cdef Work *p = &w.work[i]
    cdef const uint64_t *log = <const uint64_t *>&w.rec.log[half][0]
    cdef uint32_t first = chunk * PGX_TAIL_WORDS
    cdef uint32_t n = PGX_TAIL_WORDS if (1u << p.order) > PGX_TAIL_WORDS else 1u << p.order
    cdef uint32_t t
    for t in range(1 if first == 0 else 0, n):
        merge_flags(&w.r.entries[p.pfn[0] + first + t], log[2 * t], w.r.layout.tail_swap)
        merge_flags(&w.r.entries[p.pfn[1] + first + t], log[2 * t + 1], w.r.layout.tail_swap)


cdef inline void _save_tails(Worker *w, uint32_t i, uint32_t chunk, uint32_t half) noexcept nogil:
    cdef Work *p = &w.work[i]
    cdef uint64_t *log = <uint64_t *>&w.rec.log[half][0]
    cdef uint32_t first = chunk * PGX_TAIL_WORDS
    cdef uint32_t n = PGX_TAIL_WORDS if (1u << p.order) > PGX_TAIL_WORDS else 1u << p.order
    cdef uint32_t t
    for t in range(n):
        log[2 * t] = pgx_load64(&w.r.entries[p.pfn[1] + first + t].flags)
        log[2 * t + 1] = pgx_load64(&w.r.entries[p.pfn[0] + first + t].flags)
    pgx_publish(&w.rec.state, <uint64_t>i << 48 | (2 * <uint64_t>chunk + half) << 8 | PGX_TAILS)


cdef inline void exchange_tails(Worker *w, uint32_t k, uint32_t chunk, uint32_t half) noexcept nogil:
    """From a chunk of the k-th live pair on to the last one's last, where `tails` says that they differ."""
    cdef uint32_t i
    while k < w.n_live:
        i = w.live[k]
        if w.work[i].order and w.tails[i]:
            while chunk < chunks_of(&w.work[i]):
                _save_tails(w, i, chunk, half)
                store_tails(w, i, chunk, half)
                half ^= 1
                chunk += 1
        chunk = 0
        k += 1
