# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The page cache: which frame holds which page of a mapping (`filemap_add_folio`, `filemap_remove_folio`).

A page is put in or taken out in one commit: tree, entry, counts. The caller has its lock, and then the structure lock; its
identity is stored last when it comes, and first when it goes.
"""

import numpy as np

from pagexchange_native.arena.owners import who
from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.errors import ArenaError
from pagexchange_native.integers import as_number, as_pfns, as_words
from pagexchange_native.pages.refusals import Places, identity, no_page, not_removed, not_taken

from libc.errno cimport (
    EADDRINUSE,
    EAGAIN,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    ENOENT,
    ENOTEMPTY,
    ERANGE,
    ESTALE,
    ETIMEDOUT,
    ETXTBSY,
)
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from pagexchange_native.arena.counters cimport counter_add
from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.page_lock cimport page_lock, page_unlock
from pagexchange_native.arena.references cimport drop_last, finish_drop, pinned_for_long
from pagexchange_native.arena.region cimport CallSlot, Region, Use
from pagexchange_native.arena.structure cimport Owner
from pagexchange_native.arena.undo cimport (
    Undo,
    clear_bits,
    put16,
    put32,
    put64,
    set_bits,
    structure_undo,
    undo_commit,
)
from pagexchange_native.format cimport *
from pagexchange_native.pages.placing cimport (
    WAS_HELD,
    WAS_SWAPBACKED,
    Refusal,
    Target,
    lock_page,
    look_up,
    place_pages,
    state_before,
)
from pagexchange_native.xarray.change cimport tree_enter, tree_leave
from pagexchange_native.xarray.store cimport xa_store
from pagexchange_native.xarray.tree cimport xa_find_word, xa_load, xa_slot_number

POSITIONS = Places(
    "mapping", "index", "indexes", 56, "no XArray node left; create the arena with more (xa_nodes=...)"
)


cdef pgx_mapping *_mapping(Region arena, object mapping) except NULL:
    arena.check()
    number = as_number(mapping, "mapping")
    if not 0 <= number < arena.region.nmappings or not pgx_load32(&arena.region.mappings[<uint32_t>number].used):
        raise LookupError(f"mapping {number}: unknown; new_mapping() makes one")
    return &arena.region.mappings[<uint32_t>number]


cdef uint64_t _index(object index) except? 0xffffffffffffffff:
    number = as_number(index, "index")
    if not 0 <= number < 1 << 56:
        raise ValueError(f"index {number}: want 0 to 2^56 - 1")
    return <uint64_t>number


cdef void _count(Undo *u, pgx_mapping *m, uint64_t pfn, int64_t frames) noexcept nogil:
    """Adds a page's frames (or their negative) to the counters of its mapping and of its node."""
    cdef uint32_t node = pgx_node_of(u.r, pfn)
    put64(u, &m.nr_pages, m.nr_pages + <uint64_t>frames)
    counter_add(u, node, PGX_NR_FILE, frames)
    if m.shmem:
        counter_add(u, node, PGX_NR_SHMEM, frames)
    if pgx_load64(&u.r.entries[pfn].flags) & u.r.layout.dirty:
        counter_add(u, node, PGX_NR_DIRTY, frames)


cdef int _enter_page(Undo *u, const Target *t, uint64_t index, uint64_t pfn, uint32_t *was, Refusal *why) noexcept nogil:
    """What `_add` does once the page and the tree are the caller's."""
    cdef pgx_region *r = t.r
    cdef pgx_mapping *m = &r.mappings[t.number]
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint64_t frames = 1ull << e.order
    cdef uint64_t old = 0
    cdef uint64_t k
    cdef int rc
    if not m.used or m.generation != t.generation:
        return -ESTALE
    for k in range(frames):
        old = xa_load(r, &m.pages, index + k)
        if old:
            why.taken, why.holder = index + k, pgx_xa_value(old)
            return -EADDRINUSE
    rc = xa_store(u, &m.pages, index, e.order, pgx_xa_entry(pfn), NULL)
    if rc != 0:
        return rc
    was[0] = state_before(r, e)
    put32(u, &e.slot, xa_slot_number(r, &m.pages, xa_find_word(r, &m.pages, index, NULL)))
    if m.shmem:
        set_bits(u, &e.flags, r.layout.swapbacked)
    # The cache has a reference for each base page; the first takes over the caller's.
    if e.held:
        put16(u, &e.held, 0)
        frames -= 1
    if frames:
        put32(u, &e.refs, pgx_load32(&e.refs) + <uint32_t>frames)
    _count(u, m, pfn, <int64_t>1 << e.order)
    put64(u, &e.index, index)
    put64(u, &e.mapping, <uint64_t>(t.number + 1) << 2)
    return 0


