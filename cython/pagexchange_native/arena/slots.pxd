"""Workers' slots: who has which."""

from libc.stdint cimport int64_t, uint32_t

from pagexchange_native.format cimport pgx_region

# A free worker slot (never 0, which is for calls from Python), or -EUSERS.
cdef int64_t claim_slot(pgx_region *r) noexcept nogil
cdef void release_slot(pgx_region *r, uint32_t slot) noexcept nogil
