# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The page cache: which frame holds which page of a mapping (`filemap_add_folio`, `filemap_remove_folio`)."""

import numpy as np

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
    ETXTBSY,
)
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.page_lock cimport page_lock, page_unlock
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.arena.slots cimport FACE
from pagexchange_native.format cimport *
from pagexchange_native.pages.placing cimport Refusal, Target, lock_page, look_up, place_pages, state_before
from pagexchange_native.xarray.store cimport xa_store
from pagexchange_native.xarray.tree cimport xa_load, xa_lock, xa_unlock

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


cdef void _count(pgx_region *r, pgx_mapping *m, uint64_t pfn, uint64_t frames) noexcept nogil:
    """Adds a page's frames (or their negative) to the counters of its mapping and of its node."""
    cdef pgx_node *node = &r.nodes[pgx_node_of(r, pfn)]
    pgx_add64(&m.nr_pages, frames)
    pgx_add64(&node.counter[PGX_NR_FILE], frames)
    if m.shmem:
        pgx_add64(&node.counter[PGX_NR_SHMEM], frames)
    if pgx_load64(&r.entries[pfn].flags) & r.layout.dirty:
        pgx_add64(&node.counter[PGX_NR_DIRTY], frames)


cdef int _add(const Target *t, uint64_t index, uint64_t pfn, uint8_t *was, Refusal *why) noexcept nogil:
    cdef pgx_region *r = t.r
    cdef pgx_mapping *m = &r.mappings[t.number]
    cdef pgx_entry *e
    cdef uint64_t old = 0
    cdef uint64_t frames, k
    cdef int rc
    if index >> 56:
        return -ERANGE
    rc = lock_page(r, pfn, t.until, why)
    if rc != 0:
        return rc
    e = &r.entries[pfn]
    frames = 1ull << e.order
    if e.mapping or e.mapcount:
        rc = -EEXIST
    elif index & (frames - 1):
        rc = -EINVAL
    if rc != 0:
        page_unlock(e)
        return rc
    xa_lock(&m.pages, FACE)
    if not m.used or m.generation != t.generation:
        rc = -ESTALE
    else:
        for k in range(frames):
            old = xa_load(r, &m.pages, index + k)
            if old:
                why.taken, why.holder = index + k, pgx_xa_value(old)
                rc = -EADDRINUSE
                break
        else:
            rc = xa_store(r, &m.pages, index, e.order, pgx_xa_entry(pfn), &old)
    if rc == 0:
        was[0] = state_before(r, e)
        pgx_store64(&e.mapping, <uint64_t>(t.number + 1) << 2)
        e.index = index
        if m.shmem:
            pgx_or64(&e.flags, r.layout.swapbacked)
        # The cache has a reference for each base page; the first takes over the caller's.
        pgx_add32(&e.refs, <uint32_t>frames - e.held)
        pgx_store8(&e.held, 0)
        _count(r, m, pfn, frames)
    xa_unlock(&m.pages)
    page_unlock(e)
    return rc


cdef int64_t _take_out(pgx_region *r, uint32_t number, uint64_t index, bint pinned, uint64_t until) noexcept nogil:
    """Takes the page at `index` out of the tree: its frame, locked, with the cache's references; or -errno.

    `pinned`: a pinned one, too. `until`: how long it waits for the page's lock.
    """
    cdef pgx_mapping *m = &r.mappings[number]
    cdef uint64_t entry = xa_load(r, &m.pages, index)
    cdef uint64_t old = 0
    cdef uint64_t pfn
    cdef pgx_entry *e
    cdef int rc = 0
    if entry == 0:
        return -ENOENT
    pfn = pgx_xa_value(entry)
    if pfn >= r.nframes:
        return -EFAULT
    e = &r.entries[pfn]
    rc = page_lock(e, until)
    if rc:
        return rc
    # Looked up again: between the look-up and the lock an exchange may have moved the page to another frame.
    if e.mapping != <uint64_t>(number + 1) << 2 or xa_load(r, &m.pages, index) != entry:
        rc = -EAGAIN
    elif e.mapcount:
        rc = -ENOTEMPTY
    elif not pinned and pgx_pinned(r, pfn, e.order):
        rc = -ETXTBSY
    if rc:
        page_unlock(e)
        return rc
    xa_lock(&m.pages, FACE)
    xa_store(r, &m.pages, e.index, e.order, 0, &old)
    xa_unlock(&m.pages)
    _count(r, m, pfn, -(1ull << e.order))
    pgx_store64(&e.mapping, 0)
    e.index = 0
    return <int64_t>pfn


cdef int64_t _take_out_again(const Target *t, uint64_t index) noexcept nogil:
    """Whoever pinned the page since it was added gets it back as it was, pinned."""
    return _take_out(t.r, t.number, index, True, t.until)


cdef uint32_t _refs(const pgx_entry *e) noexcept nogil:
    return 1u << e.order


cdef int64_t _load(pgx_region *r, uint32_t number, uint64_t index) noexcept nogil:
    cdef uint64_t entry = xa_load(r, &r.mappings[number].pages, index)
    return <int64_t>pgx_xa_value(entry) if entry else -1


