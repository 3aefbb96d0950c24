# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Address spaces: page tables of 64 entries below an XArray, and the reverse map from a page to its entries."""

from pagexchange_native.integers import as_number
from pagexchange_native.pages.refusals import Places, not_removed, not_taken

from libc.errno cimport (
    EADDRINUSE,
    EAGAIN,
    EBUSY,
    EEXIST,
    EFAULT,
    EINVAL,
    EMLINK,
    ENOENT,
    ENOTEMPTY,
    ERANGE,
    ESTALE,
    ETXTBSY,
    EUCLEAN,
    EXDEV,
)
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.arena.allocator cimport pgx_free
from pagexchange_native.arena.locks cimport now_ns, spin_lock, spin_unlock
from pagexchange_native.arena.pool cimport Items, pool_give, pool_take
from pagexchange_native.arena.page_lock cimport page_lock, page_unlock
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.arena.slots cimport FACE
from pagexchange_native.format cimport *
from pagexchange_native.pages.placing cimport Refusal, Target, lock_page, look_up, place_pages, state_before
from pagexchange_native.xarray.store cimport xa_store
from pagexchange_native.xarray.tree cimport xa_load, xa_lock, xa_unlock

ADDRESSES = Places(
    "space", "virtual page", "virtual pages", 52,
    "no page table left; create the arena with more (page_tables=..., xa_nodes=...)",
)


cdef pgx_space *_space(Region arena, object space) except NULL:
    arena.check()
    number = as_number(space, "space")
    if not 0 <= number < arena.region.nspaces or not pgx_load32(&arena.region.spaces[<uint32_t>number].used):
        raise LookupError(f"space {number}: unknown; new_space() makes one")
    return &arena.region.spaces[<uint32_t>number]


cdef inline Items _tables(pgx_region *r) noexcept nogil:
    return Items(&r.header.tables, r.ntables, <uint8_t *>&r.tables[0].next, sizeof(pgx_table))


cdef bint _in_use(const pgx_region *r, uint32_t number) noexcept nogil:
    return r.tables[number].space != 0


cdef int64_t _take_table(pgx_region *r, uint32_t space, uint64_t base) noexcept nogil:
    """Number of an empty table for a space, or -ENOMEM, -EUCLEAN."""
    cdef Items tables = _tables(r)
    cdef uint32_t number = 0
    cdef int rc
    cdef pgx_table *t
    spin_lock(&tables.pool.lock, FACE + 1)
    rc = pool_take(r, &tables, _in_use, 1, &number)
    if rc == 0:
        t = &r.tables[number]
        memset(t, 0, sizeof(pgx_table))
        t.base = base
        t.space = space + 1
    spin_unlock(&tables.pool.lock)
    if rc != 0:
        return rc
    return number


cdef void _give_table(pgx_region *r, uint32_t number) noexcept nogil:
    cdef Items tables = _tables(r)
    spin_lock(&tables.pool.lock, FACE + 1)
    r.tables[number].space = 0
    pool_give(&tables, number)
    spin_unlock(&tables.pool.lock)


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


