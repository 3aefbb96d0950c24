# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""References of a page, and pins: what keeps it, and who may let go.

`refs` counts what follows from the entry itself: cache, private data, page tables, and `held`, the reference that
allocation gave a process. What else a process has taken, by `get` or for long by `pin`, is a pin in the place of its own:
pfn + 1 | times << 32, bit 63 for a long one. A pin is stored first and looks at `refs` second, an exchange and who drops a
page's last reference the other way round, both with a fence between.
"""

from libc.errno cimport EAGAIN, EINVAL, ETXTBSY, EUSERS
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from pagexchange_native.arena.allocator cimport free_locked, lock_node_of, unlock_node_of
from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.page_lock cimport page_is_kept, page_leave
from pagexchange_native.arena.undo cimport Undo, put8, put16, put32, put64, structure_undo, undo_back, undo_commit
from pagexchange_native.format cimport *

cdef enum:  # what `may_put` says
    MAY_PUT = 0
    NOT_IN_USE = 1
    IS_FROZEN = 2
    NOT_YOURS = 3
    IS_LOCKED = 4
    IS_PINNED = 5

cdef enum:
    LEFT = 1000000  # ns that a call waits for a node to free what a put beside it has left
    PIN_TIMES_SHIFT = 32
    PIN_TIMES = 0x7fffffff


# ---- pins of this process ----------------------------------------------------------------------------------------------

cdef inline uint32_t _process(const pgx_region *r) noexcept nogil:
    return r.self - 1 - r.workers


cdef inline uint64_t _pin_word(uint64_t pfn, uint64_t kind) noexcept nogil:
    """The least word of a pin: once. `kind`: 0 or PGX_PIN_LONG."""
    return kind | <uint64_t>1 << PIN_TIMES_SHIFT | (pfn + 1)


cdef inline uint64_t _times(uint64_t pin) noexcept nogil:
    return pin >> PIN_TIMES_SHIFT & PIN_TIMES


cdef inline uint64_t *find_pin(const pgx_region *r, uint64_t pfn, uint64_t kind) noexcept nogil:
    """Where this process has its pin of a frame; NULL: nowhere."""
    cdef uint64_t *pins = &r.pins[_process(r) * PGX_PINS]
    cdef uint32_t top = pgx_load32(&r.pin_tops[_process(r)])
    cdef uint64_t want = _pin_word(pfn, kind)
    cdef uint64_t pin
    cdef uint32_t i
    for i in range(min(top, <uint32_t>PGX_PINS)):
        pin = pgx_load64(&pins[i])
        if pin and (pin ^ want) & ~(<uint64_t>PIN_TIMES << PIN_TIMES_SHIFT) == 0:
            return &pins[i]
    return NULL


cdef inline int add_pin(const pgx_region *r, uint64_t pfn, uint64_t kind) noexcept nogil:
    """Pins a frame once more: 0, or -EUSERS. Only one thread of the process may add at a time: who has the GIL."""
    cdef uint64_t *pins = &r.pins[_process(r) * PGX_PINS]
    cdef uint32_t *top = &r.pin_tops[_process(r)]
    cdef uint32_t n = min(pgx_load32(top), <uint32_t>PGX_PINS)
    cdef uint64_t *place = find_pin(r, pfn, kind)
    cdef uint64_t pin
    cdef uint32_t i
    while place != NULL:  # a thread without the GIL may drop it meanwhile
        pin = pgx_load64(place)
        if pin == 0:
            break
        if _times(pin) == PIN_TIMES:
            return -EUSERS
        if pgx_cas64(place, pin, pin + (<uint64_t>1 << PIN_TIMES_SHIFT)):
            return 0
    for i in range(n):
        if pgx_load64(&pins[i]) == 0:
            break
    else:
        i = n
    if i == PGX_PINS:
        return -EUSERS
    pgx_store32(top, max(n, i + 1))  # before the pin: nobody looks above it
    pgx_store64(&pins[i], _pin_word(pfn, kind))
    return 0


cdef inline bint drop_pin(const pgx_region *r, uint64_t pfn, uint64_t kind) noexcept nogil:
    """Undoes one `add_pin`. False: there is none."""
    cdef uint64_t *place = find_pin(r, pfn, kind)
    cdef uint64_t pin
    while place != NULL:
        pin = pgx_load64(place)
        if pin == 0:
            return False
        if pgx_cas64(place, pin, 0 if _times(pin) <= 1 else pin - (<uint64_t>1 << PIN_TIMES_SHIFT)):
            return True
    return False


cdef inline void trim_pins(const pgx_region *r) noexcept nogil:
    """Lowers the place below which this process has pins. Not while another thread may add one, as of `add_pin`."""
    cdef uint64_t *pins = &r.pins[_process(r) * PGX_PINS]
    cdef uint32_t *top = &r.pin_tops[_process(r)]
    while 0 < top[0] <= PGX_PINS and pgx_load64(&pins[top[0] - 1]) == 0:
        pgx_store32(top, top[0] - 1)


cdef inline void drop_pins(const pgx_region *r) noexcept nogil:
    """Undoes every `add_pin` of this process."""
    cdef uint32_t i
    for i in range(PGX_PINS):
        pgx_store64(&r.pins[_process(r) * PGX_PINS + i], 0)
    pgx_store32(&r.pin_tops[_process(r)], 0)


cdef inline bint pinned_for_long(const pgx_region *r, uint64_t pfn, uint32_t order) noexcept nogil:
    """Whether `Region.pin` of some process has one of the 2^order frames from `pfn` on."""
    cdef uint32_t process, i
    cdef uint64_t pin
    for process in range(PGX_CALL_SLOTS):
        for i in range(min(pgx_load32(&r.pin_tops[process]), <uint32_t>PGX_PINS)):
            pin = pgx_load64(&r.pins[process * PGX_PINS + i])
            if pin & PGX_PIN_LONG and pgx_pin_pfn(pin) - pfn < <uint64_t>1 << order:
                return True
    return False


# ---- references ----------------------------------------------------------------------------------------------------------

cdef inline uint32_t structural_refs(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    """References that are no process's: cache, private data, page tables (`folio_expected_ref_count`)."""
    cdef uint32_t refs = pgx_load32(&e.mapcount)
    cdef uint64_t mapping = pgx_load64(&e.mapping)
    if mapping and not mapping & PGX_ANON:
        refs += 1u << pgx_load8(&e.order)
    if pgx_load64(&e.flags) & r.layout.private_:
        refs += 1
    return refs


