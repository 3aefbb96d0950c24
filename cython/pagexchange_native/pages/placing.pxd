"""Lists of places in a mapping or a space: pages are put there, all or nothing, and looked up there."""

from libc.errno cimport EFAULT, ENOENT
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.page_lock cimport page_lock, page_unlock
from pagexchange_native.arena.region cimport Region
from pagexchange_native.arena.structure cimport Owner, owner_of
from pagexchange_native.format cimport *

cdef enum:  # what a page had before it was placed, in one word
    WAS_HELD = 0xffff  # whose the reference was that it had from `alloc`: as `held`
    WAS_SWAPBACKED = 1 << 16
    STAYS = 1 << 17  # it could not be taken back

cdef struct Target:
    pgx_region *r
    uint32_t number      # of the mapping or the space
    uint32_t generation  # of that number when the call began
    uint64_t bits        # of a page-table entry; a mapping has none
    uint32_t slot        # of the call
    uint64_t until       # ns of `now_ns`: how long it waits for a page's lock, and for the tree

cdef struct Refusal:  # of the page that cannot be placed: what was seen while nobody could change it
    int code               # errno; ETIMEDOUT: the tree, or the structure lock, was not had
    uint8_t state
    uint8_t order
    uint32_t head          # of a tail: pfn + 1
    uint64_t mapping       # identity, as in the entry
    uint64_t index
    uint64_t taken         # first of the places that it needs where another page is,
    uint64_t holder        # and that page's frame
    Owner owner            # who has the page, or the tree

# Places one page at `at`: 0 and what it had before, or -errno and why.
ctypedef int (*place_fn)(const Target *t, uint64_t at, uint64_t pfn, uint32_t *was, Refusal *why) noexcept nogil
# Takes the page at `at` out again and gives it what it had before: 0, -ENOENT there is none, another -errno it stays.
ctypedef int (*take_back_fn)(const Target *t, uint64_t at, uint32_t was, uint64_t until) noexcept nogil
# The frame of the page at `at`, -1 for none, or -EAGAIN when an exchange has it.
ctypedef int64_t (*look_fn)(pgx_region *r, uint32_t number, uint64_t at) noexcept nogil

cdef int place_pages(Region arena, const Target *target, object places, object at, object pfns, place_fn place,
                     take_back_fn take_back) except -1
cdef object look_up(Region arena, uint32_t number, object places, object at, look_fn look)


cdef inline void _look(const pgx_entry *e, Refusal *why) noexcept nogil:
    why.state = pgx_load8(&e.state)
    why.order = pgx_load8(&e.order)
    why.head = pgx_load32(&e.head)
    why.mapping = pgx_load64(&e.mapping)
    why.index = pgx_load64(&e.index)


cdef inline int lock_page(const Target *t, uint64_t pfn, Refusal *why) noexcept nogil:
    """Locks a page that is to be placed: 0; -EFAULT no such frame, -ENOENT no page in use starts there, or as `page_lock`."""
    cdef pgx_entry *e
    cdef int rc
    if pfn >= t.r.nframes:
        return -EFAULT
    e = &t.r.entries[pfn]
    _look(e, why)
    if why.state != PGX_USED:
        return -ENOENT
    rc = page_lock(t.r, e, t.slot, t.until)
    _look(e, why)
    if rc:
        why.owner = owner_of_page(t.r, e)
        return rc
    if why.state != PGX_USED or why.order > PGX_MAX_ORDER:
        page_unlock(e, t.slot)
        return -ENOENT
    return 0


cdef inline Owner owner_of_page(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    cdef uint32_t word = pgx_load32(&e.owner) & PGX_OWNER_SLOT
    return owner_of(r, word - 1 if word else 0)


cdef inline uint32_t state_before(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """What `place_fn` says of a locked page that it is about to place."""
    return e.held | (WAS_SWAPBACKED if pgx_load64(&e.flags) & r.layout.swapbacked else 0)