cdef int _map(const Target *target, uint64_t vpn, uint64_t pfn, uint8_t *was, Refusal *why) noexcept nogil:
    cdef pgx_region *r = target.r
    cdef uint32_t space = target.number
    cdef pgx_entry *e
    cdef pgx_space *s = &r.spaces[space]
    cdef uint64_t frames, k, t, word
    cdef int64_t number = -1
    cdef pgx_pte *pte
    cdef int rc
    if vpn >> 52:
        return -ERANGE
    rc = lock_page(r, pfn, target.until, why)
    if rc != 0:
        return rc
    e = &r.entries[pfn]
    frames = 1ull << e.order
    if vpn & (frames - 1):
        rc = -EINVAL
    # A shared anonymous page has one index: its virtual address is the same everywhere.
    elif e.mapping & 3 == PGX_ANON and e.index != vpn:
        rc = -EXDEV
    if rc != 0:
        page_unlock(e)
        return rc
    spin_lock(&s.lock, FACE + 1)
    if not s.used or s.generation != target.generation:
        spin_unlock(&s.lock)
        page_unlock(e)
        return -ESTALE
    # All tables first, so that a lack of one changes nothing.
    for t in range((frames + PGX_TABLE_SLOTS - 1) // PGX_TABLE_SLOTS):
        number = _table(r, space, vpn + t * PGX_TABLE_SLOTS, True)
        if number < 0:
            rc = <int>number
            break
    if rc == 0:
        for k in range(frames):
            number = _table(r, space, vpn + k, False) if k % PGX_TABLE_SLOTS == 0 else number
            word = pgx_load64(&r.tables[number].pte[(vpn + k) % PGX_TABLE_SLOTS].pte)
            if word:
                why.taken, why.holder = vpn + k, word >> 12
                rc = -EADDRINUSE
                break
    if rc == 0:
        # Nothing fails from here on: the page is locked, the space too, and every table is there.
        for k in range(frames):
            number = _table(r, space, vpn + k, False) if k % PGX_TABLE_SLOTS == 0 else number
            pte = &r.tables[number].pte[(vpn + k) % PGX_TABLE_SLOTS]
            pte.next = 0
            r.tables[number].count += 1
            pgx_store64(&pte.pte, (pfn + k) << 12 | target.bits | PGX_PTE_PRESENT)
            if k == 0:
                pte.next = e.rmap
                e.rmap = <uint32_t>(number * PGX_TABLE_SLOTS + (vpn % PGX_TABLE_SLOTS) + 1)
        s.nr_ptes += frames
        was[0] = state_before(r, e)
        pgx_add32(&e.refs, 1 - e.held)
        pgx_store8(&e.held, 0)
        if e.mapping == 0:
            pgx_store64(&e.mapping, (<uint64_t>space + 1) << 2 | PGX_ANON)
            e.index = vpn
            pgx_or64(&e.flags, r.layout.swapbacked)
            pgx_add64(&s.nr_anon, frames)
        if e.mapcount == 0 and e.mapping & PGX_ANON:
            pgx_add64(&r.nodes[pgx_node_of(r, pfn)].counter[PGX_NR_ANON], frames)
        pgx_store32(&e.mapcount, e.mapcount + 1)
    else:
        _drop_empty(r, space, vpn, frames)
    spin_unlock(&s.lock)
    page_unlock(e)
    return rc


cdef int64_t _unmap(pgx_region *r, uint32_t space, uint64_t vpn, bint frees, uint64_t until) noexcept nogil:
    """Empties the entries of the page at `vpn`: its frame, locked, with the reference they had; or -errno.

    `frees`: that reference will be dropped, so that the last one of a pinned page must stay. `until`: how long it waits
    for the page's lock.
    """
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
    rc = page_lock(e, until)
    if rc:
        return rc
    if _read(r, space, vpn) != word:
        rc = -EAGAIN
    elif frees and pgx_load32(&e.refs) == 1 and pgx_pinned(r, pfn, e.order):
        rc = -ETXTBSY
    if rc:
        page_unlock(e)
        return rc
    spin_lock(&s.lock, FACE + 1)
    frames = 1ull << e.order
    number = _table(r, space, vpn, False)
    mine = <uint32_t>(number * PGX_TABLE_SLOTS + vpn % PGX_TABLE_SLOTS + 1)
    link = &e.rmap
    guard = 0
    # Bounded by what the page says of itself, so that a chain that was damaged into a circle ends.
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
        # The space that mapped it first: maybe another one than this, so that its own lock does not guard the count.
        if (e.mapping >> 2) - 1 < r.nspaces:
            pgx_add64(&r.spaces[(e.mapping >> 2) - 1].nr_anon, -frames)
        pgx_store64(&e.mapping, 0)
        e.index = 0
    spin_unlock(&s.lock)
    return <int64_t>pfn


cdef int64_t _unmap_again(const Target *t, uint64_t vpn) noexcept nogil:
    return _unmap(t.r, t.number, vpn, False, t.until)


cdef uint32_t _refs(const pgx_entry *e) noexcept nogil:
    return 1


cdef int64_t _translate(pgx_region *r, uint32_t space, uint64_t vpn) noexcept nogil:
    cdef uint64_t word = _read(r, space, vpn)
    if word & PGX_PTE_MIGRATION:
        return -EAGAIN
    return <int64_t>(word >> 12) if word & PGX_PTE_PRESENT else -1


def map(Region arena not None, space, vpns, pfns, write=True):
    """Map the pages in frames `pfns` (integers) at virtual page numbers `vpns` (integers); a folio as a whole, aligned.

    The first mapping of a page without a mapping makes it anonymous, and takes over the caller's reference, the one of
    `alloc`. All or nothing: ValueError, ArenaError or ArenaFullError names the first page that cannot be mapped, and why.
    """
    cdef Use use = arena.use()
    cdef pgx_space *s = _space(arena, space)
    cdef uint64_t bits = PGX_PTE_ACCESSED | (PGX_PTE_WRITE if write else 0)
    cdef Target target = Target(
        arena.region, as_number(space, "space"), pgx_load32(&s.generation), bits, arena.deadline()
    )
    place_pages(arena, &target, ADDRESSES, vpns, pfns, _map, _unmap_again, _refs)


def translate(Region arena not None, space, vpn):
    """Frame that virtual page `vpn` of a space leads to, or -1; of several, int64 of the same shape.

    ArenaBusyError names one that is a migration entry, ValueError one that is out of range.
    """
    cdef Use use = arena.use()
    _space(arena, space)
    return look_up(arena, as_number(space, "space"), ADDRESSES, vpn, _translate)


cdef uint64_t _read(pgx_region *r, uint32_t space, uint64_t vpn) noexcept nogil:
    cdef int64_t number = _table(r, space, vpn, False)
    return pgx_load64(&r.tables[number].pte[vpn % PGX_TABLE_SLOTS].pte) if number >= 0 else 0


cdef uint64_t _word(Region arena, object space, object vpn) except? 0xffffffffffffffff:
    _space(arena, space)
    at = as_number(vpn, "virtual page")
    if not 0 <= at < 1 << 52:
        raise ValueError(f"virtual page {at}: want 0 to 2^52 - 1")
    return _read(arena.region, <uint32_t>as_number(space, "space"), <uint64_t>at)


def unmap(Region arena not None, space, vpn):
    """Remove the mapping of the page at `vpn` (a folio: its first): its frame, freed with its last reference; or -1."""
    cdef Use use = arena.use()
    cdef pgx_region *r = arena.region
    cdef uint32_t number
    cdef uint64_t at
    cdef uint64_t until = arena.deadline()
    cdef int64_t pfn
    cdef bint last
    _word(arena, space, vpn)
    number = as_number(space, "space")
    at = as_number(vpn, "virtual page")
    with nogil:
        pfn = _unmap(r, number, at, True, until)
        while pfn == -EAGAIN and now_ns() < until:  # it moved between look-up and lock
            pfn = _unmap(r, number, at, True, until)
    if pfn == -ENOENT:
        return -1
    if pfn < 0:
        raise not_taken(f"virtual page {at}", -pfn, "the page is pinned, and this would free it; unpin it first")
    last = pgx_add32(&r.entries[pfn].refs, <uint32_t>-1) == 1
    page_unlock(&r.entries[pfn])
    if last:
        pgx_free(r, <uint32_t>pfn, FACE + 1)
    return pfn


cdef int _give_up(pgx_space *s, uint32_t generation, uint64_t *pages) noexcept nogil:
    cdef int rc = 0
    spin_lock(&s.lock, FACE + 1)
    pages[0] = s.nr_ptes
    if not s.used or s.generation != generation:
        rc = -ESTALE
    elif pages[0]:
        rc = -ENOTEMPTY
    elif pgx_load64(&s.nr_anon):
        pages[0] = pgx_load64(&s.nr_anon)
        rc = -EMLINK
    elif pgx_load64(&s.tables.head):
        rc = -EEXIST
    else:
        s.tables.flags = 0  # its `seq` stays, as that of a mapping does
        memset(s.name, 0, sizeof(s.name))
        pgx_store32(&s.generation, generation + 1)
        pgx_store32(&s.used, 0)
    spin_unlock(&s.lock)
    return rc


def remove_space(Region arena not None, space):
    """Give up a space that maps nothing; `new_space` may give its number out again. ArenaError: something is in it."""
    cdef Use use = arena.use()
    cdef pgx_space *s = _space(arena, space)
    cdef uint32_t generation = pgx_load32(&s.generation)
    cdef uint64_t pages = 0
    cdef int rc
    with nogil:
        rc = _give_up(s, generation, &pages)
    if rc != 0:
        raise not_removed("space", space, -rc, pages)


def entry(Region arena not None, space, vpn):
    """The page-table entry at `vpn` as it lies there (uint64: pfn << 12 | bits), 0 when empty."""
    cdef Use use = arena.use()
    return _word(arena, space, vpn)
