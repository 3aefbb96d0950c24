# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Undo records: what stood in the words that are changed under a lock, so that a death in between changes nothing.

A slot has two: `structure_undo` for what is changed under the structure lock or under locks of pages, `node_undo` for
what is changed under a node's lock. A word is saved before it is stored to; the number of saved words is published after
each. `undo_commit` makes the changes count; the locks are let go after it. Recovery writes the words back in reverse order,
counts down by a publish for each, and unlocks what names the slot: it may die itself, anywhere, and be repeated.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from pagexchange_native.format cimport (
    PGX_SAVED,
    PGX_SAVED_CLEARED,
    PGX_SAVED_NODE,
    PGX_SAVED_ROW,
    PGX_SAVED_SET,
    PGX_TABLE_SLOTS,
    pgx_and64,
    pgx_load8,
    pgx_load16,
    pgx_load32,
    pgx_load64,
    pgx_or64,
    pgx_pte,
    pgx_publish,
    pgx_region,
    pgx_saved,
    pgx_slot,
    pgx_slot_at,
    pgx_store8,
    pgx_store32,
    pgx_store64,
)

cdef extern from *:
    """
    static inline void pgx_store16(uint16_t *p, uint16_t v) { __atomic_store_n(p, v, __ATOMIC_RELEASE); }
    """
    void pgx_store16(uint16_t *p, uint16_t v) nogil

cdef struct Undo:  # one of a slot's two records
    pgx_region *r
    uint64_t *count
    pgx_saved *saved
    uint64_t most
    uint32_t slot


cdef inline Undo structure_undo(pgx_region *r, uint32_t slot) noexcept nogil:
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    return Undo(r, &s.saves, &s.saved[0], PGX_SAVED, slot)


cdef inline Undo node_undo(pgx_region *r, uint32_t slot) noexcept nogil:
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    return Undo(r, &s.node_saves, &s.saved_node[0], PGX_SAVED_NODE, slot)


cdef inline void undo_note(Undo *u, uint64_t where, uint64_t old) noexcept nogil:
    """Adds one record. Its place is the number of records so far, which is published after it."""
    cdef uint64_t n = u.count[0]
    if n >= u.most:
        return  # the count was overwritten from outside: each operation takes no more than there is. No store beyond the record
    u.saved[n].where = where
    u.saved[n].old = old
    pgx_publish(u.count, n + 1)


cdef inline void undo_commit(Undo *u) noexcept nogil:
    pgx_publish(u.count, 0)


# ---- save, then store ------------------------------------------------------------------------------------------------

cdef inline void put64(Undo *u, uint64_t *word, uint64_t value) noexcept nogil:
    undo_note(u, <uint64_t>(<uint8_t *>word - u.r.base) << 8 | 8, pgx_load64(word))
    pgx_store64(word, value)


cdef inline void put32(Undo *u, uint32_t *word, uint32_t value) noexcept nogil:
    undo_note(u, <uint64_t>(<uint8_t *>word - u.r.base) << 8 | 4, pgx_load32(word))
    pgx_store32(word, value)


cdef inline void put16(Undo *u, uint16_t *word, uint16_t value) noexcept nogil:
    undo_note(u, <uint64_t>(<uint8_t *>word - u.r.base) << 8 | 2, pgx_load16(word))
    pgx_store16(word, value)


cdef inline void put8(Undo *u, uint8_t *word, uint8_t value) noexcept nogil:
    undo_note(u, <uint64_t>(<uint8_t *>word - u.r.base) << 8 | 1, pgx_load8(word))
    pgx_store8(word, value)


cdef inline uint64_t set_bits(Undo *u, uint64_t *word, uint64_t bits) noexcept nogil:
    """Sets bits of a word of which others change other bits meanwhile; those that were clear."""
    cdef uint64_t new = bits & ~pgx_load64(word)  # only who writes this record changes these
    if new:
        undo_note(u, <uint64_t>(<uint8_t *>word - u.r.base) << 8 | PGX_SAVED_SET, new)
        pgx_or64(word, new)
    return new


cdef inline uint64_t clear_bits(Undo *u, uint64_t *word, uint64_t bits) noexcept nogil:
    """Clears bits of such a word; those that were set."""
    cdef uint64_t old = bits & pgx_load64(word)
    if old:
        undo_note(u, <uint64_t>(<uint8_t *>word - u.r.base) << 8 | PGX_SAVED_CLEARED, old)
        pgx_and64(word, ~old)
    return old


cdef inline void put_row(Undo *u, pgx_pte *row, uint64_t old, uint64_t new) noexcept nogil:
    """Fills all entries of a page table, `new` and the frames after it, or empties them (0); `old` is what they have, likewise."""
    cdef uint32_t i
    undo_note(u, <uint64_t>(<uint8_t *>row - u.r.base) << 8 | PGX_SAVED_ROW, old)
    for i in range(PGX_TABLE_SLOTS):
        pgx_store64(&row[i].pte, new + (<uint64_t>i << 12) if new else 0)


# ---- back ------------------------------------------------------------------------------------------------------------

cdef inline void put_saved(const Undo *u, const pgx_saved *saved) noexcept nogil:
    """Puts back what one record says: a word, bits of one, a row. Those of a node's lists are for recovery alone."""
    cdef uint8_t *word = u.r.base + (saved.where >> 8)
    cdef uint64_t what = saved.where & 0xff
    cdef uint32_t i
    if what == 8:
        pgx_store64(<uint64_t *>word, saved.old)
    elif what == 4:
        pgx_store32(<uint32_t *>word, <uint32_t>saved.old)
    elif what == 2:
        pgx_store16(<uint16_t *>word, <uint16_t>saved.old)
    elif what == 1:
        pgx_store8(word, <uint8_t>saved.old)
    elif what == PGX_SAVED_SET:
        pgx_and64(<uint64_t *>word, ~saved.old)
    elif what == PGX_SAVED_CLEARED:
        pgx_or64(<uint64_t *>word, saved.old)
    else:
        for i in range(PGX_TABLE_SLOTS):
            pgx_store64(&(<pgx_pte *>word)[i].pte, saved.old + (<uint64_t>i << 12) if saved.old else 0)


cdef inline void undo_back(Undo *u) noexcept nogil:
    """Takes back what was changed since the last commit. For the owner, who knows what it has written: nothing is checked."""
    while u.count[0]:
        put_saved(u, &u.saved[u.count[0] - 1])
        pgx_publish(u.count, u.count[0] - 1)