cdef int _add(const Target *t, uint64_t index, uint64_t pfn, uint32_t *was, Refusal *why) noexcept nogil:
    cdef pgx_region *r = t.r
    cdef pgx_xarray *xa = &r.mappings[t.number].pages
    cdef pgx_entry *e
    cdef Undo u = structure_undo(r, t.slot)
    cdef int rc
    if index >> 56:
        return -ERANGE
    rc = lock_page(t, pfn, why)
    if rc != 0:
        return rc
    e = &r.entries[pfn]
    if e.mapping or e.mapcount:
        rc = -EEXIST
    elif index & ((1ull << e.order) - 1):
        rc = -EINVAL
    elif tree_enter(r, t.slot, xa, t.until, &why.owner) != 0:
        rc = -ETIMEDOUT
    else:
        rc = _enter_page(&u, t, index, pfn, was, why)
        tree_leave(&u, xa)
    page_unlock(e, t.slot)
    return rc


cdef int64_t _lock_at(const Target *t, uint64_t index) noexcept nogil:
    """Locks the page at `index`, that no page table maps: its frame, or -errno."""
    cdef pgx_region *r = t.r
    cdef uint64_t entry = xa_load(r, &r.mappings[t.number].pages, index)
    cdef uint64_t pfn
    cdef pgx_entry *e
    cdef int rc = 0
    if entry == 0:
        return -ENOENT
    pfn = pgx_xa_value(entry)
    if pfn >= r.nframes:
        return -EFAULT
    e = &r.entries[pfn]
    rc = page_lock(r, e, t.slot, t.until)
    if rc:
        return rc
    # Looked up again: between the look-up and the lock an exchange may have moved the page to another frame.
    if e.mapping != <uint64_t>(t.number + 1) << 2 or xa_load(r, &r.mappings[t.number].pages, index) != entry:
        rc = -EAGAIN
    elif e.order > PGX_MAX_ORDER:
        rc = -EINVAL
    elif e.mapcount:
        rc = -ENOTEMPTY
    if rc:
        page_unlock(e, t.slot)
        return rc
    return <int64_t>pfn


cdef void _leave_mapping(Undo *u, const Target *t, uint64_t pfn) noexcept nogil:
    """Takes a page's identity, its place in the tree, and what is counted; its references are the caller's business."""
    cdef pgx_mapping *m = &t.r.mappings[t.number]
    cdef pgx_entry *e = &t.r.entries[pfn]
    put64(u, &e.mapping, 0)
    xa_store(u, &m.pages, e.index, e.order, 0, NULL)
    _count(u, m, pfn, -(<int64_t>1 << e.order))
    put64(u, &e.index, 0)
    put32(u, &e.slot, 0)


cdef int64_t _remove(const Target *t, uint64_t index, Owner *owner) noexcept nogil:
    """Takes the page at `index` out for good: its frame, freed when nothing else holds the page; or -errno."""
    cdef pgx_region *r = t.r
    cdef pgx_xarray *xa = &r.mappings[t.number].pages
    cdef int64_t pfn = _lock_at(t, index)
    cdef pgx_entry *e
    cdef Undo u = structure_undo(r, t.slot)
    cdef uint32_t refs
    cdef bint last
    cdef int rc = 0
    if pfn < 0:
        return pfn
    e = &r.entries[pfn]
    if pinned_for_long(r, pfn, e.order):
        rc = -ETXTBSY
    elif tree_enter(r, t.slot, xa, t.until, owner) != 0:
        rc = -ETIMEDOUT
    if rc:
        page_unlock(e, t.slot)
        return rc
    refs = 1u << e.order
    if pgx_load64(&e.flags) & r.layout.private_:
        refs += 1
    last = pgx_load32(&e.refs) == refs
    rc = drop_last(&u, <uint32_t>pfn, t.until) if last else 0
    if rc == 0:
        _leave_mapping(&u, t, pfn)
        if clear_bits(&u, &e.flags, r.layout.private_):
            put64(&u, &e.private_, 0)
        if not last:
            put32(&u, &e.refs, pgx_load32(&e.refs) - refs)
    tree_leave(&u, xa)
    if last and rc == 0:
        finish_drop(r, <uint32_t>pfn, t.slot)
    else:
        page_unlock(e, t.slot)
    return pfn if rc == 0 else rc


