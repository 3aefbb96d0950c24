# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The lock of a page, as calls other than exchanges take it: the word `owner` of the page's first frame says who has the page.

    0                                 nobody
    slot + 1                          the exchange of a worker
    PGX_OWNER_CALL | slot + 1         a call, which lets it go before it returns
    (slot + 1) << 8                   `Region.lock` of the process that has claimed this slot for life, until `Region.unlock`
    both of these                     a call that changes flags, on a page that `Region.lock` keeps

An exchange and a call let go in the end, so both are waited for; nobody waits for what `Region.lock` keeps. Who has
locked a page is the one to set its flags: therefore calls that change flags enter such a page, and leave it kept.
Several pages are locked in the order of their frames, as an exchange that waits does, so that no cycle of waiters forms. But
a migration has its free frames before it waits: a call that waits for one of those lets go of what it has, and begins again.
"""

from libc.errno cimport EAGAIN, EBUSY
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport wait_until
from pagexchange_native.format cimport (
    PGX_OWNER_CALL,
    PGX_OWNER_KEEPER,
    PGX_OWNER_KEEPER_SHIFT,
    PGX_TAIL,
    pgx_change_owner,
    pgx_entry,
    pgx_load8,
    pgx_load32,
    pgx_region,
)

cdef enum:
    NOT_LOCKED = 0xffffffff  # instead of a frame: nothing to unlock


cdef inline uint32_t call_owner(uint32_t slot) noexcept nogil:
    return PGX_OWNER_CALL | (slot + 1)


cdef inline uint32_t keeper_owner(uint32_t slot) noexcept nogil:
    return (slot + 1) << PGX_OWNER_KEEPER_SHIFT


# ---- one page ----------------------------------------------------------------------------------------------------------

cdef inline bint page_is_kept(const pgx_entry *e) noexcept nogil:
    """Whether `Region.lock` of some process keeps the page."""
    return pgx_load32(&e.owner) & PGX_OWNER_KEEPER != 0


cdef inline bint page_trylock(pgx_entry *e, uint32_t slot) noexcept nogil:
    return pgx_change_owner(e, 0, call_owner(slot))


cdef inline void page_unlock(pgx_entry *e, uint32_t slot) noexcept nogil:
    """Ends `page_lock`. Changes nothing where the slot has not locked the page."""
    pgx_change_owner(e, call_owner(slot), 0)


cdef inline int page_lock(const pgx_region *r, pgx_entry *e, uint32_t slot, uint64_t until) noexcept nogil:
    """0; -EBUSY at once while `Region.lock` keeps the page, -EAGAIN when somebody else has it still at `until`."""
    cdef uint32_t turn = 0
    while not page_trylock(e, slot):
        if page_is_kept(e):
            return -EBUSY
        if not wait_until(&turn, until):
            return -EAGAIN
    return 0


cdef inline bint page_enter(pgx_entry *e, uint32_t slot) noexcept nogil:
    """Locks a page for a change of flags, also one that `Region.lock` keeps."""
    cdef uint32_t owner = pgx_load32(&e.owner)
    return owner & ~PGX_OWNER_KEEPER == 0 and pgx_change_owner(e, owner, owner | call_owner(slot))


cdef inline void page_leave(pgx_entry *e, uint32_t slot) noexcept nogil:
    """Ends `page_enter`; the page stays kept, unless `Region.unlock` came in between."""
    cdef uint32_t owner = pgx_load32(&e.owner)
    while owner & ~PGX_OWNER_KEEPER == call_owner(slot) and not pgx_change_owner(e, owner, owner & PGX_OWNER_KEEPER):
        owner = pgx_load32(&e.owner)


# ---- several -----------------------------------------------------------------------------------------------------------

cdef inline uint32_t first_frame(const pgx_region *r, uint32_t pfn) noexcept nogil:
    """First frame of the folio that frame `pfn` belongs to: its entry has the lock."""
    cdef const pgx_entry *e = &r.entries[pfn]
    cdef uint32_t head
    if pgx_load8(&e.state) != PGX_TAIL:
        return pfn
    head = pgx_load32(&e.head)
    return head - 1 if 0 < head <= pfn else pfn


cdef inline int64_t enter_pages(const pgx_region *r, uint32_t slot, const int64_t *pfns, int64_t n, int64_t at,
                                uint32_t *firsts, uint64_t until) noexcept nogil:
    """Locks the pages of `pfns[at:n]`, ascending frames: n, or the number of the first that was not let go until then.

    `firsts[i]` becomes the frame that was locked for frame i, NOT_LOCKED when its page had been locked for another one.
    """
    cdef int64_t i
    cdef uint32_t turn, first
    cdef uint32_t last = NOT_LOCKED
    for i in range(at):
        if firsts[i] != NOT_LOCKED:
            last = firsts[i]
    for i in range(at, n):
        turn = 0
        while True:
            first = first_frame(r, <uint32_t>pfns[i])
            if first == last:
                firsts[i] = NOT_LOCKED
                break
            if page_enter(&r.entries[first], slot):
                if first_frame(r, <uint32_t>pfns[i]) == first:
                    firsts[i] = first
                    last = first
                    break
                page_leave(&r.entries[first], slot)  # the folio was freed meanwhile
            if not wait_until(&turn, until):
                return i
    return n


cdef inline void leave_pages(const pgx_region *r, uint32_t slot, const uint32_t *firsts, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        if firsts[i] != NOT_LOCKED:
            page_leave(&r.entries[firsts[i]], slot)
