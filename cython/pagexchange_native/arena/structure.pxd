"""The structure lock: one for all trees, pools, page tables, mappings and spaces of an arena. Its word names the slot.

One lock, so that no section nests in another and no undo record runs over somebody's later change. A tree that exchanges
hold is not waited for with this lock in hand: let go, wait, try again. A node's lock may be taken under it, not the reverse.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.arena.locks cimport wait_until
from pagexchange_native.format cimport pgx_cas32, pgx_load32, pgx_region, pgx_store32


cdef inline int structure_lock(pgx_region *r, uint32_t slot, uint64_t until) noexcept nogil:
    """0, or -EAGAIN when another call has it still at `until` (ns of `now_ns`)."""
    cdef uint32_t *word = &r.header.structure
    cdef uint32_t turn = 0
    while pgx_load32(word) != 0 or not pgx_cas32(word, 0, slot + 1):
        if not wait_until(&turn, until):
            return -EAGAIN
    return 0


cdef inline void structure_unlock(pgx_region *r) noexcept nogil:
    pgx_store32(&r.header.structure, 0)
