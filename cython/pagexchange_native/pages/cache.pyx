# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The page cache: which frame holds which page of a mapping (`filemap_add_folio`, `filemap_remove_folio`)."""

from operator import index as as_int

import numpy as np

from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.errors import ArenaError, not_placed, not_taken
from pagexchange_native.integers import as_pfns, as_places, as_words

from libc.errno cimport EAGAIN, EBUSY, EFAULT, EINVAL, ENOENT, ETXTBSY
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.arena.region cimport Region
from pagexchange_native.arena.slots cimport FACE
from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport *
from pagexchange_native.pages.placing cimport Target, place_all, state_before
from pagexchange_native.xarray.store cimport xa_store
from pagexchange_native.xarray.tree cimport xa_load, xa_lock, xa_unlock

cdef pgx_mapping *_mapping(Region arena, object number) except NULL:
    arena.check()
    if not 0 <= as_int(number) < arena.region.nmappings or not arena.region.mappings[<uint32_t>number].used:
        raise LookupError(f"mapping {number}: unknown; new_mapping() makes one")
    return &arena.region.mappings[<uint32_t>number]


cdef uint64_t _index(object index) except? 0xffffffffffffffff:
    if not 0 <= as_int(index) < 1 << 56:
        raise ValueError(f"index {index}: want 0 to 2^56 - 1")
    return <uint64_t>index


cdef void _count(pgx_region *r, pgx_mapping *m, uint64_t pfn, uint64_t frames) noexcept nogil:
    """Adds a page's frames (or their negative) to the counters of its mapping and of its node."""
    cdef pgx_node *node = &r.nodes[pgx_node_of(r, pfn)]
    pgx_add64(&m.nr_pages, frames)
    pgx_add64(&node.counter[PGX_NR_FILE], frames)
    if m.shmem:
        pgx_add64(&node.counter[PGX_NR_SHMEM], frames)
    if pgx_load64(&r.entries[pfn].flags) & r.layout.dirty:
        pgx_add64(&node.counter[PGX_NR_DIRTY], frames)


cdef int _add(const Target *t, uint64_t index, uint64_t pfn, uint8_t *was) noexcept nogil:
    cdef pgx_region *r = t.r
    cdef pgx_mapping *m = &r.mappings[t.number]
    cdef pgx_entry *e
    cdef uint64_t old = 0
    cdef uint64_t frames, k
    cdef int rc = 0
    if pfn >= r.nframes or index >> 56:
        return -EINVAL
    e = &r.entries[pfn]
    if pgx_load8(&e.state) != PGX_USED:
        return -EINVAL
    if not pgx_cas32(&e.owner, 0, FACE + 1):
        return -EBUSY
    if pgx_load8(&e.state) != PGX_USED or e.mapping or e.mapcount or e.order > PGX_MAX_ORDER \
            or index & ((1ull << e.order) - 1):
        pgx_store32(&e.owner, 0)
        return -EINVAL
    frames = 1ull << e.order
    xa_lock(&m.pages, FACE)
    for k in range(frames):
        if xa_load(r, &m.pages, index + k):
            rc = -EBUSY
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
    pgx_store32(&e.owner, 0)
    return rc