cdef int _take_back(const Target *target, uint64_t index, uint32_t was, uint64_t until) noexcept nogil:
    """Whoever pinned the page since it was added gets it back as it was, pinned."""
    cdef Target t = target[0]
    cdef pgx_xarray *xa = &t.r.mappings[t.number].pages
    cdef Undo u = structure_undo(t.r, t.slot)
    cdef Owner owner
    cdef pgx_entry *e
    cdef int64_t pfn
    cdef int rc = -ETIMEDOUT
    t.until = until
    pfn = _lock_at(&t, index)
    if pfn < 0:
        return <int>pfn
    e = &t.r.entries[pfn]
    if tree_enter(t.r, t.slot, xa, until, &owner) == 0:
        rc = 0
        _leave_mapping(&u, &t, pfn)
        if not was & WAS_SWAPBACKED:
            clear_bits(&u, &e.flags, t.r.layout.swapbacked)
        put16(&u, &e.held, <uint16_t>(was & WAS_HELD))
        put32(&u, &e.refs, pgx_load32(&e.refs) - (1u << e.order) + (was & WAS_HELD != 0))
        tree_leave(&u, xa)
    page_unlock(e, t.slot)
    return rc


cdef int64_t _load(pgx_region *r, uint32_t number, uint64_t index) noexcept nogil:
    cdef uint64_t entry = xa_load(r, &r.mappings[number].pages, index)
    return <int64_t>pgx_xa_value(entry) if entry else -1


def add(Region arena not None, mapping, indexes, pfns):
    """Put the pages in frames `pfns` (integers) at positions `indexes` (integers, base pages) of a mapping.

    A folio's index is a multiple of its size. The pages must be in use and nowhere mapped; the caller's reference, the
    one of `alloc`, is the mapping's from then on. All or nothing: ValueError, ArenaError or ArenaFullError names the
    first that cannot be added, and why.
    """
    cdef CallSlot call = arena.call_slot()
    cdef pgx_mapping *m = _mapping(arena, mapping)
    cdef Target target = Target(
        arena.region, as_number(mapping, "mapping"), pgx_load32(&m.generation), 0, call.number, call.until
    )
    refuse_plugin_of(arena, "add pages to a mapping")
    place_pages(arena, &target, POSITIONS, indexes, pfns, _add, _take_back)


def load(Region arena not None, mapping, index):
    """Frame that holds position `index` (base pages) of a mapping, or -1; of several, int64 of the same shape.

    Takes no lock (`filemap_get_entry`). ValueError names a position that is out of range.
    """
    cdef Use use = arena.use()
    _mapping(arena, mapping)
    return look_up(arena, as_number(mapping, "mapping"), POSITIONS, index, _load)


cdef int64_t _remove_patiently(const Target *t, uint64_t index, Owner *owner) noexcept nogil:
    """`_remove`, again while the page moves between look-up and lock."""
    cdef int64_t pfn = _remove(t, index, owner)
    while pfn == -EAGAIN and now_ns() < t.until:
        pfn = _remove(t, index, owner)
    return pfn


def remove(Region arena not None, mapping, index):
    """Take the page at `index` out of a mapping (truncate): its frame, freed when nothing else holds the page.

    -1 when there is none. ArenaError while the page is locked by lock(), mapped by a page table or pinned; ArenaBusyError
    when an exchange does not let it go.
    """
    cdef uint64_t at = _index(index)
    cdef CallSlot call = arena.call_slot()
    cdef pgx_mapping *m = _mapping(arena, mapping)
    cdef Target t = Target(
        arena.region, as_number(mapping, "mapping"), pgx_load32(&m.generation), 0, call.number, call.until
    )
    cdef Owner owner = Owner(0, 0)
    cdef int64_t pfn
    refuse_plugin_of(arena, "remove pages from a mapping")
    with nogil:  # a holder of the tree may be waiting for the GIL
        pfn = _remove_patiently(&t, at, &owner)
    if pfn == -ENOENT:
        return -1
    if pfn < 0:
        raise not_taken(
            f"mapping {t.number}, index {at}", -pfn, "the page is pinned; unpin it first",
            who(owner.slot, owner.phase, arena.region.workers),
        )
    return pfn


