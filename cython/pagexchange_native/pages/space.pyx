# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Address spaces: page tables of 64 entries below an XArray, and the reverse map from a page to its entries."""

import os
from operator import index as as_int

import numpy as np

from pagexchange_native.errors import ArenaError, ArenaFullError, not_taken
from pagexchange_native.integers import as_pfns

from libc.errno cimport EAGAIN, EBUSY, EEXIST, EFAULT, EINVAL, ENOENT, ENOMEM, ETXTBSY, EUCLEAN
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from posix.unistd cimport usleep

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.arena.region cimport Region
from pagexchange_native.format cimport *
from pagexchange_native.xarray.store cimport xa_store
from pagexchange_native.xarray.tree cimport xa_load, xa_lock, xa_unlock

cdef enum:
    FACE = 0  # the slot of calls from Python
    # What a page had before it was mapped, for unmapping it again as it was.
    WAS_HELD = 1
    WAS_SWAPBACKED = 2


cdef pgx_space *_space(Region arena, object number) except NULL:
    arena.check()
    if not 0 <= as_int(number) < arena.region.nspaces or not arena.region.spaces[<uint32_t>number].used:
        raise LookupError(f"space {number}: unknown; new_space() makes one")
    return &arena.region.spaces[<uint32_t>number]


cdef inline void _spin(uint32_t *lock) noexcept nogil:
    cdef uint32_t spins = 0
    while not pgx_cas32(lock, 0, FACE + 1):
        spins += 1
        if spins & 0x3ff:
            pgx_pause()
        else:
            usleep(50)


cdef int64_t _take_table(pgx_region *r, uint32_t space, uint64_t base) noexcept nogil:
    cdef pgx_pool *pool = &r.header.tables
    cdef int64_t number
    cdef pgx_table *t
    cdef uint32_t k
    if pgx_fail_alloc(r):
        return -ENOMEM
    _spin(&pool.lock)
    if pool.free_head and pool.free_head <= r.ntables:
        number = pool.free_head - 1
        pool.free_head = r.tables[number].next
        pool.free -= 1
    elif pool.fresh < r.ntables:
        number = pool.fresh
        pool.fresh += 1
    else:
        number = -ENOMEM
    pgx_store32(&pool.lock, 0)
    if number >= 0:
        t = &r.tables[number]
        t.count = 0
        t.base = base
        t.next = 0
        for k in range(PGX_TABLE_SLOTS):
            t.pte[k].pte = 0
            t.pte[k].next = 0
        t.space = space + 1
    return number


cdef void _give_table(pgx_region *r, uint32_t number) noexcept nogil:
    cdef pgx_pool *pool = &r.header.tables
    r.tables[number].space = 0
    _spin(&pool.lock)
    r.tables[number].next = pool.free_head
    pool.free_head = number + 1
    pool.free += 1
    pgx_store32(&pool.lock, 0)