def add(Region arena not None, mapping, indexes, pfns):
    """Put the pages in frames `pfns` (integers) at positions `indexes` (integers, base pages) of a mapping.

    A folio's index is a multiple of its size. The pages must be in use and nowhere mapped; the caller's reference, the
    one of `alloc`, is the mapping's from then on. All or nothing: ValueError, ArenaError or ArenaFullError names the
    first that cannot be added, and why.
    """
    cdef Use use = arena.use()
    cdef pgx_mapping *m = _mapping(arena, mapping)
    cdef Target target = Target(
        arena.region, as_number(mapping, "mapping"), pgx_load32(&m.generation), 0, arena.deadline()
    )
    refuse_plugin_of(arena, "add pages to a mapping")
    place_pages(arena, &target, POSITIONS, indexes, pfns, _add, _take_out_again, _refs)


def load(Region arena not None, mapping, index):
    """Frame that holds position `index` (base pages) of a mapping, or -1; of several, int64 of the same shape.

    Takes no lock (`filemap_get_entry`). ValueError names a position that is out of range.
    """
    cdef Use use = arena.use()
    _mapping(arena, mapping)
    return look_up(arena, as_number(mapping, "mapping"), POSITIONS, index, _load)


def remove(Region arena not None, mapping, index):
    """Take the page at `index` out of a mapping (truncate): its frame, freed when nothing else holds the page.

    -1 when there is none. ArenaError while the page is locked by lock(), mapped by a page table or pinned; ArenaBusyError
    when an exchange does not let it go.
    """
    cdef Use use = arena.use()
    cdef pgx_region *r = arena.region
    cdef uint32_t number
    cdef uint64_t at = _index(index)
    cdef uint64_t until = arena.deadline()
    cdef int64_t pfn
    cdef uint32_t frames
    cdef bint last
    cdef pgx_entry *e
    refuse_plugin_of(arena, "remove pages from a mapping")
    _mapping(arena, mapping)
    number = as_number(mapping, "mapping")
    with nogil:  # a holder of the tree may be waiting for the GIL
        pfn = _take_out(r, number, at, False, until)
        while pfn == -EAGAIN and now_ns() < until:  # it moved between look-up and lock
            pfn = _take_out(r, number, at, False, until)
    if pfn == -ENOENT:
        return -1
    if pfn < 0:
        raise not_taken(f"mapping {number}, index {at}", -pfn, "the page is pinned; unpin it first")
    e = &r.entries[pfn]
    frames = 1u << e.order
    if pgx_load64(&e.flags) & r.layout.private_:
        pgx_and64(&e.flags, ~r.layout.private_)
        e.private_ = 0
        frames += 1
    last = pgx_add32(&e.refs, -frames) == frames
    page_unlock(e)
    if last:
        pgx_free(r, <uint32_t>pfn, FACE + 1)
    return pfn


cdef int _give_up(pgx_mapping *m, uint32_t generation, uint64_t *pages) noexcept nogil:
    cdef int rc = 0
    xa_lock(&m.pages, FACE)
    pages[0] = pgx_load64(&m.nr_pages)
    if not m.used or m.generation != generation:
        rc = -ESTALE
    elif pages[0]:
        rc = -ENOTEMPTY
    elif pgx_load64(&m.pages.head):
        rc = -EEXIST
    else:
        m.pages.flags = 0  # its `seq` stays: who read it without a lock must not take a later tree for this one
        m.aops = 0
        m.shmem = 0
        memset(m.name, 0, sizeof(m.name))
        pgx_store32(&m.generation, generation + 1)
        pgx_store32(&m.used, 0)  # last: from here on the number may be given out
    xa_unlock(&m.pages)
    return rc


def remove_mapping(Region arena not None, mapping):
    """Give up a mapping without pages; `new_mapping` may give its number out again. ArenaError: something is in it."""
    cdef Use use = arena.use()
    cdef pgx_mapping *m = _mapping(arena, mapping)
    cdef uint32_t generation = pgx_load32(&m.generation)
    cdef uint64_t pages = 0
    cdef int rc
    refuse_plugin_of(arena, "remove a mapping")
    with nogil:
        rc = _give_up(m, generation, &pages)
    if rc != 0:
        raise not_removed("mapping", mapping, -rc, pages)


def set_private(Region arena not None, pfns, values):
    """Attach private data (uint64) to pages of a mapping: the flag `private`, the word and one reference.

    All or nothing: ValueError names the first that is no such page, ArenaError one that is locked by lock(),
    ArenaBusyError one that an exchange does not let go.
    """
    cdef Use use = arena.use()
    cdef pgx_entry *e
    cdef int64_t pfn
    cdef int rc = 0
    cdef uint64_t until = arena.deadline()
    which, words = np.broadcast_arrays(as_pfns(pfns), as_words(values, "values"))
    if not arena.region.layout.private_:
        raise ValueError("the layout has no flag 'private'")
    arena.in_range(np.ascontiguousarray(which))
    locked = []
    try:
        for pfn in np.unique(which).tolist():  # ascending: no cycle of waiters can form
            e = &arena.region.entries[pfn]
            with nogil:
                rc = page_lock(e, until)
            if rc == -EAGAIN:
                raise arena.busy(pfn, until)
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
            e.private_ = value
            if not pgx_or64(&e.flags, arena.region.layout.private_) & arena.region.layout.private_:
                pgx_add32(&e.refs, 1)
    finally:
        for pfn in locked:
            page_unlock(&arena.region.entries[pfn])