cdef inline bint is_held_by_get(const pgx_region *r, uint64_t pfn) noexcept nogil:
    """Whether the page is held because this process has it by `get`, or had it a moment ago."""
    return pgx_load16(&r.entries[pfn].held) == (PGX_HELD_BY_GET | (r.process + 1))


cdef inline bint is_left(const pgx_region *r, uint64_t pfn) noexcept nogil:
    """Whether the page is held because this process had it by `get`, and has no longer."""
    return is_held_by_get(r, pfn) and find_pin(r, pfn, 0) == NULL


cdef inline int drop_last(Undo *u, uint32_t pfn, uint64_t until) noexcept nogil:
    """Begins to take the last references of a page that the record's slot has locked; nothing fails afterwards.

    What the caller changes besides comes after this, `refs` and `held` left alone; then `undo_commit`, then `finish_drop`.
    The page is freed, unless this process has a reference by `get`: then it is held as long as there is one.

    0; or nothing is changed: -ETXTBSY while another process has a reference, or any a pin for long; -EAGAIN when the node is
    locked still at `until`; -EINVAL for what is no folio in use.
    """
    cdef pgx_region *r = u.r
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint32_t refs = pgx_load32(&e.refs)
    cdef int rc = lock_node_of(r, pfn, u.slot, until)
    if rc != 0:
        return rc
    put32(u, &e.refs, 0)
    pgx_fence()
    if find_pin(r, pfn, 0) != NULL:
        put16(u, &e.held, <uint16_t>(PGX_HELD_BY_GET | (r.process + 1)))
        put32(u, &e.refs, 1)
        unlock_node_of(r, pfn)
    elif pgx_pinned(r, pfn, e.order):
        pgx_store32(&e.refs, refs)
        unlock_node_of(r, pfn)
        return -ETXTBSY
    else:
        if e.held:
            put16(u, &e.held, 0)
        pgx_store64(&pgx_slot_at(r, u.slot).give, pfn + 1)
    return 0


cdef inline void finish_drop(pgx_region *r, uint32_t pfn, uint32_t slot) noexcept nogil:
    """Ends what `drop_last` began, after the commit: frees the page, and lets go of its lock."""
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    cdef Undo u
    if s.give == 0:  # a put that came before the page was held has found nothing to free
        pgx_fence()
        if is_left(r, pfn):
            u = structure_undo(r, slot)
            drop_last(&u, pfn, now_ns() + LEFT)  # where this fails, the page is held until the process ends
            undo_commit(&u)
    if s.give == <uint64_t>pfn + 1:
        free_locked(r, pfn, slot)
        pgx_store64(&s.give, 0)
        unlock_node_of(r, pfn)
    else:
        page_leave(&r.entries[pfn], slot)


