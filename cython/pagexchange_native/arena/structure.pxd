"""The structure lock: one for all trees, pools, page tables, mappings and spaces of an arena. Its word names the slot.

One lock, so that no section nests in another and no undo record runs over somebody's later change. A tree that exchanges
hold is not waited for with this lock in hand: let go, wait, try again. A node's lock may be taken under it, not the reverse.
"""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.arena.locks cimport spin_lock, spin_unlock
from pagexchange_native.format cimport pgx_region


cdef inline int structure_lock(pgx_region *r, uint32_t slot, uint64_t until) noexcept nogil:
    """0, or -EAGAIN when another call has it still at `until` (ns of `now_ns`)."""
    return spin_lock(&r.header.structure, slot + 1, until)


cdef inline void structure_unlock(pgx_region *r) noexcept nogil:
    spin_unlock(&r.header.structure)