cdef int _give_up(const Target *t, uint64_t *pages, Owner *owner) noexcept nogil:
    cdef pgx_mapping *m = &t.r.mappings[t.number]
    cdef Undo u = structure_undo(t.r, t.slot)
    cdef int rc = 0
    cdef uint32_t i
    if tree_enter(t.r, t.slot, &m.pages, t.until, owner) != 0:
        return -ETIMEDOUT
    pages[0] = m.nr_pages
    if not m.used or m.generation != t.generation:
        rc = -ESTALE
    elif pages[0]:
        rc = -ENOTEMPTY
    elif m.pages.head:
        rc = -EEXIST
    else:
        put32(&u, &m.pages.flags, 0)  # its `seq` stays: who read it without a lock must not take a later tree for this one
        put32(&u, &m.aops, 0)
        put32(&u, &m.shmem, 0)
        for i in range(sizeof(m.name) // 8):
            put64(&u, <uint64_t *>m.name + i, 0)
        put32(&u, &m.generation, m.generation + 1)
        put32(&u, &m.used, 0)  # last: from here on the number may be given out
    tree_leave(&u, &m.pages)
    return rc


def remove_mapping(Region arena not None, mapping):
    """Give up a mapping without pages; `new_mapping` may give its number out again. ArenaError: something is in it."""
    cdef CallSlot call = arena.call_slot()
    cdef pgx_mapping *m = _mapping(arena, mapping)
    cdef Target t = Target(
        arena.region, as_number(mapping, "mapping"), pgx_load32(&m.generation), 0, call.number, call.until
    )
    cdef Owner owner = Owner(0, 0)
    cdef uint64_t pages = 0
    cdef int rc
    refuse_plugin_of(arena, "remove a mapping")
    with nogil:
        rc = _give_up(&t, &pages, &owner)
    if rc != 0:
        raise not_removed("mapping", mapping, -rc, pages, who(owner.slot, owner.phase, arena.region.workers))


def set_private(Region arena not None, pfns, values):
    """Attach private data (uint64) to pages of a mapping: the flag `private`, the word and one reference.

    All or nothing: ValueError names the first that is no such page, ArenaError one that is locked by lock(),
    ArenaBusyError one that an exchange does not let go. Each page is a commit of its own, for who dies in between.
    """
    cdef CallSlot call = arena.call_slot()
    cdef uint64_t private_ = arena.region.layout.private_
    cdef Undo u = structure_undo(arena.region, call.number)
    cdef pgx_entry *e
    cdef int64_t pfn
    cdef int rc = 0
    which, words = np.broadcast_arrays(as_pfns(pfns), as_words(values, "values"))
    if not private_:
        raise ValueError("the layout has no flag 'private'")
    arena.in_range(np.ascontiguousarray(which))
    locked = []
    try:
        for pfn in np.unique(which).tolist():  # ascending: no cycle of waiters can form
            e = &arena.region.entries[pfn]
            with nogil:
                rc = page_lock(arena.region, e, call.number, call.until)
            if rc == -EAGAIN:
                raise arena.busy(pfn, call.until)
            if rc:
                raise ArenaError(f"frame {pfn}: the page is locked; unlock() it first")
            locked.append(pfn)
            if e.state != PGX_USED:
                raise ValueError(f"frame {pfn}: private data belongs to a page of a mapping; {no_page(e.state, e.head)}")
            if e.mapping == 0 or e.mapping & PGX_ANON:
                where = identity(e.mapping, e.index) if e.mapping else "in no mapping"
                raise ValueError(f"frame {pfn}: private data belongs to a page of a mapping; this one is {where}")
        for pfn, value in zip(which.tolist(), words.tolist()):
            e = &arena.region.entries[pfn]
            put64(&u, &e.private_, value)
            if set_bits(&u, &e.flags, private_):
                put32(&u, &e.refs, pgx_load32(&e.refs) + 1)
            undo_commit(&u)
    finally:
        for pfn in locked:
            page_unlock(&arena.region.entries[pfn], call.number)
