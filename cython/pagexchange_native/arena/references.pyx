# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""References of a page: what it has at rest, and who may drop one."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.format cimport *

_WHY = {
    MAY_PUT: "",
    NOT_IN_USE: "no reference to drop: free, reserved, or not the first frame of a folio",
    IS_FROZEN: "no reference to drop: frozen by an exchange; try again",
    NOT_YOURS: "no reference of yours: what is left is held by its mapping, private data or page tables",
    IS_LOCKED: "its last reference cannot be dropped while it is locked",
    IS_PINNED: "its last reference cannot be dropped while it is pinned",
}


cdef str why_not_put(int code):
    return _WHY[code]


cdef uint32_t structural_refs(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    cdef uint32_t refs = pgx_load32(&e.mapcount)
    cdef uint64_t mapping = pgx_load64(&e.mapping)
    if mapping and not mapping & PGX_ANON:
        refs += 1u << pgx_load8(&e.order)
    if pgx_load64(&e.flags) & r.layout.private_:
        refs += 1
    return refs


cdef int put_reference(pgx_region *r, uint32_t pfn, bint really) noexcept nogil:
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint32_t refs, structural
    while True:
        refs = pgx_load32(&e.refs)
        if pgx_load8(&e.state) != PGX_USED or refs == 0:
            return NOT_IN_USE
        if refs & PGX_FROZEN:
            return IS_FROZEN
        structural = structural_refs(r, e)
        if refs <= structural:
            return NOT_YOURS
        if refs == 1 and (pgx_load32(&e.owner) or pgx_load64(&e.flags) & r.layout.locked):
            return IS_LOCKED
        if refs == 1 and pgx_pinned(r, pfn, pgx_load8(&e.order)):
            return IS_PINNED
        if not really:
            return MAY_PUT
        if pgx_cas32(&e.refs, refs, refs - 1):
            break
    # Only now: had an exchange frozen the page in between, it would have moved it without its `held`. Nobody moves it
    # here, as it has one reference less than `held` says.
    if refs - 1 == structural:
        pgx_store8(&e.held, 0)
    if refs == 1:
        pgx_free(r, pfn, 1)
    return MAY_PUT


cdef int64_t first_refused(pgx_region *r, const int64_t[::1] pfns, uint64_t *seen, bint whole) noexcept nogil:
    cdef int64_t i
    cdef uint64_t pfn
    cdef pgx_entry *e
    for i in range(pfns.shape[0]):
        pfn = <uint64_t>pfns[i]
        if pfn >= r.nframes or seen[pfn >> 6] >> (pfn & 63) & 1 or put_reference(r, <uint32_t>pfn, False) != MAY_PUT:
            return i
        e = &r.entries[pfn]
        if whole and (pgx_load32(&e.refs) != 1 or not pgx_load8(&e.held)):
            return i
        seen[pfn >> 6] |= 1ull << (pfn & 63)
    return pfns.shape[0]
