# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""What names a dead slot outside its record: page locks, tree locks, pins; and the pages that a dead process held.

Entries are scanned: a word says whose it is, but nothing says where a call's words are. Not for a worker's slot, whose
record has all of its frames.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

from pagexchange_native.arena.page_lock cimport page_enter, page_leave
from pagexchange_native.arena.references cimport drop_last, finish_drop, structural_refs
from pagexchange_native.arena.undo cimport Undo, put16, put32, structure_undo, undo_commit
from pagexchange_native.format cimport *
from pagexchange_native.xarray.tree cimport xa_release


cdef inline uint32_t refs_at_rest(const pgx_region *r, const pgx_entry *e) noexcept nogil:
    if e.state == PGX_RESERVED:
        return 1
    return structural_refs(r, e) + (e.held != 0)


cdef inline void _let_owner_go(pgx_entry *e, uint32_t mask) noexcept nogil:
    cdef uint32_t owner = pgx_load32(&e.owner)
    while not pgx_change_owner(e, owner, owner & mask):
        owner = pgx_load32(&e.owner)


cdef inline uint32_t leave_all_pages(pgx_region *r, uint32_t slot) noexcept nogil:
    """Ends what a call's slot has locked, and what a process's slot keeps locked for its user: how many pages.

    One that the call has frozen meanwhile, to reserve it, gets back the references that follow from its entry.
    """
    cdef uint32_t n = 0
    cdef uint32_t owner
    cdef uint64_t pfn
    cdef pgx_entry *e
    for pfn in range(r.nframes):
        e = &r.entries[pfn]
        owner = pgx_load32(&e.owner)
        if owner == 0:
            continue
        if owner & PGX_OWNER_SLOT == slot + 1:
            if pgx_load32(&e.refs) == PGX_FROZEN | slot:
                pgx_store32(&e.refs, refs_at_rest(r, e))
            _let_owner_go(e, PGX_OWNER_KEEPER)
            n += 1
        if (owner & PGX_OWNER_KEEPER) >> PGX_OWNER_KEEPER_SHIFT == slot + 1:
            pgx_and64(&e.flags, ~r.layout.locked)
            _let_owner_go(e, ~<uint32_t>PGX_OWNER_KEEPER)
            n += 1
    return n


cdef inline void release_trees(pgx_region *r, uint32_t slot) noexcept nogil:
    """A call holds trees without a record of which."""
    cdef uint32_t i
    for i in range(r.nmappings):
        xa_release(&r.mappings[i].pages, slot)


cdef inline void clear_pins(pgx_region *r, uint32_t slot) noexcept nogil:
    cdef uint32_t process = slot - 1 - r.workers
    cdef uint32_t i
    for i in range(PGX_PINS):
        if r.pins[process * PGX_PINS + i]:
            pgx_store64(&r.pins[process * PGX_PINS + i], 0)
    if r.pin_tops[process]:
        pgx_store32(&r.pin_tops[process], 0)


# ---- a process that is gone --------------------------------------------------------------------------------------------

cdef inline bint is_gone(const pgx_region *r, uint32_t process) noexcept nogil:
    """Whether no slot is claimed by a process: one that is alive has one as long as it lives, and before it holds a page."""
    cdef uint32_t slot
    for slot in range(1, r.nslots):
        if pgx_load64(&pgx_slot_at(r, slot).claim) & 0xff == process + 1:
            return False
    return True


cdef inline bint _drop_held(pgx_region *r, uint32_t pfn, uint32_t slot, uint64_t until) noexcept nogil:
    """Takes the reference of a process that is gone from a page; the page goes with it when it was the last."""
    cdef pgx_entry *e = &r.entries[pfn]
    cdef Undo u = structure_undo(r, slot)
    cdef uint32_t refs = structural_refs(r, e)
    if refs == 0:
        if drop_last(&u, pfn, until) != 0:  # pinned by another process: it stays
            return False
        undo_commit(&u)
        finish_drop(r, pfn, slot)
        return True
    put32(&u, &e.refs, refs)
    put16(&u, &e.held, 0)
    undo_commit(&u)
    return True


cdef inline uint32_t free_orphans(pgx_region *r, uint32_t slot, uint64_t until) noexcept nogil:
    """Takes back what processes held that are gone: how many pages. Those that somebody has locked stay as they are."""
    cdef uint32_t n = 0
    cdef uint64_t pfn
    cdef uint16_t held
    cdef pgx_entry *e
    for pfn in range(r.nframes):
        e = &r.entries[pfn]
        held = pgx_load16(&e.held)
        if held == 0 or pgx_load8(&e.state) != PGX_USED or pgx_holder(held) == r.process + 1 or \
                not is_gone(r, pgx_holder(held) - 1):
            continue
        if not page_enter(e, slot):
            continue
        if e.held == held and e.state == PGX_USED and not pgx_load32(&e.refs) & PGX_FROZEN:
            n += _drop_held(r, <uint32_t>pfn, slot, until)
        page_leave(e, slot)
    return n
