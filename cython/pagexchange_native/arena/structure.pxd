"""The structure lock: one for all trees, pools, page tables, mappings and spaces of an arena. Its word names the slot.

One lock, so that no section nests in another and no undo record runs over somebody's later change. A tree that exchanges
hold is not waited for with this lock in hand: let go, wait, try again. A node's lock may be taken under it, not the reverse.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport now_ns, spin_lock, spin_unlock
from pagexchange_native.format cimport pgx_load32, pgx_load64, pgx_region, pgx_slot_at

cdef enum:
    STRUCTURE_PATIENCE = 5_000_000_000  # ns that a call waits for another one's change of structure

cdef struct Owner:  # of what was not had in time
    uint32_t slot   # 0: it was let go meanwhile
    uint8_t phase   # of an exchange


cdef inline Owner owner_of(const pgx_region *r, uint32_t slot) noexcept nogil:
    return Owner(slot, <uint8_t>pgx_load64(&pgx_slot_at(r, slot).state) if 0 < slot < r.nslots else 0)


cdef inline Owner owner_of_structure(const pgx_region *r) noexcept nogil:
    cdef uint32_t word = pgx_load32(&r.header.structure)
    return owner_of(r, word - 1 if word else 0)


cdef inline int structure_lock(pgx_region *r, uint32_t slot, uint64_t until) noexcept nogil:
    """0, or -EAGAIN when another call has it still at `until` (ns of `now_ns`)."""
    return spin_lock(&r.header.structure, slot + 1, until)


cdef inline int structure_enter(pgx_region *r, uint32_t slot, uint64_t until, Owner *who) noexcept nogil:
    """The same, and says who has it. A plug-in, whose `until` is 0, waits some time nevertheless: who has the lock waits
    neither for an exchange nor for the GIL."""
    if structure_lock(r, slot, until) == 0:
        return 0
    if until == 0 and structure_lock(r, slot, now_ns() + STRUCTURE_PATIENCE) == 0:
        return 0
    who[0] = owner_of_structure(r)
    return -EAGAIN


cdef inline void structure_unlock(pgx_region *r) noexcept nogil:
    spin_unlock(&r.header.structure)
