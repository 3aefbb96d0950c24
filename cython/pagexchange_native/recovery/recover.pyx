# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Ends what the dead owner of a slot has begun: docs/architecture.md, Recovery.

First the claim is taken, one generation later; then the undo records, what is to be freed, the exchange, and all that names
the slot. Each part can be stopped anywhere and begun again, by the next one who takes the claim. A slot whose record makes
no sense keeps its claim, and what it has locked.
"""

import errno
from operator import index as as_int
from typing import NamedTuple

from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.errors import ArenaBusyError

from libc.errno cimport EAGAIN, ENOMEM, EUCLEAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from pagexchange_native.arena.allocator cimport free_locked, pgx_free
from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.arena.slots cimport leave_slot, release_slot, use_slot
from pagexchange_native.arena.undo cimport Undo, node_undo, structure_undo
from pagexchange_native.engine.worker cimport Worker, guard_install, recover_batch
from pagexchange_native.format cimport *
from pagexchange_native.movers.mover cimport isa_of
from pagexchange_native.movers.moves cimport pgx_isa
from pagexchange_native.recovery.owners cimport clear_pins, free_orphans, is_gone, leave_all_pages, release_trees
from pagexchange_native.recovery.saved cimport saved_back, saved_makes_sense
from pagexchange_native.xarray.store cimport xa_commit

PHASES = ("idle", "intent", "data", "meta", "help", "back", "tails")

class Recovered(NamedTuple):
    """What became of one slot."""

    slot: int
    process: int
    """Number of the process that had claimed it."""
    outcome: str
    """"recovered"; "quarantined": its record makes no sense, it is left as it is; "waits": another slot comes first, the one that it helps,
    or that has the lock of a node."""
    phase: str
    """Of its exchange, as it was found: "idle" when there was none."""
    words: int
    """Put back by its undo records."""
    pages: int
    """That it had locked for a call or for its user, and that are unlocked."""
    freed: int
    """Pages that nobody else had, given back."""


cdef enum:
    NODE_PATIENCE = 1_000_000_000  # ns that a node's lock is waited for


cdef struct Found:  # what was done for one slot
    uint32_t words, pages, freed


# ---- the undo records, and what depends on their locks -----------------------------------------------------------------

cdef pgx_xarray *_tree_of(pgx_region *r, uint64_t at) noexcept nogil:
    """The array that a slot names as the one that it changes; NULL: none."""
    cdef uint32_t i
    for i in range(r.nmappings):
        if at == <uint64_t>(<uint8_t *>&r.mappings[i].pages - r.base):
            return &r.mappings[i].pages
    for i in range(r.nspaces):
        if at == <uint64_t>(<uint8_t *>&r.spaces[i].tables - r.base):
            return &r.spaces[i].tables
    return NULL


cdef uint32_t _structure_back(pgx_region *r, uint32_t slot) noexcept nogil:
    """Puts back what does not count, and ends what does: sub-trees that were unlinked go to the pool."""
    cdef Undo u = structure_undo(r, slot)
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    cdef pgx_xarray *xa = NULL
    cdef uint32_t n
    if pgx_load32(&r.header.structure) == slot + 1:
        xa = _tree_of(r, s.tree)
    if xa == NULL:
        return saved_back(&u)
    pgx_store32(&xa.seq, (xa.seq + 1) | 1)
    pgx_fence()
    n = saved_back(&u)
    xa_commit(&u, xa)
    pgx_store32(&xa.seq, xa.seq + 1)
    if pgx_load64(&xa.lock) == PGX_XA_WRITER:
        pgx_store64(&xa.lock, 0)
    return n


cdef bint _give(pgx_region *r, uint32_t slot, uint64_t until) noexcept nogil:
    """Frees the page that the slot was about to free: whether there was one."""
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    cdef uint64_t pfn = s.give - 1
    cdef const pgx_entry *e
    cdef bint mine = False
    cdef int n
    if s.give and pfn < r.nframes:
        e = &r.entries[pfn]
        n = pgx_node_of(r, pfn)
        mine = e.state == PGX_USED and pgx_load32(&e.owner) & PGX_OWNER_SLOT == slot + 1 and pgx_load32(&e.refs) == 0
        if mine and n >= 0 and pgx_load32(&r.nodes[n].lock) == slot + 1 and e.order <= PGX_MAX_ORDER:
            free_locked(r, <uint32_t>pfn, slot)
        elif mine:
            mine = pgx_free(r, <uint32_t>pfn, slot, until, NULL) == 0
    pgx_store64(&s.give, 0)
    return mine


cdef bint _undo(pgx_region *r, uint32_t slot, uint64_t until, Found *found) noexcept nogil:
    """Points 1 and 2. False: a record makes no sense, and nothing was changed."""
    cdef Undo of_node = node_undo(r, slot)
    cdef Undo of_structure = structure_undo(r, slot)
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    cdef uint32_t i
    if not saved_makes_sense(&of_node, True) or not saved_makes_sense(&of_structure, False):
        return False
    found.words += saved_back(&of_node)
    found.words += _structure_back(r, slot)
    pgx_store64(&s.tree, 0)
    found.freed += _give(r, slot, until)
    for i in range(r.nnodes):
        if pgx_load32(&r.nodes[i].lock) == slot + 1:
            pgx_store32(&r.nodes[i].lock, 0)
    if pgx_load32(&r.header.structure) == slot + 1:
        pgx_store32(&r.header.structure, 0)
    return True


# ---- helpers -------------------------------------------------------------------------------------------------------------

cdef bint _waits(const pgx_region *r, uint32_t slot) noexcept nogil:
    """Whether a slot's part of a folio is still its parent's to finish."""
    cdef const pgx_slot *s = pgx_slot_at(r, slot)
    cdef uint32_t phase = pgx_load64(&s.state) & 0xff
    cdef uint64_t of_parent
    if s.parent == 0 or s.parent > r.workers + 1 or (phase != PGX_HELP and phase != PGX_BACK):
        return False
    of_parent = pgx_load64(&pgx_slot_at(r, s.parent - 1).state)
    return of_parent & 0xff == PGX_DATA and pgx_step_of(of_parent) == PGX_SPLIT


cdef int _exchange(pgx_region *r, uint32_t slot, const pgx_isa *isa, uint64_t until) noexcept nogil:
    """Point 3 for a worker's slot: 0, -EUCLEAN, -EAGAIN. A helper has none of its own."""
    cdef pgx_slot *s = pgx_slot_at(r, slot)
    cdef uint32_t phase = pgx_load64(&s.state) & 0xff
    cdef Worker *w
    cdef int rc
    if s.parent or phase == PGX_HELP:
        if phase != PGX_IDLE and phase != PGX_HELP and phase != PGX_BACK:
            return -EUCLEAN
        pgx_publish(&s.state, PGX_IDLE)
        pgx_store32(&s.parent, 0)
        return 0
    w = <Worker *>calloc(1, sizeof(Worker))
    if w == NULL:
        return -ENOMEM
    w.r = r
    w.rec = s
    w.slot = slot
    w.isa = isa
    rc = recover_batch(w, until)
    free(w)
    return rc


