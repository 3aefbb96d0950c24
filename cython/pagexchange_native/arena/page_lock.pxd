# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The lock of a page, as calls from Python take it: the word `owner` of the page's first frame says who has the page.

    0                  nobody
    slot + 1           the exchange of a worker
    FACE + 1           `Region.lock`, until `Region.unlock`
    CALLED             a call from Python, which lets it go before it returns
    CALLED_INSIDE      a call that changes flags, on a page that `Region.lock` has taken

An exchange and a call let go in the end, so both are waited for; nobody waits for what `Region.lock` has taken. Who has
locked a page is the one to set its flags: therefore calls that change flags enter such a page, and leave it locked.
Several pages are locked in the order of their frames, as an exchange that waits does: no cycle of waiters can form.
"""

from libc.errno cimport EAGAIN, EBUSY
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport wait_until
from pagexchange_native.arena.slots cimport FACE
from pagexchange_native.format cimport (
    PGX_OWNER_CALL,
    PGX_OWNER_KEPT,
    PGX_TAIL,
    pgx_cas32,
    pgx_entry,
    pgx_load8,
    pgx_load32,
    pgx_region,
    pgx_store32,
)

cdef enum:
    CALLED = PGX_OWNER_CALL | (FACE + 1)
    CALLED_INSIDE = PGX_OWNER_CALL | PGX_OWNER_KEPT | (FACE + 1)
    NOT_LOCKED = 0xffffffff  # instead of a frame: nothing to unlock


# ---- one page ----------------------------------------------------------------------------------------------------------

cdef inline bint page_is_kept(const pgx_entry *e) noexcept nogil:
    """Whether `Region.lock` has the page."""
    cdef uint32_t owner = pgx_load32(&e.owner)
    return owner == FACE + 1 or owner == CALLED_INSIDE


cdef inline bint page_trylock(pgx_entry *e) noexcept nogil:
    return pgx_load32(&e.owner) == 0 and pgx_cas32(&e.owner, 0, CALLED)


cdef inline void page_unlock(pgx_entry *e) noexcept nogil:
    pgx_store32(&e.owner, 0)


cdef inline int page_lock(pgx_entry *e, uint64_t until) noexcept nogil:
    """0; -EBUSY at once while `Region.lock` has the page, -EAGAIN when somebody else has it still at `until`."""
    cdef uint32_t turn = 0
    while not page_trylock(e):
        if page_is_kept(e):
            return -EBUSY
        if not wait_until(&turn, until):
            return -EAGAIN
    return 0


cdef inline bint page_enter(pgx_entry *e) noexcept nogil:
    """Locks a page for a change of flags, also one that `Region.lock` has."""
    if pgx_load32(&e.owner) == FACE + 1:
        return pgx_cas32(&e.owner, FACE + 1, CALLED_INSIDE)
    return page_trylock(e)


cdef inline void page_leave(pgx_entry *e) noexcept nogil:
    cdef uint32_t owner = pgx_load32(&e.owner)
    while not pgx_cas32(&e.owner, owner, FACE + 1 if owner == CALLED_INSIDE else 0):  # unlock() came in between
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


cdef inline int64_t enter_pages(const pgx_region *r, const int64_t *pfns, int64_t n, int64_t at, uint32_t *firsts,
                                uint64_t until) noexcept nogil:
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
            if page_enter(&r.entries[first]):
                if first_frame(r, <uint32_t>pfns[i]) == first:
                    firsts[i] = first
                    last = first
                    break
                page_leave(&r.entries[first])  # the folio was freed meanwhile
            if not wait_until(&turn, until):
                return i
    return n


cdef inline void leave_pages(const pgx_region *r, const uint32_t *firsts, int64_t n) noexcept nogil:
    cdef int64_t i
    for i in range(n):
        if firsts[i] != NOT_LOCKED:
            page_leave(&r.entries[firsts[i]])