cdef inline bint is_last_get(const pgx_region *r, uint64_t pfn) noexcept nogil:
    """Whether the page is held just because this process has it by `get`, once."""
    cdef const uint64_t *pin = find_pin(r, pfn, 0)
    return is_held_by_get(r, pfn) and pin != NULL and _times(pgx_load64(pin)) <= 1


cdef inline int _put_last_get(Undo *u, uint32_t pfn, uint64_t until) noexcept nogil:
    """Gives such a page up: 0, or as `drop_last`."""
    cdef uint64_t *pin = find_pin(u.r, pfn, 0)
    cdef int rc
    put64(u, pin, 0)
    rc = drop_last(u, pfn, until)
    if rc != 0:
        undo_back(u)
        return rc
    undo_commit(u)
    finish_drop(u.r, pfn, u.slot)
    return 0


cdef inline int may_put(const pgx_region *r, uint32_t pfn) noexcept nogil:
    """Whether the process has a reference to drop of a page that the caller has entered (`page_enter`), or why not."""
    cdef const pgx_entry *e = &r.entries[pfn]
    cdef uint32_t refs = pgx_load32(&e.refs)
    if pgx_load8(&e.state) != PGX_USED or refs == 0:
        return NOT_IN_USE
    if refs & PGX_FROZEN:
        return IS_FROZEN
    if find_pin(r, pfn, 0) != NULL and not is_last_get(r, pfn):
        return MAY_PUT
    if pgx_holder(e.held) != r.process + 1:
        return NOT_YOURS
    if refs == 1 and (page_is_kept(e) or pgx_load64(&e.flags) & r.layout.locked):
        return IS_LOCKED
    if refs == 1 and e.held & PGX_HELD_BY_GET and pinned_for_long(r, pfn, pgx_load8(&e.order)):
        return IS_PINNED
    if refs == 1 and not e.held & PGX_HELD_BY_GET and pgx_pinned(r, pfn, pgx_load8(&e.order)):
        return IS_PINNED
    return MAY_PUT


cdef inline int put_reference(pgx_region *r, uint32_t pfn, uint32_t slot, uint64_t until) noexcept nogil:
    """Drops a reference of the process: by `get` first, then `held`. The slot has entered the page.

    0, and the page has been left. Otherwise it has not: as `may_put`, or -EAGAIN when its node is locked still at `until`.
    """
    cdef pgx_entry *e = &r.entries[pfn]
    cdef Undo u = structure_undo(r, slot)
    cdef int why = may_put(r, pfn)
    if why != MAY_PUT:
        return why
    if is_last_get(r, pfn):
        why = _put_last_get(&u, pfn, until)
        return IS_PINNED if why == -ETXTBSY else why
    if drop_pin(r, pfn, 0):
        page_leave(e, slot)
        return 0
    if pgx_holder(e.held) != r.process + 1:  # another thread has dropped the reference that was seen
        return NOT_YOURS
    if pgx_load32(&e.refs) == 1:
        why = drop_last(&u, pfn, until)
        undo_commit(&u)
        if why == 0:
            finish_drop(r, pfn, slot)
        return IS_PINNED if why == -ETXTBSY else why
    put32(&u, &e.refs, pgx_load32(&e.refs) - 1)
    put16(&u, &e.held, 0)
    undo_commit(&u)
    page_leave(e, slot)
    return 0


cdef inline int64_t reserve_pages(pgx_region *r, const int64_t *pfns, int64_t n, uint32_t slot) noexcept nogil:
    """Turns pages that only this process holds into reserved ones: they exist, and are never moved or given back.

    The slot has entered them. n; or the number of the first that another thread has pinned meanwhile, and none is reserved.
    """
    cdef int64_t i
    cdef int64_t bad = n
    cdef pgx_entry *e
    cdef Undo u
    for i in range(n):  # no record: what `refs` is at rest follows from the entry
        pgx_store32(&r.entries[pfns[i]].refs, PGX_FROZEN | slot)
    pgx_fence()
    for i in range(n):
        if pgx_pinned(r, <uint64_t>pfns[i], r.entries[pfns[i]].order):
            bad = i
            break
    for i in range(n):
        e = &r.entries[pfns[i]]
        u = structure_undo(r, slot)
        if bad == n:
            put8(&u, &e.state, PGX_RESERVED)
            put16(&u, &e.held, 0)
        put32(&u, &e.refs, 1)
        undo_commit(&u)
    return bad
