# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A change of a tree by a call: the structure lock, the tree as its writer, and the slot whose undo record it goes by.

The slot names the tree before the tree has a writer, and as long as it has: that is how recovery finds it. A tree that
exchanges hold is not waited for with the structure lock in hand.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport wait_until
from pagexchange_native.arena.slots cimport claim_call, release_slot
from pagexchange_native.arena.structure cimport (
    Owner,
    owner_of,
    owner_of_structure,
    structure_enter,
    structure_unlock,
)
from pagexchange_native.arena.undo cimport Undo, structure_undo
from pagexchange_native.format cimport (
    PGX_XA_WRITER,
    pgx_load64,
    pgx_region,
    pgx_slot_at,
    pgx_store64,
    pgx_xarray,
)
from pagexchange_native.xarray.store cimport xa_commit
from pagexchange_native.xarray.tree cimport xa_trylock, xa_unlock

cdef struct Change:
    Undo undo
    pgx_xarray *xa


cdef inline Owner owner_of_tree(const pgx_region *r, const pgx_xarray *xa) noexcept nogil:
    """The first of its holders."""
    cdef uint64_t word = pgx_load64(&xa.lock)
    cdef uint32_t slot = 1
    if word == 0 or word & PGX_XA_WRITER:
        return owner_of_structure(r)
    while not word >> slot & 1:
        slot += 1
    return owner_of(r, slot)


cdef inline int tree_enter(pgx_region *r, uint32_t slot, pgx_xarray *xa, uint64_t until, Owner *who) noexcept nogil:
    """Takes the structure lock and the tree: 0, or -EAGAIN and who has one of them still at `until` (ns of `now_ns`)."""
    cdef uint32_t turn = 0
    cdef uint64_t *tree = &pgx_slot_at(r, slot).tree
    while True:
        if structure_enter(r, slot, until, who) != 0:
            return -EAGAIN
        pgx_store64(tree, <uint64_t>(<uint8_t *>xa - r.base))
        if xa_trylock(xa):
            return 0
        pgx_store64(tree, 0)
        structure_unlock(r)
        if not wait_until(&turn, until):
            who[0] = owner_of_tree(r, xa)
            return -EAGAIN


cdef inline void tree_leave(Undo *u, pgx_xarray *xa) noexcept nogil:
    """Makes the change count, and lets the tree and the structure lock go."""
    xa_commit(u, xa)
    xa_unlock(xa)
    pgx_store64(&pgx_slot_at(u.r, u.slot).tree, 0)
    structure_unlock(u.r)


cdef inline int change_begin(pgx_region *r, pgx_xarray *xa, uint64_t until, Change *change, Owner *who) noexcept nogil:
    """Claims a slot for one change, and enters the tree: 0; -EUSERS no slot, -EAGAIN and who has it."""
    cdef int64_t slot = claim_call(r, until)
    cdef int rc
    who[0] = Owner(0, 0)
    if slot < 0:
        return <int>slot
    rc = tree_enter(r, <uint32_t>slot, xa, until, who)
    if rc != 0:
        release_slot(r, <uint32_t>slot)
        return rc
    change.undo = structure_undo(r, <uint32_t>slot)
    change.xa = xa
    return 0


cdef inline void change_end(Change *change) noexcept nogil:
    tree_leave(&change.undo, change.xa)
    release_slot(change.undo.r, change.undo.slot)