# ---- a slot --------------------------------------------------------------------------------------------------------------

cdef int _recover(pgx_region *r, uint32_t slot, const pgx_isa *isa, uint64_t patience, Found *found) noexcept nogil:
    """What the claimed slot's former owner has left: 0; -EUCLEAN: the record makes no sense; -EAGAIN: another slot has a node
    for longer than `patience` (ns); -ENOMEM."""
    cdef uint64_t until = now_ns() + patience
    cdef int rc = 0
    if not _undo(r, slot, until, found):
        return -EUCLEAN
    if slot <= r.workers:
        rc = _exchange(r, slot, isa, until)
        if rc != 0:
            return rc
    else:
        release_trees(r, slot)
        clear_pins(r, slot)
        found.pages += leave_all_pages(r, slot)
    return 0


cdef object _of_dead(Region arena, uint32_t slot, const pgx_isa *isa, uint64_t patience):
    """Recovers a slot that nobody of this process is at work with, by `use_slot`; None when it is free."""
    cdef pgx_region *r = arena.region
    cdef uint64_t *word = &pgx_slot_at(r, slot).claim
    cdef uint64_t claim = pgx_load64(word)
    cdef uint64_t taken = (((claim >> 8) + 1) << 8) | (r.process + 1)
    cdef uint32_t process = claim & 0xff
    cdef Found found = Found(0, 0, 0)
    cdef int rc = 0
    cdef uint32_t phase = pgx_load64(&pgx_slot_at(r, slot).state) & 0xff
    name = PHASES[phase] if phase < len(PHASES) else "unknown"
    if process == 0:
        leave_slot(r, slot)
        return None
    if _waits(r, slot):
        leave_slot(r, slot)
        return Recovered(slot, process - 1, "waits", name, 0, 0, 0)
    if not pgx_cas64(word, claim, taken):
        leave_slot(r, slot)
        return None  # another process was quicker
    with nogil:
        rc = _recover(r, slot, isa, patience, &found)
        if rc == 0 and is_gone(r, process - 1):
            found.freed += free_orphans(r, slot, now_ns() + NODE_PATIENCE)
    if rc != 0:
        pgx_cas64(word, taken, (((taken >> 8) + 1) << 8) | process)
        leave_slot(r, slot)
        if rc == -ENOMEM:
            raise MemoryError("no memory for a worker's state")
        outcome = "waits" if rc == -EAGAIN else "quarantined"
        return Recovered(slot, process - 1, outcome, name, found.words, found.pages, found.freed)
    release_slot(r, slot)
    return Recovered(slot, process - 1, "recovered", name, found.words, found.pages, found.freed)


