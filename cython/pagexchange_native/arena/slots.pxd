"""Slots: a process claims one for life, and one for each call; what is locked, frozen or held names a slot.

Slots 1 to `workers` are those of exchanges, the PGX_CALL_SLOTS behind them those of processes and of all other calls.
Every transition of the claim word bumps its generation, so that two recoverers of one dead owner cannot both win. Which slots
this process is at work with, it keeps in its private region as well: what it has claimed and does not use, a dead process with
the same number has left.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport now_ns, wait_until
from pagexchange_native.format cimport pgx_and64, pgx_cas64, pgx_load64, pgx_or64, pgx_region, pgx_slot_at

cdef extern from "<errno.h>":
    enum:
        EUSERS


cdef inline bint use_slot(pgx_region *r, uint32_t slot) noexcept nogil:
    """Reserves a slot for the calling thread among all of this process. False: another one has it."""
    return pgx_or64(&r.in_use, <uint64_t>1 << slot) >> slot & 1 == 0


cdef inline void leave_slot(pgx_region *r, uint32_t slot) noexcept nogil:
    pgx_and64(&r.in_use, ~(<uint64_t>1 << slot))


cdef inline int64_t claim_of(pgx_region *r, uint32_t first, uint32_t end) noexcept nogil:
    """A free slot of those from `first` to below `end`, or -EUSERS."""
    cdef uint32_t i
    cdef uint64_t claim
    for i in range(first, end):
        claim = pgx_load64(&pgx_slot_at(r, i).claim)
        if claim & 0xff != 0 or not use_slot(r, i):
            continue
        if pgx_cas64(&pgx_slot_at(r, i).claim, claim, (((claim >> 8) + 1) << 8) | (r.process + 1)):
            return i
        leave_slot(r, i)
    return -EUSERS


cdef inline int64_t claim_worker(pgx_region *r) noexcept nogil:
    """A free slot for an exchange, or -EUSERS."""
    return claim_of(r, 1, r.workers + 1)


cdef inline int64_t claim_call(pgx_region *r, uint64_t until) noexcept nogil:
    """A free slot for another call, waited for until then (ns of `now_ns`), or -EUSERS."""
    cdef int64_t slot
    cdef uint32_t turn = 0
    while True:
        slot = claim_of(r, r.workers + 1, r.nslots)
        if slot >= 0 or not wait_until(&turn, until):
            return slot


cdef inline void release_slot(pgx_region *r, uint32_t slot) noexcept nogil:
    cdef uint64_t *word = &pgx_slot_at(r, slot).claim
    cdef uint64_t claim = pgx_load64(word)
    if claim & 0xff == r.process + 1:  # else it was recovered, or overwritten: it is not ours to give back
        pgx_cas64(word, claim, ((claim >> 8) + 1) << 8)
    leave_slot(r, slot)
