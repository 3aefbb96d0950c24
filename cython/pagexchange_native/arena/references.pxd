"""References of a page: what it has at rest, and who may drop one."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.format cimport pgx_entry, pgx_region

cdef enum:
    MAY_PUT = 0
    NOT_IN_USE = 1
    IS_FROZEN = 2
    NOT_YOURS = 3
    IS_LOCKED = 4
    IS_PINNED = 5

# References that are not the caller's: cache, private data, page tables (`folio_expected_ref_count`).
cdef uint32_t structural_refs(const pgx_region *r, const pgx_entry *e) noexcept nogil

# Drops a reference, or says why there is none to drop; `really` false: only says it.
cdef int put_reference(pgx_region *r, uint32_t pfn, bint really) noexcept nogil

# Place of the first that has no reference to drop (`whole`: that has another user), or came before; or the length.
# `seen` has a bit per frame, all clear.
cdef int64_t first_refused(pgx_region *r, const int64_t[::1] pfns, uint64_t *seen, bint whole) noexcept nogil

# The word of one of the codes above for an error's message.
cdef str why_not_put(int code)
