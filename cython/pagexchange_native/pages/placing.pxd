"""Lists of places in a mapping or a space: pages are put there, all or nothing, and looked up there."""

from libc.errno cimport EFAULT, ENOENT
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.page_lock cimport page_lock, page_unlock
from pagexchange_native.arena.region cimport Region
from pagexchange_native.format cimport *

cdef enum:  # what a page had before it was placed
    WAS_HELD = 1  # as a number: the reference that was the caller's
    WAS_SWAPBACKED = 2

cdef struct Target:
    pgx_region *r
    uint32_t number      # of the mapping or the space
    uint32_t generation  # of that number when the call began
    uint64_t bits        # of a page-table entry; a mapping has none
    uint64_t until       # ns of `now_ns`: how long it waits for a page's lock

cdef struct Refusal:  # of the page that cannot be placed: what was seen while nobody could change it
    int code               # errno
    uint8_t state
    uint8_t order
    uint8_t frozen         # 1: it is an exchange that has the page
    uint32_t head          # of a tail: pfn + 1
    uint64_t mapping       # identity, as in the entry
    uint64_t index
    uint64_t taken         # first of the places that it needs where another page is,
    uint64_t holder        # and that page's frame

# Places one page at `at`: 0 and what it had before, or -errno and why.
ctypedef int (*place_fn)(const Target *t, uint64_t at, uint64_t pfn, uint8_t *was, Refusal *why) noexcept nogil
# Takes the page at `at` out: its frame, locked, with the references that it had for being there; or -errno.
ctypedef int64_t (*take_out_fn)(const Target *t, uint64_t at) noexcept nogil
# How many references that are.
ctypedef uint32_t (*refs_fn)(const pgx_entry *e) noexcept nogil
# The frame of the page at `at`, -1 for none, or -EAGAIN when an exchange has it.
ctypedef int64_t (*look_fn)(pgx_region *r, uint32_t number, uint64_t at) noexcept nogil

cdef int place_pages(Region arena, const Target *target, object places, object at, object pfns, place_fn place,
                     take_out_fn take_out, refs_fn refs) except -1
cdef object look_up(Region arena, uint32_t number, object places, object at, look_fn look)


cdef inline void _look(const pgx_entry *e, Refusal *why) noexcept nogil:
    why.state = pgx_load8(&e.state)
    why.order = pgx_load8(&e.order)
    why.frozen = (pgx_load32(&e.refs) & PGX_FROZEN) != 0
    why.head = pgx_load32(&e.head)
    why.mapping = pgx_load64(&e.mapping)
    why.index = pgx_load64(&e.index)


cdef inline int lock_page(pgx_region *r, uint64_t pfn, uint64_t until, Refusal *why) noexcept nogil:
    """Locks a page that is to be placed: 0; -EFAULT no such frame, -ENOENT no page in use starts there, or as `page_lock`."""
    cdef pgx_entry *e
    cdef int rc
    if pfn >= r.nframes:
        return -EFAULT
    e = &r.entries[pfn]
    _look(e, why)
    if why.state != PGX_USED:
        return -ENOENT
    rc = page_lock(e, until)
    _look(e, why)
    if rc:
        return rc
    if why.state != PGX_USED or why.order > PGX_MAX_ORDER:
        page_unlock(e)
        return -ENOENT
    return 0


cdef inline uint8_t state_before(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """What `place_fn` says of a locked page that it is about to place."""
    return (WAS_HELD if e.held else 0) | (WAS_SWAPBACKED if pgx_load64(&e.flags) & r.layout.swapbacked else 0)