cdef int64_t _table(pgx_region *r, uint32_t space, uint64_t vpn, bint make) noexcept nogil:
    """Number of the table that covers `vpn`, or -ENOMEM / -ENOENT."""
    cdef pgx_xarray *top = &r.spaces[space].tables
    cdef uint64_t entry = xa_load(r, top, vpn // PGX_TABLE_SLOTS)
    cdef uint64_t old = 0
    cdef int64_t number
    cdef int rc
    if entry:
        number = <int64_t>pgx_xa_value(entry)
        return number if number < r.ntables else -EUCLEAN
    if not make:
        return -ENOENT
    number = _take_table(r, space, vpn // PGX_TABLE_SLOTS * PGX_TABLE_SLOTS)
    if number < 0:
        return number
    xa_lock(top, FACE)
    rc = xa_store(r, top, vpn // PGX_TABLE_SLOTS, 0, pgx_xa_entry(number), &old)
    xa_unlock(top)
    if rc != 0:
        _give_table(r, <uint32_t>number)
        return rc
    return number


cdef int _drop_empty(pgx_region *r, uint32_t space, uint64_t vpn, uint64_t frames) noexcept nogil:
    cdef uint64_t k, t, old
    cdef int64_t number
    cdef pgx_xarray *top = &r.spaces[space].tables
    for t in range((frames + PGX_TABLE_SLOTS - 1) // PGX_TABLE_SLOTS):
        k = t * PGX_TABLE_SLOTS
        number = _table(r, space, vpn + k, False)
        if number >= 0 and r.tables[number].count == 0:
            old = 0
            xa_lock(top, FACE)
            xa_store(r, top, (vpn + k) // PGX_TABLE_SLOTS, 0, 0, &old)
            xa_unlock(top)
            _give_table(r, <uint32_t>number)
    return 0


cdef int _map(pgx_region *r, uint32_t space, uint64_t vpn, uint64_t pfn, uint64_t bits, uint8_t *was) noexcept nogil:
    cdef pgx_entry *e
    cdef pgx_space *s = &r.spaces[space]
    cdef uint64_t frames, k, t
    cdef int64_t number = -1
    cdef pgx_pte *pte
    cdef int rc = 0
    if pfn >= r.nframes:
        return -EINVAL
    e = &r.entries[pfn]
    if pgx_load8(&e.state) != PGX_USED or vpn >> 52:
        return -EINVAL
    if not pgx_cas32(&e.owner, 0, FACE + 1):
        return -EBUSY
    frames = 1ull << pgx_load8(&e.order)
    # A shared anonymous page has one index: its virtual address is the same everywhere.
    if pgx_load8(&e.state) != PGX_USED or e.order > PGX_MAX_ORDER or vpn & (frames - 1) \
            or (e.mapping & 3 == PGX_ANON and e.index != vpn):
        pgx_store32(&e.owner, 0)
        return -EINVAL
    _spin(&s.lock)
    # All tables first, so that a lack of one changes nothing.
    for t in range((frames + PGX_TABLE_SLOTS - 1) // PGX_TABLE_SLOTS):
        number = _table(r, space, vpn + t * PGX_TABLE_SLOTS, True)
        if number < 0:
            rc = <int>number
            break
    if rc == 0:
        for k in range(frames):
            number = _table(r, space, vpn + k, False) if k % PGX_TABLE_SLOTS == 0 else number
            if r.tables[number].pte[(vpn + k) % PGX_TABLE_SLOTS].pte:
                rc = -EEXIST
                break
    if rc == 0:
        for k in range(frames):
            number = _table(r, space, vpn + k, False) if k % PGX_TABLE_SLOTS == 0 else number
            pte = &r.tables[number].pte[(vpn + k) % PGX_TABLE_SLOTS]
            pte.next = 0
            r.tables[number].count += 1
            pgx_store64(&pte.pte, (pfn + k) << 12 | bits | PGX_PTE_PRESENT)
            if k == 0:
                pte.next = e.rmap
                e.rmap = <uint32_t>(number * PGX_TABLE_SLOTS + (vpn % PGX_TABLE_SLOTS) + 1)
        s.nr_ptes += frames
        was[0] = (WAS_HELD if e.held else 0) | (WAS_SWAPBACKED if pgx_load64(&e.flags) & r.layout.swapbacked else 0)
        pgx_add32(&e.refs, 1 - e.held)
        pgx_store8(&e.held, 0)
        if e.mapping == 0:
            pgx_store64(&e.mapping, (<uint64_t>space + 1) << 2 | PGX_ANON)
            e.index = vpn
            pgx_or64(&e.flags, r.layout.swapbacked)
        if e.mapcount == 0 and e.mapping & PGX_ANON:
            pgx_add64(&r.nodes[pgx_node_of(r, pfn)].counter[PGX_NR_ANON], frames)
        pgx_store32(&e.mapcount, e.mapcount + 1)
    else:
        _drop_empty(r, space, vpn, frames)
    pgx_store32(&s.lock, 0)
    pgx_store32(&e.owner, 0)
    return rc


cdef int64_t _unmap(pgx_region *r, uint32_t space, uint64_t vpn, bint frees) noexcept nogil:
    """Empties the entries of the page at `vpn`: its frame, locked, with the reference they had; or -errno. `frees`: the last one will be dropped."""
    cdef pgx_space *s = &r.spaces[space]
    cdef uint64_t word = _read(r, space, vpn)
    cdef uint64_t pfn = word >> 12
    cdef uint64_t frames, k
    cdef pgx_entry *e
    cdef uint32_t mine, at, guard
    cdef uint32_t *link
    cdef int64_t number
    cdef int rc = 0
    if word == 0:
        return -ENOENT
    if pfn >= r.nframes:
        return -EFAULT
    e = &r.entries[pfn]
    if pgx_load8(&e.state) != PGX_USED:
        return -EINVAL
    if not pgx_cas32(&e.owner, 0, FACE + 1):
        return -EBUSY
    if _read(r, space, vpn) != word:
        rc = -EAGAIN
    elif frees and pgx_load32(&e.refs) == 1 and pgx_pinned(r, pfn, e.order):
        rc = -ETXTBSY
    if rc:
        pgx_store32(&e.owner, 0)
        return rc
    _spin(&s.lock)
    frames = 1ull << e.order
    number = _table(r, space, vpn, False)
    mine = <uint32_t>(number * PGX_TABLE_SLOTS + vpn % PGX_TABLE_SLOTS + 1)
    link = &e.rmap
    guard = 0
    while link[0] and link[0] != mine and guard <= e.mapcount:
        at = link[0] - 1
        link = &r.tables[at // PGX_TABLE_SLOTS].pte[at % PGX_TABLE_SLOTS].next
        guard += 1
    if link[0] == mine:
        at = mine - 1
        link[0] = r.tables[at // PGX_TABLE_SLOTS].pte[at % PGX_TABLE_SLOTS].next
    for k in range(frames):
        number = _table(r, space, vpn + k, False) if k % PGX_TABLE_SLOTS == 0 else number
        if number >= 0:
            r.tables[number].pte[(vpn + k) % PGX_TABLE_SLOTS].next = 0
            pgx_store64(&r.tables[number].pte[(vpn + k) % PGX_TABLE_SLOTS].pte, 0)
            r.tables[number].count -= 1
    s.nr_ptes -= frames
    _drop_empty(r, space, vpn, frames)
    pgx_store32(&e.mapcount, e.mapcount - 1)
    if e.mapcount == 0 and e.mapping & PGX_ANON:
        pgx_add64(&r.nodes[pgx_node_of(r, pfn)].counter[PGX_NR_ANON], -frames)
        pgx_store64(&e.mapping, 0)
        e.index = 0
    pgx_store32(&s.lock, 0)
    return <int64_t>pfn


cdef void _undo(pgx_region *r, uint32_t space, uint64_t vpn, uint8_t was) noexcept nogil:
    """Unmaps a page again that `_map` has mapped, and leaves it as it was."""
    cdef int64_t pfn = -EBUSY
    cdef pgx_entry *e
    while pfn == -EBUSY or pfn == -EAGAIN:  # an exchange that has the page lets it go
        pfn = _unmap(r, space, vpn, False)
    if pfn < 0:
        return
    e = &r.entries[pfn]
    if not was & WAS_SWAPBACKED:
        pgx_and64(&e.flags, ~r.layout.swapbacked)
    if was & WAS_HELD:
        pgx_store8(&e.held, 1)
    else:
        pgx_add32(&e.refs, <uint32_t>-1)
    pgx_store32(&e.owner, 0)


def map(Region arena, space, vpns, pfns, write=True):
    """Map the pages in frames `pfns` (integers) at virtual page numbers `vpns` (integers); a folio as a whole, aligned.

    The first mapping of a page without a mapping makes it anonymous. All or nothing: ValueError, ArenaError or
    ArenaFullError names the first page that cannot be mapped.
    """
    cdef uint32_t number
    cdef int rc = 0
    cdef int64_t i = 0
    cdef int64_t n
    cdef uint64_t bits = PGX_PTE_ACCESSED | (PGX_PTE_WRITE if write else 0)
    _space(arena, space)
    number = <uint32_t>space
    cdef const int64_t[::1] at = as_pfns(vpns, "virtual pages")
    cdef const int64_t[::1] where = as_pfns(pfns)
    if at.shape[0] != where.shape[0]:
        raise ValueError(f"{at.shape[0]} virtual pages for {where.shape[0]} frames")
    n = at.shape[0]
    cdef uint8_t[::1] was = np.empty(n, dtype=np.uint8)
    with nogil:
        for i in range(n):
            rc = _map(arena.region, number, <uint64_t>at[i], <uint64_t>where[i], bits, &was[i])
            if rc != 0:
                n = i
                while n > 0:
                    n -= 1
                    _undo(arena.region, number, <uint64_t>at[n], was[n])
                break
    if rc == -EINVAL:
        raise ValueError(
            f"frame {where[i]} at virtual page {at[i]}: want a page in use at a multiple of its size; an anonymous page "
            "that is mapped already keeps its virtual page number"
        )
    if rc == -EBUSY or rc == -EEXIST:
        raise ArenaError(f"frame {where[i]} at virtual page {at[i]}: the page is locked, or the place is taken")
    if rc:
        raise ArenaFullError(-rc, f"frame {where[i]} at virtual page {at[i]}: {os.strerror(-rc)}: no page table left; "
                             "create the arena with more (page_tables=..., xa_nodes=...)")


def translate(Region arena, space, vpn):
    """Frame that virtual page `vpn` of a space leads to, or -1. ArenaError while it is a migration entry."""
    cdef uint64_t word = _word(arena, space, vpn)
    if word & PGX_PTE_MIGRATION:
        raise ArenaError(f"virtual page {vpn}: an exchange has it; try again")
    return <int64_t>(word >> 12) if word & PGX_PTE_PRESENT else -1


cdef uint64_t _read(pgx_region *r, uint32_t space, uint64_t vpn) noexcept nogil:
    cdef int64_t number = _table(r, space, vpn, False)
    return pgx_load64(&r.tables[number].pte[vpn % PGX_TABLE_SLOTS].pte) if number >= 0 else 0


cdef uint64_t _word(Region arena, object space, object vpn) except? 0xffffffffffffffff:
    _space(arena, space)
    if not 0 <= as_int(vpn) < 1 << 52:
        raise ValueError(f"virtual page {vpn}: want 0 to 2^52 - 1")
    return _read(arena.region, <uint32_t>space, <uint64_t>vpn)


def unmap(Region arena, space, vpn):
    """Remove the mapping of the page at `vpn` (a folio: its first): its frame, freed with its last reference; or -1."""
    cdef pgx_region *r = arena.region
    cdef uint32_t number
    cdef uint64_t at
    cdef int64_t pfn
    cdef bint last
    _word(arena, space, vpn)
    number = <uint32_t>space
    at = <uint64_t>vpn
    with nogil:
        pfn = _unmap(r, number, at, True)
    if pfn == -ENOENT:
        return -1
    if pfn == -EINVAL:
        raise ValueError(f"virtual page {vpn}: not the first page of a folio")
    if pfn < 0:
        raise not_taken(f"virtual page {vpn}", -pfn, "the page is pinned, and this would free it; unpin it first")
    last = pgx_add32(&r.entries[pfn].refs, <uint32_t>-1) == 1
    pgx_store32(&r.entries[pfn].owner, 0)
    if last:
        pgx_free(r, <uint32_t>pfn, FACE + 1)
    return pfn


def entry(Region arena, space, vpn):
    """The page-table entry at `vpn` as it lies there (uint64: pfn << 12 | bits), 0 when empty."""
    return _word(arena, space, vpn)