cdef object _in_all(before, done):
    """What was done for a slot, with what was done in a round before that had to wait."""
    if before is None:
        return done
    sums = {name: getattr(before, name) + getattr(done, name) for name in ("words", "pages", "freed")}
    return done._replace(phase=before.phase, **sums)


def recover(Region arena not None, slot=None):
    """End what dead processes have begun, so that everything is exactly as before it or exactly as after it.

    Parameters
    ----------
    slot : int, optional
        Only this one, of 1 to the number of slots less 1. Otherwise all that are claimed and that no call of this process is at
        work with, each after those that it waits for.

    Returns
    -------
    tuple of Recovered
        One for each slot that was not free.

    Raises
    ------
    ArenaBusyError
        A call of this process is at work with the slot, or it is the process's own.
    IndexError
        No such slot.
    """
    cdef Use use = arena.use()
    cdef pgx_region *r = arena.region
    cdef const pgx_isa *isa = isa_of("auto")
    cdef uint32_t number
    refuse_plugin_of(arena, "recover slots")
    guard_install()
    if slot is not None:
        wanted = as_int(slot)
        if not 0 < wanted < r.nslots:
            raise IndexError(f"slot {wanted}: there are 1 to {r.nslots - 1}")
        number = wanted
        if not use_slot(r, number):
            raise ArenaBusyError(errno.EBUSY, f"slot {number}: this process is at work with it; nothing was changed")
        done = _of_dead(arena, number, isa, NODE_PATIENCE)
        return () if done is None else (done,)
    found = {}
    cdef uint64_t patience = 0  # at first: who has a node may be dead, too, and come later in this list
    # Calls first: what they have locked, exchanges wait for, and not the other way round.
    left = [*range(r.workers + 1, r.nslots), *range(1, r.workers + 1)]
    while left:
        waiting = []
        for number in left:
            if not use_slot(r, number):
                continue
            done = _of_dead(arena, number, isa, patience)
            if done is not None:
                found[number] = _in_all(found.get(number), done)
                if done.outcome == "waits":
                    waiting.append(number)
        if waiting == left:
            if patience:
                break
            patience = NODE_PATIENCE
        left = waiting
    return tuple(found[number] for number in sorted(found))
