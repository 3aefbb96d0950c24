# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Address spaces: page tables of 64 entries below an XArray, and the reverse map from a page to its entries.

A page is mapped or unmapped in one commit: tables, entries, the page's entry, counts. The caller has its lock, and then the
structure lock; its identity is stored last when it comes, and first when it goes. A folio below 64 frames has its entries
saved one by one, a larger one fills whole tables, each of which is one record (PGX_SAVED_ROW).
"""

from pagexchange_native.arena.owners import who
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
    ETIMEDOUT,
    ETXTBSY,
    EUCLEAN,
    EXDEV,
)
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.arena.counters cimport counter_add
from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.page_lock cimport page_lock, page_unlock
from pagexchange_native.arena.pool cimport Items, pool_give, pool_take
from pagexchange_native.arena.references cimport drop_last, finish_drop
from pagexchange_native.arena.region cimport CallSlot, Region, Use
from pagexchange_native.arena.structure cimport Owner
from pagexchange_native.arena.undo cimport (
    Undo,
    clear_bits,
    put16,
    put32,
    put64,
    put_row,
    set_bits,
    structure_undo,
)
from pagexchange_native.format cimport *
from pagexchange_native.pages.page_tables cimport pte_word, table_of
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
from pagexchange_native.xarray.store cimport xa_back, xa_store

ADDRESSES = Places(
    "space", "virtual page", "virtual pages", 52,
    "no page table left; create the arena with more (page_tables=..., xa_nodes=...)",
)

cdef enum:
    MAX_TABLES = (1 << PGX_MAX_ORDER) // PGX_TABLE_SLOTS  # that a folio has entries in


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


cdef inline uint64_t _tables_of(uint64_t frames) noexcept nogil:
    """How many tables a folio has entries in."""
    return (frames + PGX_TABLE_SLOTS - 1) // PGX_TABLE_SLOTS


# ---- tables, under the structure lock --------------------------------------------------------------------------------

cdef int64_t _make_table(Undo *u, uint32_t space, uint64_t vpn) noexcept nogil:
    """Number of a new table that covers `vpn`; or -ENOMEM, -EUCLEAN."""
    cdef Items tables = _tables(u.r)
    cdef uint32_t number = 0
    cdef pgx_table *t
    cdef int rc = pool_take(u, &tables, _in_use, 1, &number)
    if rc != 0:
        return rc
    t = &u.r.tables[number]
    memset(t.pte, 0, sizeof(t.pte))
    t.count = 0
    t.base = vpn // PGX_TABLE_SLOTS * PGX_TABLE_SLOTS
    put32(u, &t.space, space + 1)
    rc = xa_store(u, &u.r.spaces[space].tables, vpn // PGX_TABLE_SLOTS, 0, pgx_xa_entry(number), NULL)
    return rc if rc != 0 else <int64_t>number


cdef void _drop_empty(Undo *u, uint32_t space, uint64_t vpn, uint64_t frames) noexcept nogil:
    cdef Items tables = _tables(u.r)
    cdef uint64_t k
    cdef int64_t number
    for k in range(_tables_of(frames)):
        number = table_of(u.r, space, vpn + k * PGX_TABLE_SLOTS)
        if number >= 0 and u.r.tables[number].count == 0:
            xa_store(u, &u.r.spaces[space].tables, vpn // PGX_TABLE_SLOTS + k, 0, 0, NULL)
            put32(u, &u.r.tables[number].space, 0)
            pool_give(u, &tables, <uint32_t>number)


cdef int _make_room(Undo *u, uint32_t space, uint64_t vpn, uint64_t frames, int64_t *numbers, Refusal *why) noexcept nogil:
    """Makes the tables that a folio needs, up to MAX_TABLES; -EADDRINUSE when one of its entries is in use."""
    cdef uint64_t here = min(frames, <uint64_t>PGX_TABLE_SLOTS)
    cdef uint64_t k, i, word
    for k in range(_tables_of(frames)):
        numbers[k] = table_of(u.r, space, vpn + k * PGX_TABLE_SLOTS)
        if numbers[k] < 0:
            continue
        for i in range(here):
            word = pgx_load64(&u.r.tables[numbers[k]].pte[vpn % PGX_TABLE_SLOTS + i].pte)
            if word:
                why.taken, why.holder = vpn + k * PGX_TABLE_SLOTS + i, word >> 12
                return -EADDRINUSE
    for k in range(_tables_of(frames)):
        if numbers[k] == -ENOENT:
            numbers[k] = _make_table(u, space, vpn + k * PGX_TABLE_SLOTS)
        if numbers[k] < 0:
            return <int>numbers[k]
    return 0


cdef void _fill(Undo *u, const int64_t *numbers, uint64_t vpn, uint64_t frames, uint64_t word) noexcept nogil:
    """Makes the empty entries of a folio present: `word` is the first one's, the others' name the frames after it."""
    cdef uint64_t here = min(frames, <uint64_t>PGX_TABLE_SLOTS)
    cdef uint64_t k, i
    cdef pgx_table *t
    for k in range(_tables_of(frames)):
        t = &u.r.tables[numbers[k]]
        if here == PGX_TABLE_SLOTS:
            put_row(u, &t.pte[0], 0, word + (k * PGX_TABLE_SLOTS << 12))
        else:
            for i in range(here):
                put64(u, &t.pte[vpn % PGX_TABLE_SLOTS + i].pte, word + (i << 12))
        put32(u, &t.count, t.count + <uint32_t>here)


cdef void _empty(Undo *u, uint32_t space, uint64_t vpn, uint64_t frames) noexcept nogil:
    """Empties the entries of a folio."""
    cdef uint64_t here = min(frames, <uint64_t>PGX_TABLE_SLOTS)
    cdef uint64_t k, i, word
    cdef int64_t number
    cdef pgx_table *t
    for k in range(_tables_of(frames)):
        number = table_of(u.r, space, vpn + k * PGX_TABLE_SLOTS)
        if number < 0:
            continue
        t = &u.r.tables[number]
        if here == PGX_TABLE_SLOTS:
            word = t.pte[0].pte
            for i in range(1, here):  # a row has the same bits everywhere: one that differs is made so first
                if t.pte[i].pte != word + (i << 12):
                    pgx_store64(&t.pte[i].pte, word + (i << 12))
            put_row(u, &t.pte[0], word, 0)
        else:
            for i in range(here):
                put64(u, &t.pte[vpn % PGX_TABLE_SLOTS + i].pte, 0)
        put32(u, &t.count, t.count - <uint32_t>here)


# ---- map and unmap ---------------------------------------------------------------------------------------------------

cdef int _enter_page(Undo *u, const Target *t, uint64_t vpn, uint64_t pfn, uint32_t *was, Refusal *why) noexcept nogil:
    """What `_map` does once the page and the space's tree are the caller's."""
    cdef pgx_region *r = t.r
    cdef pgx_space *s = &r.spaces[t.number]
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint64_t frames = 1ull << e.order
    cdef int64_t[MAX_TABLES] numbers
    cdef int rc
    if not s.used or s.generation != t.generation:
        return -ESTALE
    rc = _make_room(u, t.number, vpn, frames, numbers, why)
    if rc != 0:
        xa_back(u, &s.tables)
        return rc
    _fill(u, numbers, vpn, frames, pfn << 12 | t.bits | PGX_PTE_PRESENT)
    put32(u, &r.tables[numbers[0]].pte[vpn % PGX_TABLE_SLOTS].next, e.rmap)
    put32(u, &e.rmap, <uint32_t>(numbers[0] * PGX_TABLE_SLOTS + vpn % PGX_TABLE_SLOTS + 1))
    put64(u, &s.nr_ptes, s.nr_ptes + frames)
    was[0] = state_before(r, e)
    if e.held:  # the first mapping takes over the caller's reference
        put16(u, &e.held, 0)
    else:
        put32(u, &e.refs, pgx_load32(&e.refs) + 1)
    if e.mapcount == 0 and (e.mapping == 0 or e.mapping & PGX_ANON):
        counter_add(u, pgx_node_of(r, pfn), PGX_NR_ANON, <int64_t>frames)
    put32(u, &e.mapcount, e.mapcount + 1)
    if e.mapping == 0:
        set_bits(u, &e.flags, r.layout.swapbacked)
        put64(u, &s.nr_anon, s.nr_anon + frames)
        put64(u, &e.index, vpn)
        put64(u, &e.mapping, (<uint64_t>t.number + 1) << 2 | PGX_ANON)
    return 0


cdef int _map(const Target *t, uint64_t vpn, uint64_t pfn, uint32_t *was, Refusal *why) noexcept nogil:
    cdef pgx_region *r = t.r
    cdef pgx_xarray *xa = &r.spaces[t.number].tables
    cdef pgx_entry *e
    cdef Undo u = structure_undo(r, t.slot)
    cdef int rc
    if vpn >> 52:
        return -ERANGE
    rc = lock_page(t, pfn, why)
    if rc != 0:
        return rc
    e = &r.entries[pfn]
    if vpn & ((1ull << e.order) - 1):
        rc = -EINVAL
    # A shared anonymous page has one index: its virtual address is the same everywhere.
    elif e.mapping & 3 == PGX_ANON and e.index != vpn:
        rc = -EXDEV
    elif tree_enter(r, t.slot, xa, t.until, &why.owner) != 0:
        rc = -ETIMEDOUT
    else:
        rc = _enter_page(&u, t, vpn, pfn, was, why)
        tree_leave(&u, xa)
    page_unlock(e, t.slot)
    return rc


cdef int64_t _lock_at(const Target *t, uint64_t vpn) noexcept nogil:
    """Locks the page that the entry at `vpn` leads to, its first: its frame, or -errno."""
    cdef pgx_region *r = t.r
    cdef uint64_t word = pte_word(r, t.number, vpn)
    cdef uint64_t pfn = word >> 12
    cdef pgx_entry *e
    cdef int rc = 0
    if word == 0:
        return -ENOENT
    if pfn >= r.nframes:
        return -EFAULT
    e = &r.entries[pfn]
    if pgx_load8(&e.state) != PGX_USED:
        return -EINVAL
    rc = page_lock(r, e, t.slot, t.until)
    if rc:
        return rc
    if pte_word(r, t.number, vpn) != word:
        rc = -EAGAIN
    elif e.order > PGX_MAX_ORDER or vpn & ((1ull << e.order) - 1) or e.mapcount == 0:
        rc = -EINVAL
    if rc:
        page_unlock(e, t.slot)
        return rc
    return <int64_t>pfn


cdef void _unchain(Undo *u, pgx_entry *e, uint32_t mine) noexcept nogil:
    """Takes an entry, by number + 1, out of the page's reverse map."""
    cdef uint32_t *link = &e.rmap
    cdef uint32_t guard = 0
    cdef uint32_t at
    # Bounded by what the page says of itself, so that a chain that was damaged into a circle ends.
    while 0 < link[0] <= u.r.ntables * PGX_TABLE_SLOTS and guard <= e.mapcount:
        at = link[0] - 1
        if link[0] == mine:
            put32(u, link, u.r.tables[at // PGX_TABLE_SLOTS].pte[at % PGX_TABLE_SLOTS].next)
            put32(u, &u.r.tables[at // PGX_TABLE_SLOTS].pte[at % PGX_TABLE_SLOTS].next, 0)
            return
        link = &u.r.tables[at // PGX_TABLE_SLOTS].pte[at % PGX_TABLE_SLOTS].next
        guard += 1


cdef void _leave_space(Undo *u, const Target *t, uint64_t vpn, uint64_t pfn) noexcept nogil:
    """Takes the entries of a page, its identity with the last of them, and what is counted; not its reference."""
    cdef pgx_region *r = t.r
    cdef pgx_space *s = &r.spaces[t.number]
    cdef pgx_space *first
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint64_t frames = 1ull << e.order
    if e.mapcount == 1 and e.mapping & PGX_ANON:
        counter_add(u, pgx_node_of(r, pfn), PGX_NR_ANON, -<int64_t>frames)
        if (e.mapping >> 2) - 1 < r.nspaces:  # the space that mapped it first: maybe another one than this
            first = &r.spaces[(e.mapping >> 2) - 1]
            put64(u, &first.nr_anon, first.nr_anon - frames)
        put64(u, &e.mapping, 0)
        put64(u, &e.index, 0)
    _unchain(u, e, <uint32_t>(table_of(r, t.number, vpn) * PGX_TABLE_SLOTS + vpn % PGX_TABLE_SLOTS + 1))
    _empty(u, t.number, vpn, frames)
    put64(u, &s.nr_ptes, s.nr_ptes - frames)
    put32(u, &e.mapcount, e.mapcount - 1)
    _drop_empty(u, t.number, vpn, frames)


cdef int64_t _unmap(const Target *t, uint64_t vpn, Owner *owner) noexcept nogil:
    """Unmaps the page at `vpn`: its frame, freed with its last reference; or -errno."""
    cdef pgx_region *r = t.r
    cdef pgx_xarray *xa = &r.spaces[t.number].tables
    cdef int64_t pfn = _lock_at(t, vpn)
    cdef pgx_entry *e
    cdef Undo u = structure_undo(r, t.slot)
    cdef bint last
    cdef int rc = 0
    if pfn < 0:
        return pfn
    e = &r.entries[pfn]
    if tree_enter(r, t.slot, xa, t.until, owner) != 0:
        page_unlock(e, t.slot)
        return -ETIMEDOUT
    last = pgx_load32(&e.refs) == 1
    rc = drop_last(&u, <uint32_t>pfn, t.until) if last else 0
    if rc == 0:
        _leave_space(&u, t, vpn, pfn)
        if not last:
            put32(&u, &e.refs, pgx_load32(&e.refs) - 1)
    tree_leave(&u, xa)
    if last and rc == 0:
        finish_drop(r, <uint32_t>pfn, t.slot)
    else:
        page_unlock(e, t.slot)
    return pfn if rc == 0 else rc


cdef int _take_back(const Target *target, uint64_t vpn, uint32_t was, uint64_t until) noexcept nogil:
    cdef Target t = target[0]
    cdef pgx_xarray *xa = &t.r.spaces[t.number].tables
    cdef Undo u = structure_undo(t.r, t.slot)
    cdef Owner owner
    cdef pgx_entry *e
    cdef int64_t pfn
    cdef int rc = -ETIMEDOUT
    t.until = until
    pfn = _lock_at(&t, vpn)
    if pfn < 0:
        return <int>pfn
    e = &t.r.entries[pfn]
    if tree_enter(t.r, t.slot, xa, until, &owner) == 0:
        rc = 0
        _leave_space(&u, &t, vpn, pfn)
        if not was & WAS_SWAPBACKED:
            clear_bits(&u, &e.flags, t.r.layout.swapbacked)
        put16(&u, &e.held, <uint16_t>(was & WAS_HELD))
        put32(&u, &e.refs, pgx_load32(&e.refs) - 1 + (was & WAS_HELD != 0))
        tree_leave(&u, xa)
    page_unlock(e, t.slot)
    return rc


cdef int64_t _translate(pgx_region *r, uint32_t space, uint64_t vpn) noexcept nogil:
    cdef uint64_t word = pte_word(r, space, vpn)
    if word & PGX_PTE_MIGRATION:
        return -EAGAIN
    return <int64_t>(word >> 12) if word & PGX_PTE_PRESENT else -1


def map(Region arena not None, space, vpns, pfns, write=True):
    """Map the pages in frames `pfns` (integers) at virtual page numbers `vpns` (integers); a folio as a whole, aligned.

    The first mapping of a page without a mapping makes it anonymous, and takes over the caller's reference, the one of
    `alloc`. All or nothing: ValueError, ArenaError or ArenaFullError names the first page that cannot be mapped, and why.
    """
    cdef CallSlot call = arena.call_slot()
    cdef pgx_space *s = _space(arena, space)
    cdef uint64_t bits = PGX_PTE_ACCESSED | (PGX_PTE_WRITE if write else 0)
    cdef Target target = Target(
        arena.region, as_number(space, "space"), pgx_load32(&s.generation), bits, call.number, call.until
    )
    place_pages(arena, &target, ADDRESSES, vpns, pfns, _map, _take_back)


def translate(Region arena not None, space, vpn):
    """Frame that virtual page `vpn` of a space leads to, or -1; of several, int64 of the same shape.

    ArenaBusyError names one that is a migration entry, ValueError one that is out of range.
    """
    cdef Use use = arena.use()
    _space(arena, space)
    return look_up(arena, as_number(space, "space"), ADDRESSES, vpn, _translate)


cdef uint64_t _word(Region arena, object space, object vpn) except? 0xffffffffffffffff:
    _space(arena, space)
    at = as_number(vpn, "virtual page")
    if not 0 <= at < 1 << 52:
        raise ValueError(f"virtual page {at}: want 0 to 2^52 - 1")
    return pte_word(arena.region, <uint32_t>as_number(space, "space"), <uint64_t>at)


cdef int64_t _unmap_patiently(const Target *t, uint64_t vpn, Owner *owner) noexcept nogil:
    """`_unmap`, again while the page moves between look-up and lock."""
    cdef int64_t pfn = _unmap(t, vpn, owner)
    while pfn == -EAGAIN and now_ns() < t.until:
        pfn = _unmap(t, vpn, owner)
    return pfn


def unmap(Region arena not None, space, vpn):
    """Remove the mapping of the page at `vpn` (a folio: its first): its frame, freed with its last reference; or -1."""
    cdef CallSlot call = arena.call_slot()
    cdef pgx_space *s = _space(arena, space)
    cdef Target t = Target(
        arena.region, as_number(space, "space"), pgx_load32(&s.generation), 0, call.number, call.until
    )
    cdef Owner owner = Owner(0, 0)
    cdef uint64_t at
    cdef int64_t pfn
    _word(arena, space, vpn)
    at = as_number(vpn, "virtual page")
    with nogil:
        pfn = _unmap_patiently(&t, at, &owner)
    if pfn == -ENOENT:
        return -1
    if pfn < 0:
        raise not_taken(
            f"virtual page {at}", -pfn, "the page is pinned, and this would free it; unpin it first",
            who(owner.slot, owner.phase, arena.region.workers),
        )
    return pfn


cdef int _give_up(const Target *t, uint64_t *pages, Owner *owner) noexcept nogil:
    cdef pgx_space *s = &t.r.spaces[t.number]
    cdef Undo u = structure_undo(t.r, t.slot)
    cdef int rc = 0
    cdef uint32_t i
    if tree_enter(t.r, t.slot, &s.tables, t.until, owner) != 0:
        return -ETIMEDOUT
    pages[0] = s.nr_ptes
    if not s.used or s.generation != t.generation:
        rc = -ESTALE
    elif pages[0]:
        rc = -ENOTEMPTY
    elif s.nr_anon:
        pages[0] = s.nr_anon
        rc = -EMLINK
    elif s.tables.head:
        rc = -EEXIST
    else:
        put32(&u, &s.tables.flags, 0)  # its `seq` stays, as that of a mapping does
        for i in range(sizeof(s.name) // 8):
            put64(&u, <uint64_t *>s.name + i, 0)
        put32(&u, &s.generation, s.generation + 1)
        put32(&u, &s.used, 0)
    tree_leave(&u, &s.tables)
    return rc


def remove_space(Region arena not None, space):
    """Give up a space that maps nothing; `new_space` may give its number out again. ArenaError: something is in it."""
    cdef CallSlot call = arena.call_slot()
    cdef pgx_space *s = _space(arena, space)
    cdef Target t = Target(
        arena.region, as_number(space, "space"), pgx_load32(&s.generation), 0, call.number, call.until
    )
    cdef Owner owner = Owner(0, 0)
    cdef uint64_t pages = 0
    cdef int rc
    with nogil:
        rc = _give_up(&t, &pages, &owner)
    if rc != 0:
        raise not_removed("space", space, -rc, pages, who(owner.slot, owner.phase, arena.region.workers))


def entry(Region arena not None, space, vpn):
    """The page-table entry at `vpn` as it lies there (uint64: pfn << 12 | bits), 0 when empty."""
    cdef Use use = arena.use()
    return _word(arena, space, vpn)
