# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Undo records of a dead slot: checked as a whole, then put back, the last word first.

What `undo_back` does for an owner who knows what it wrote is done here for one who may have written anything: a record
names metadata that such a record can name, or the slot is left alone.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.allocator cimport INNER, _inside, _let_go, finish_free
from pagexchange_native.arena.undo cimport Undo, put_saved
from pagexchange_native.format cimport *


# ---- checks ----------------------------------------------------------------------------------------------------------

cdef inline bint _between(const pgx_region *r, uint64_t at, uint64_t width, const void *start, uint64_t size) noexcept nogil:
    cdef uint64_t first = <uint64_t>(<const uint8_t *>start - r.base)
    return at >= first and at + width <= first + size


cdef inline bint _own_word(const pgx_region *r, const pgx_slot *s, uint64_t at, uint64_t width) noexcept nogil:
    """Of its own slot a change saves counters, `drop`, and a pair's `temp`."""
    cdef uint32_t i
    if _between(r, at, width, &s.counter[0][0], sizeof(s.counter)) or _between(r, at, width, &s.drop, sizeof(s.drop)):
        return True
    for i in range(PGX_BATCH):
        if at == <uint64_t>(<const uint8_t *>&s.pair[i].temp - r.base):
            return width == sizeof(uint32_t)
    return False


cdef inline bint _is_metadata(const pgx_region *r, const pgx_slot *s, uint64_t at, uint64_t width) noexcept nogil:
    """Whether a change of structure stores to these bytes. None does to frames, nor to other slots."""
    return (
        _between(r, at, width, &r.header.xanodes, sizeof(pgx_pool)) or _between(r, at, width, &r.header.tables, sizeof(pgx_pool))
        or _between(r, at, width, r.entries, r.nframes * sizeof(pgx_entry))
        or _between(r, at, width, r.xanodes, r.nxanodes * sizeof(pgx_xanode))
        or _between(r, at, width, r.tables, r.ntables * sizeof(pgx_table))
        or _between(r, at, width, r.nodes, r.nnodes * sizeof(pgx_node))
        or _between(r, at, width, r.mappings, r.nmappings * sizeof(pgx_mapping))
        or _between(r, at, width, r.spaces, r.nspaces * sizeof(pgx_space))
        or _between(r, at, width, r.pins, PGX_CALL_SLOTS * PGX_PINS * sizeof(uint64_t))
        or _own_word(r, s, at, width)
    )


cdef inline bint _is_block(const Undo *u, uint64_t pfn, uint64_t order) noexcept nogil:
    """Whether frames can be one block of a node whose lists the slot has locked."""
    cdef int n
    if order > PGX_MAX_ORDER or pfn >= u.r.nframes or pfn & ((<uint64_t>1 << order) - 1):
        return False
    n = pgx_node_of(u.r, pfn)
    return n >= 0 and _inside(u.r, n, pfn, <uint64_t>1 << order) and pgx_load32(&u.r.nodes[n].lock) == u.slot + 1


cdef inline bint saved_makes_sense(const Undo *u, bint of_node) noexcept nogil:
    """Checks all records of a section before the first is used. Nothing is changed."""
    cdef const pgx_slot *s = pgx_slot_at(u.r, u.slot)
    cdef uint64_t n = u.count[0]
    cdef uint64_t i, at, what
    if n > u.most:
        return False
    for i in range(n):
        at = u.saved[i].where >> 8
        what = u.saved[i].where & 0xff
        if what == PGX_SAVED_TAKEN or what == PGX_SAVED_FREED:
            if not of_node or i or not _is_block(u, at, u.saved[i].old):
                return False
            continue
        if of_node and i == 0:
            return False
        if what == PGX_SAVED_ROW:
            if not _between(u.r, at, 1, u.r.tables, u.r.ntables * sizeof(pgx_table)) or \
                    (at - <uint64_t>(<const uint8_t *>&u.r.tables[0].pte[0] - u.r.base)) % sizeof(pgx_table):
                return False
            continue
        if what == PGX_SAVED_SET or what == PGX_SAVED_CLEARED:
            what = 8
        elif what != 1 and what != 2 and what != 4 and what != 8:
            return False
        if at % what or not _is_metadata(u.r, s, at, what):
            return False
    return True


# ---- back ------------------------------------------------------------------------------------------------------------

cdef inline void _not_taken(const Undo *u, uint32_t pfn, uint64_t order) noexcept nogil:
    cdef uint32_t i
    for i in range(1, <uint32_t>1 << order):
        pgx_store8(&u.r.entries[pfn + i].state, PGX_FREE)
        pgx_store8(&u.r.entries[pfn + i].order, INNER)
        pgx_store32(&u.r.entries[pfn + i].head, 0)
    _let_go(&u.r.entries[pfn], u.slot)


cdef inline bint _freed(Undo *u, uint32_t pfn, uint32_t order) noexcept nogil:
    """Whether the free counts: then the rest of it is done, and the record is empty."""
    cdef uint32_t i
    if u.r.entries[pfn].state != PGX_USED:
        finish_free(u, <uint32_t>pgx_node_of(u.r, pfn), pfn, order)
        return True
    for i in range(1, <uint32_t>1 << order):
        pgx_store32(&u.r.entries[pfn + i].head, pfn + 1)
        pgx_store8(&u.r.entries[pfn + i].order, 0)
        pgx_store8(&u.r.entries[pfn + i].state, PGX_TAIL)
    return False


cdef inline uint32_t saved_back(Undo *u) noexcept nogil:
    """Puts back what does not count; how many records there were. They have been checked."""
    cdef uint32_t n = <uint32_t>u.count[0]
    cdef const pgx_saved *saved
    cdef uint64_t what
    while u.count[0]:
        saved = &u.saved[u.count[0] - 1]
        what = saved.where & 0xff
        if what == PGX_SAVED_TAKEN:
            _not_taken(u, <uint32_t>(saved.where >> 8), saved.old)
        elif what == PGX_SAVED_FREED:
            if _freed(u, <uint32_t>(saved.where >> 8), <uint32_t>saved.old):
                return n
        else:
            put_saved(u, saved)
        pgx_publish(u.count, u.count[0] - 1)
    return n
