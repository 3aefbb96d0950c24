# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What each node holds, in base pages: a row of counters per slot and node, written by the slot's owner only.

So a row's new value can be written to a record before it is stored, and no two workers share a line. Summed when read.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.undo cimport Undo, put64
from pagexchange_native.format cimport pgx_load64, pgx_region, pgx_slot_at


cdef inline void counter_add(Undo *u, uint32_t node, uint32_t which, int64_t frames) noexcept nogil:
    """Changes the row of the slot that the record belongs to."""
    cdef uint64_t *word = <uint64_t *>&pgx_slot_at(u.r, u.slot).counter[node][which]
    put64(u, word, word[0] + <uint64_t>frames)


cdef inline uint64_t counter_sum(const pgx_region *r, uint32_t node, uint32_t which) noexcept nogil:
    cdef uint64_t total = 0
    cdef uint32_t slot
    for slot in range(r.nslots):
        total += pgx_load64(<const uint64_t *>&pgx_slot_at(r, slot).counter[node][which])
    return total
