"""References of a page: what it has at rest, and who may drop one."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.arena.page_lock cimport page_is_kept, page_leave
from pagexchange_native.format cimport *

cdef enum:  # what put_reference says
    MAY_PUT = 0
    NOT_IN_USE = 1
    IS_FROZEN = 2
    NOT_YOURS = 3
    IS_LOCKED = 4
    IS_PINNED = 5


cdef inline uint32_t structural_refs(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """References that are not the caller's: cache, private data, page tables (`folio_expected_ref_count`)."""
    cdef uint32_t refs = pgx_load32(&e.mapcount)
    cdef uint64_t mapping = pgx_load64(&e.mapping)
    if mapping and not mapping & PGX_ANON:
        refs += 1u << pgx_load8(&e.order)
    if pgx_load64(&e.flags) & r.layout.private_:
        refs += 1
    return refs


cdef inline int put_reference(pgx_region *r, uint32_t pfn, bint really, bint entered) noexcept nogil:
    """Drops a reference, or says why there is none to drop; `really` false: only says it.

    `entered`: the caller has entered the page (`page_enter`), and the reference's drop leaves it. Who has not is told
    IS_LOCKED or IS_FROZEN also of a page that an exchange or another call is about to let go.
    """
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
        if refs == 1 and ((page_is_kept(e) if entered else pgx_load32(&e.owner) != 0) or pgx_load64(&e.flags) & r.layout.locked):
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
    if entered:  # before it is free: no frame that can be allocated is locked by a call
        page_leave(e)
    if refs == 1:
        pgx_free(r, pfn, 1)
    return MAY_PUT