cdef int64_t _take_out(pgx_region *r, uint32_t number, uint64_t index, bint pinned) noexcept nogil:
    """Takes the page at `index` out of the tree: its frame, locked, with the cache's references; or -errno.

    `pinned`: a pinned one, too.
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
    if not pgx_cas32(&e.owner, 0, FACE + 1):
        return -EBUSY
    # Looked up again: between the look-up and the lock an exchange may have moved the page to another frame.
    if e.mapping != <uint64_t>(number + 1) << 2 or xa_load(r, &m.pages, index) != entry:
        rc = -EAGAIN
    elif e.mapcount or (not pinned and pgx_pinned(r, pfn, e.order)):
        rc = -ETXTBSY
    if rc:
        pgx_store32(&e.owner, 0)
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
    return _take_out(t.r, t.number, index, True)


cdef uint32_t _refs(const pgx_entry *e) noexcept nogil:
    return 1u << e.order


def add(Region arena, mapping, indexes, pfns):
    """Put the pages in frames `pfns` (integers) at positions `indexes` (integers, base pages) of a mapping.

    A folio's index is a multiple of its size. The pages must be in use and nowhere mapped. All or nothing: ValueError,
    ArenaError or ArenaFullError names the first that cannot be added.
    """
    cdef Target target
    cdef int64_t n, bad
    cdef int code = 0
    _mapping(arena, mapping)
    refuse_plugin_of(arena, "add pages to a mapping")
    target = Target(arena.region, <uint32_t>mapping, 0)
    at, frames = as_places(indexes, pfns, "indexes")
    before = np.empty(len(at), dtype=np.uint8)
    cdef const int64_t *index = <const int64_t *>address(at)
    cdef const int64_t *pfn = <const int64_t *>address(frames)
    cdef uint8_t *was = <uint8_t *>address(before)
    n = len(at)
    with nogil:
        bad = place_all(&target, index, pfn, n, was, &code, _add, _take_out_again, _refs)
    if bad < n:
        raise not_placed(
            f"frame {pfn[bad]} at index {index[bad]}", -code, "a page in use, not yet mapped, at a multiple of its size",
            "position", "no XArray node left; create the arena with more (xa_nodes=...)",
        )


def load(Region arena, mapping, index):
    """Frame that holds position `index` (base pages) of a mapping, or -1. Takes no lock (`filemap_get_entry`)."""
    cdef pgx_mapping *m = _mapping(arena, mapping)
    cdef uint64_t entry = xa_load(arena.region, &m.pages, _index(index))
    return <int64_t>pgx_xa_value(entry) if entry else -1


def remove(Region arena, mapping, index):
    """Take the page at `index` out of a mapping (truncate): its frame, freed when nothing else holds the page.

    -1 when there is none. ArenaError (EBUSY in words) while the page is locked, mapped by a page table or pinned.
    """
    cdef pgx_region *r = arena.region
    cdef uint32_t number
    cdef uint64_t at = _index(index)
    cdef int64_t pfn
    cdef uint32_t frames
    cdef bint last
    cdef pgx_entry *e
    refuse_plugin_of(arena, "remove pages from a mapping")
    _mapping(arena, mapping)
    number = <uint32_t>mapping
    with nogil:  # a holder of the tree may be waiting for the GIL
        pfn = _take_out(r, number, at, False)
    if pfn == -ENOENT:
        return -1
    if pfn < 0:
        kept = "the page is pinned or mapped by page tables; unpin or unmap it first"
        raise not_taken(f"mapping {mapping}, index {index}", -pfn, kept)
    e = &r.entries[pfn]
    frames = 1u << e.order
    if pgx_load64(&e.flags) & r.layout.private_:
        pgx_and64(&e.flags, ~r.layout.private_)
        e.private_ = 0
        frames += 1
    last = pgx_add32(&e.refs, -frames) == frames
    pgx_store32(&e.owner, 0)
    if last:
        pgx_free(r, <uint32_t>pfn, FACE + 1)
    return pfn


def set_private(Region arena, pfns, values):
    """Attach private data (uint64) to pages of a mapping: the flag `private`, the word and one reference.

    All or nothing: ValueError names the first that is no such page, ArenaError one that is locked.
    """
    cdef pgx_entry *e
    arena.check()
    which, words = np.broadcast_arrays(as_pfns(pfns), as_words(values, "values"))
    if not arena.region.layout.private_:
        raise ValueError("the layout has no flag 'private'")
    locked = []
    try:
        for pfn in dict.fromkeys(which.tolist()):
            e = arena.entry(pfn)
            if not pgx_cas32(&e.owner, 0, FACE + 1):
                raise ArenaError(f"frame {pfn}: the page is locked; try again")
            locked.append(pfn)
            if e.state != PGX_USED or e.mapping == 0 or e.mapping & PGX_ANON:
                raise ValueError(f"frame {pfn}: private data belongs to a page of a mapping")
        for pfn, value in zip(which.tolist(), words.tolist()):
            e = arena.entry(pfn)
            e.private_ = value
            if not pgx_or64(&e.flags, arena.region.layout.private_) & arena.region.layout.private_:
                pgx_add32(&e.refs, 1)
    finally:
        for pfn in locked:
            pgx_store32(&arena.entry(pfn).owner, 0)
