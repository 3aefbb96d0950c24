"""Workers' slots: claimed for a call, given back after it.

Every transition of the claim word bumps its generation, so that two recoverers of one dead owner cannot both win.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.format cimport pgx_cas64, pgx_load64, pgx_region, pgx_slot_at, pgx_store64

cdef extern from "<errno.h>":
    enum:
        EUSERS


cdef enum:
    FACE = 0  # the slot of calls from Python


cdef inline int64_t claim_slot(pgx_region *r) noexcept nogil:
    """A free worker slot (never 0, which is for calls from Python), or -EUSERS."""
    cdef uint32_t i
    cdef uint64_t claim
    for i in range(1, r.nslots):
        claim = pgx_load64(&pgx_slot_at(r, i).claim)
        if claim & 0xff == 0 and pgx_cas64(&pgx_slot_at(r, i).claim, claim,
                                           (((claim >> 8) + 1) << 8) | (r.process + 1)):
            return i
    return -EUSERS


cdef inline void release_slot(pgx_region *r, uint32_t slot) noexcept nogil:
    cdef uint64_t claim = pgx_load64(&pgx_slot_at(r, slot).claim)
    pgx_store64(&pgx_slot_at(r, slot).claim, ((claim >> 8) + 1) << 8)
