"""Placing pages in a mapping or a space, all or nothing, and taking them out again as they were."""

from libc.errno cimport EAGAIN, EBUSY
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.format cimport *

cdef enum:  # what a page had before it was placed
    WAS_HELD = 1  # as a number: the reference that was the caller's
    WAS_SWAPBACKED = 2

cdef struct Target:
    pgx_region *r
    uint32_t number  # of the mapping or the space
    uint64_t bits    # of a page-table entry; a mapping has none

# Places one page at `at`: 0 and what it had before, or -errno.
ctypedef int (*place_fn)(const Target *t, uint64_t at, uint64_t pfn, uint8_t *was) noexcept nogil
# Takes the page at `at` out: its frame, locked, with the references that it had for being there; or -errno.
ctypedef int64_t (*take_out_fn)(const Target *t, uint64_t at) noexcept nogil
# How many references that are.
ctypedef uint32_t (*refs_fn)(const pgx_entry *e) noexcept nogil


cdef inline uint8_t state_before(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """What `place_fn` says of a locked page that it is about to place."""
    return (WAS_HELD if e.held else 0) | (WAS_SWAPBACKED if pgx_load64(&e.flags) & r.layout.swapbacked else 0)


cdef inline void _undo(const Target *t, uint64_t at, uint8_t was, take_out_fn take_out, refs_fn refs) noexcept nogil:
    """Takes a page out again, and leaves it as it was."""
    cdef int64_t pfn = -EBUSY
    cdef pgx_entry *e
    while pfn == -EBUSY or pfn == -EAGAIN:  # an exchange that has the page lets it go
        pfn = take_out(t, at)
    if pfn < 0:  # taken out meanwhile by a call of another thread
        return
    e = &t.r.entries[pfn]
    if not was & WAS_SWAPBACKED:
        pgx_and64(&e.flags, ~t.r.layout.swapbacked)
    pgx_store8(&e.held, was & WAS_HELD)
    pgx_add32(&e.refs, <uint32_t>(was & WAS_HELD) - refs(e))
    pgx_store32(&e.owner, 0)


cdef inline int64_t place_all(const Target *t, const int64_t *at, const int64_t *pfn, int64_t n, uint8_t *was, int *code,
                              place_fn place, take_out_fn take_out, refs_fn refs) noexcept nogil:
    """Places n pages, or none: n, or the number of the first that cannot be placed, and *code is its -errno.

    `was` is room for n bytes.
    """
    cdef int64_t i, k
    code[0] = 0
    for i in range(n):
        code[0] = place(t, <uint64_t>at[i], <uint64_t>pfn[i], &was[i])
        if code[0] != 0:
            for k in range(i - 1, -1, -1):
                _undo(t, <uint64_t>at[k], was[k], take_out, refs)
            return i
    return n
