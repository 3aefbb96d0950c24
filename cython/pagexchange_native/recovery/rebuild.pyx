# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Makes what is derived from what is true, for an arena in which nobody is at work: docs/architecture.md, Recovery.

One pass over frames, one over each tree, one over page tables. A word that is right is left alone, and each that was not
is counted. True data are changed in one case only: a page table or tree node that nothing leads to is no longer in use.
"""

import errno
from typing import NamedTuple

from pagexchange_native.arena.reentry import refuse_plugin_of
from pagexchange_native.errors import ArenaBusyError

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset
from pagexchange_native.arena.allocator cimport INNER, _inside
from pagexchange_native.arena.counters cimport counter_sum
from pagexchange_native.arena.references cimport structural_refs
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.format cimport *
from pagexchange_native.xarray.tree cimport (
    XA_MAX_SHIFT,
    XA_NODE_0,
    xa_is_node,
    xa_is_sibling,
    xa_load,
)


class Rebuilt(NamedTuple):
    """How many words were not what follows from the true data, by what they belong to."""

    frames: int
    """Owners, later frames of folios, what a free frame has left, the flags `head` and `locked`."""
    links: int
    """Of free lists and reverse maps; their order counts, too, so that a sound arena may have some."""
    trees: int
    """Nodes of XArrays, their pool, heads, locks."""
    tables: int
    """Page tables, their pool, counts of spaces."""
    pages: int
    """References, mapcounts, hints, counts of mappings."""
    counters: int
    """Of the nodes."""
    damaged: int
    """True data that contradict each other, left as they are: an order that does not fit, a tree that leads nowhere."""


cdef enum:
    FRAMES
    LINKS
    TREES
    TABLES
    PAGES
    COUNTERS
    DAMAGED
    AREAS

cdef struct Book:
    pgx_region *r
    uint64_t changed[AREAS]
    uint8_t *covered    # by frame: belongs to a folio
    uint8_t *reached    # by tree node
    uint32_t *hint      # by frame: the tree's word that has it
    uint32_t *rmap      # by frame
    uint32_t *mapcount  # by frame


cdef inline void _set64(Book *b, uint32_t area, uint64_t *word, uint64_t value) noexcept nogil:
    b.changed[area] += word[0] != value
    word[0] = value


cdef inline void _set32(Book *b, uint32_t area, uint32_t *word, uint32_t value) noexcept nogil:
    b.changed[area] += word[0] != value
    word[0] = value


cdef inline void _set8(Book *b, uint32_t area, uint8_t *word, uint8_t value) noexcept nogil:
    b.changed[area] += word[0] != value
    word[0] = value


# ---- frames and free lists -----------------------------------------------------------------------------------------------

cdef inline uint32_t _order_of(Book *b, uint64_t pfn) noexcept nogil:
    cdef const pgx_entry *e = &b.r.entries[pfn]
    cdef int node = pgx_node_of(b.r, pfn)
    if e.order <= PGX_MAX_ORDER and pfn & ((1u << e.order) - 1) == 0 and node >= 0 and \
            _inside(b.r, node, pfn, 1ull << e.order):
        return e.order
    b.changed[DAMAGED] += 1
    return 0


cdef inline void _unlock(Book *b, pgx_entry *e) noexcept nogil:
    """Nobody but this process is here, and no call of it: what its user keeps locked stays."""
    cdef uint32_t keeper = (b.r.self + 1) << PGX_OWNER_KEEPER_SHIFT
    if e.owner & PGX_OWNER_KEEPER == keeper:
        _set32(b, FRAMES, &e.owner, keeper)
    else:
        _set32(b, FRAMES, &e.owner, 0)
        _set64(b, FRAMES, &e.flags, e.flags & ~b.r.layout.locked)


cdef void _folios(Book *b) noexcept nogil:
    cdef pgx_entry *e
    cdef pgx_entry *tail
    cdef uint64_t pfn, i
    cdef uint32_t order
    for pfn in range(b.r.nframes):
        e = &b.r.entries[pfn]
        _unlock(b, e)
        if e.state != PGX_USED and e.state != PGX_RESERVED:
            continue
        order = _order_of(b, pfn)
        b.covered[pfn] = 1
        _set32(b, FRAMES, &e.head, 0)
        _set32(b, FRAMES, &e.prev, 0)
        _set64(b, FRAMES, &e.flags, e.flags | b.r.layout.head if order else e.flags & ~b.r.layout.head)
        for i in range(pfn + 1, pfn + (1ull << order)):
            tail = &b.r.entries[i]
            if tail.state != PGX_TAIL and tail.state != PGX_FREE:
                b.changed[DAMAGED] += 1
                continue
            b.covered[i] = 1
            _set8(b, FRAMES, &tail.state, PGX_TAIL)
            _set8(b, FRAMES, &tail.order, 0)
            _set32(b, FRAMES, &tail.head, <uint32_t>pfn + 1)
            _set32(b, FRAMES, &tail.next, 0)
            _set32(b, FRAMES, &tail.prev, 0)
            _set32(b, FRAMES, &tail.refs, 0)
            _set32(b, FRAMES, &tail.mapcount, 0)
            _set32(b, FRAMES, &tail.rmap, 0)


cdef void _free_frames(Book *b) noexcept nogil:
    cdef pgx_entry *e
    cdef uint64_t pfn
    for pfn in range(b.r.nframes):
        e = &b.r.entries[pfn]
        if e.state == PGX_TAIL and not b.covered[pfn]:
            _set8(b, FRAMES, &e.state, PGX_FREE)
        if e.state != PGX_FREE:
            continue
        _set32(b, FRAMES, &e.refs, 0)
        _set32(b, FRAMES, &e.mapcount, 0)
        _set32(b, FRAMES, &e.rmap, 0)
        _set32(b, FRAMES, &e.head, 0)
        _set64(b, FRAMES, &e.mapping, 0)
        _set64(b, FRAMES, &e.index, 0)
        _set64(b, FRAMES, &e.private_, 0)
        if e.held:
            b.changed[FRAMES] += 1
            e.held = 0


cdef inline uint32_t _block_at(Book *b, uint32_t node, uint64_t pfn) noexcept nogil:
    """Order of the largest aligned block of free frames that begins at a free frame."""
    cdef uint32_t order = 0
    cdef uint64_t i
    while order < PGX_MAX_ORDER and pfn & ((2ull << order) - 1) == 0 and _inside(b.r, node, pfn, 2ull << order):
        for i in range(pfn + (1ull << order), pfn + (2ull << order)):
            if b.r.entries[i].state != PGX_FREE:
                return order
        order += 1
    return order


cdef void _free_lists(Book *b, uint32_t number) noexcept nogil:
    """The largest blocks; those of low frames come first in each list."""
    cdef pgx_node *node = &b.r.nodes[number]
    cdef uint64_t end = b.r.node_start[number] + b.r.node_frames[number]
    cdef uint64_t pfn = b.r.node_start[number]
    cdef uint64_t count = 0
    cdef uint32_t[PGX_MAX_ORDER + 1] last
    cdef uint32_t order
    cdef uint64_t i
    memset(last, 0, sizeof(last))
    while pfn < end:
        if b.r.entries[pfn].state != PGX_FREE:
            pfn += 1
            continue
        order = _block_at(b, number, pfn)
        _set8(b, LINKS, &b.r.entries[pfn].order, <uint8_t>order)
        _set32(b, LINKS, &b.r.entries[pfn].prev, last[order])
        _set32(b, LINKS, &b.r.entries[last[order] - 1].next if last[order] else &node.list[order], <uint32_t>pfn + 1)
        last[order] = <uint32_t>pfn + 1
        for i in range(pfn + 1, pfn + (1ull << order)):
            _set8(b, LINKS, &b.r.entries[i].order, INNER)
            _set32(b, LINKS, &b.r.entries[i].prev, 0)
            _set32(b, LINKS, &b.r.entries[i].next, 0)
        count += 1ull << order
        pfn += 1ull << order
    for order in range(PGX_MAX_ORDER + 1):
        _set32(b, LINKS, &b.r.entries[last[order] - 1].next if last[order] else &node.list[order], 0)
    _set64(b, LINKS, &node.free, count)
    _set32(b, LINKS, &node.lock, 0)


# ---- trees and pools -----------------------------------------------------------------------------------------------------

cdef pgx_xanode *_child(Book *b, uint64_t entry, int shift) noexcept nogil:
    """A node that nothing before has led to, of a shift, or of any (-1); NULL: damage."""
    cdef uint64_t number = (entry >> 2) - XA_NODE_0
    cdef pgx_xanode *node
    if number >= b.r.nxanodes or b.reached[number]:
        return NULL
    node = &b.r.xanodes[number]
    if node.shift > XA_MAX_SHIFT or node.shift % PGX_XA_SHIFT or (shift >= 0 and node.shift != shift):
        return NULL
    b.reached[number] = 1
    return node


cdef uint32_t _node(Book *b, pgx_xanode *node, uint32_t parent, uint32_t offset, uint64_t array, bint pages) noexcept nogil:
    """One node and all below it; the marks that the node above has for it. As deep as shifts go: eleven at most."""
    cdef uint32_t number = <uint32_t>(node - b.r.xanodes)
    cdef uint32_t marks = 0
    cdef uint32_t count = 0
    cdef uint32_t slot, mark, below
    cdef uint64_t entry, pfn
    cdef uint64_t[PGX_XA_MARKS] words
    cdef pgx_xanode *child
    for mark in range(PGX_XA_MARKS):
        words[mark] = node.marks[mark]
    for slot in range(PGX_XA_SLOTS):
        entry = node.slot[slot]
        count += entry != 0
        if entry and not xa_is_node(entry) and not xa_is_sibling(entry):
            pfn = pgx_xa_value(entry)
            if pages and entry & 3 == 0 and pfn < b.r.nframes:
                b.hint[pfn] = number * PGX_XA_SLOTS + slot + 1
            continue
        below = 0
        if xa_is_node(entry):
            child = _child(b, entry, node.shift - PGX_XA_SHIFT) if node.shift else NULL
            if child == NULL:
                b.changed[DAMAGED] += 1
                continue
            below = _node(b, child, number + 1, slot, array, pages)
        for mark in range(PGX_XA_MARKS):
            words[mark] = words[mark] & ~(1ull << slot) | <uint64_t>(below >> mark & 1) << slot
    for mark in range(PGX_XA_MARKS):
        _set64(b, TREES, &node.marks[mark], words[mark])
        marks |= <uint32_t>(words[mark] != 0) << mark
    _set8(b, TREES, &node.count, <uint8_t>count)
    _set8(b, TREES, &node.offset, <uint8_t>offset)
    _set8(b, TREES, &node.used, 1)
    _set32(b, TREES, &node.parent, parent)
    _set64(b, TREES, &node.array, array)
    return marks


cdef void _tree(Book *b, pgx_xarray *xa, bint pages) noexcept nogil:
    cdef pgx_xanode *top
    cdef uint32_t marks
    _set64(b, TREES, &xa.lock, 0)
    if xa.seq & 1:
        _set32(b, TREES, &xa.seq, xa.seq + 1)
    if not xa_is_node(xa.head):
        if pages and xa.head and xa.head & 3 == 0 and pgx_xa_value(xa.head) < b.r.nframes:
            b.hint[pgx_xa_value(xa.head)] = PGX_SLOT_HEAD
        if xa.head == 0:  # marks of a single entry at index 0 are nowhere else
            _set32(b, TREES, &xa.flags, 0)
        return
    top = _child(b, xa.head, -1)
    if top == NULL:
        b.changed[DAMAGED] += 1
        return
    marks = _node(b, top, 0, 0, <uint64_t>(<uint8_t *>xa - b.r.base), pages)
    _set32(b, TREES, &xa.flags, marks)


cdef void _pool(Book *b, uint32_t area, pgx_pool *pool, uint8_t *first, uint64_t size, uint64_t link, uint32_t count,
                const uint8_t *in_use) noexcept nogil:
    """Links what is not in use below the last one in use; those behind it were never handed out."""
    cdef uint32_t fresh = count
    cdef uint32_t n = 0
    cdef uint32_t next_ = 0
    cdef uint32_t i
    while fresh and not in_use[fresh - 1]:
        fresh -= 1
    for i in range(fresh, 0, -1):
        if not in_use[i - 1]:
            _set32(b, area, <uint32_t *>(first + (i - 1) * size + link), next_)
            next_ = i
            n += 1
    _set32(b, area, &pool.free_head, next_)
    _set32(b, area, &pool.free, n)
    _set32(b, area, &pool.fresh, fresh)


cdef void _trees(Book *b) noexcept nogil:
    cdef uint32_t i
    for i in range(b.r.nmappings):
        _tree(b, &b.r.mappings[i].pages, True)
    for i in range(b.r.nspaces):
        _tree(b, &b.r.spaces[i].tables, False)
    for i in range(b.r.nxanodes):
        if not b.reached[i]:
            _set8(b, TREES, &b.r.xanodes[i].used, 0)
    _pool(b, TREES, &b.r.header.xanodes, <uint8_t *>b.r.xanodes, sizeof(pgx_xanode),
          <uint64_t>(<uint8_t *>&b.r.xanodes.next - <uint8_t *>b.r.xanodes), b.r.nxanodes, b.reached)


# ---- page tables ---------------------------------------------------------------------------------------------------------

cdef uint32_t _table(Book *b, uint32_t number) noexcept nogil:
    """The words of a table in use, and the reverse map that follows from them; how many are not empty."""
    cdef pgx_table *table = &b.r.tables[number]
    cdef uint32_t count = 0
    cdef uint32_t slot
    cdef uint32_t link
    cdef uint64_t word, pfn
    for slot in range(PGX_TABLE_SLOTS):
        word = table.pte[slot].pte
        link = 0
        if word:
            count += 1
            pfn = word >> 12
            _set64(b, TABLES, &table.pte[slot].pte, word & ~<uint64_t>PGX_PTE_MIGRATION | PGX_PTE_PRESENT)
            if pfn >= b.r.nframes or not b.covered[pfn]:
                b.changed[DAMAGED] += 1
            elif b.r.entries[pfn].state == PGX_USED:
                link = b.rmap[pfn]
                b.rmap[pfn] = number * PGX_TABLE_SLOTS + slot + 1
                b.mapcount[pfn] += 1
        _set32(b, LINKS, &table.pte[slot].next, link)
    _set32(b, TABLES, &table.count, count)
    return count


cdef void _tables(Book *b, uint8_t *in_use, uint64_t *ptes) noexcept nogil:
    cdef pgx_table *table
    cdef uint64_t entry
    cdef uint32_t i
    for i in range(b.r.ntables):
        table = &b.r.tables[i]
        if table.space == 0:
            continue
        entry = 0
        if table.space <= b.r.nspaces:
            entry = xa_load(b.r, &b.r.spaces[table.space - 1].tables, table.base // PGX_TABLE_SLOTS)
        if entry == 0 or entry & 3 or pgx_xa_value(entry) != i:
            _set32(b, TABLES, &table.space, 0)
            continue
        in_use[i] = 1
        ptes[table.space - 1] += _table(b, i)
    for i in range(b.r.nspaces):
        _set64(b, TABLES, &b.r.spaces[i].nr_ptes, ptes[i])
    _pool(b, TABLES, &b.r.header.tables, <uint8_t *>b.r.tables, sizeof(pgx_table),
          <uint64_t>(<uint8_t *>&b.r.tables.next - <uint8_t *>b.r.tables), b.r.ntables, in_use)


# ---- pages and counters --------------------------------------------------------------------------------------------------

cdef void _pages(Book *b, uint64_t *anon, uint64_t *cached, int64_t *counted) noexcept nogil:
    """References and what else an entry says of its page; what mappings, spaces and nodes count."""
    cdef pgx_entry *e
    cdef uint64_t pfn, number, frames
    cdef int64_t *row
    for pfn in range(b.r.nframes):
        e = &b.r.entries[pfn]
        if e.state == PGX_RESERVED:
            _set32(b, PAGES, &e.refs, 1)
        if e.state != PGX_USED:
            continue
        _set32(b, LINKS, &e.rmap, b.rmap[pfn])
        _set32(b, PAGES, &e.mapcount, b.mapcount[pfn])
        frames = 1ull << min(<uint32_t>e.order, <uint32_t>PGX_MAX_ORDER)
        number = (e.mapping >> 2) - 1
        row = counted + pgx_node_of(b.r, pfn) * PGX_NR_COUNTERS
        if e.mapping & 3 == PGX_ANON:
            if number < b.r.nspaces:
                anon[number] += frames
            row[PGX_NR_ANON] += <int64_t>frames if e.mapcount else 0
        elif e.mapping and number < b.r.nmappings:
            cached[number] += frames
            row[PGX_NR_FILE] += <int64_t>frames
            row[PGX_NR_SHMEM] += <int64_t>frames if b.r.mappings[number].shmem else 0
            row[PGX_NR_DIRTY] += <int64_t>frames if e.flags & b.r.layout.dirty else 0
        _set32(b, PAGES, &e.slot, b.hint[pfn] if e.mapping and e.mapping & 3 == 0 else 0)
        _set32(b, PAGES, &e.refs, structural_refs(b.r, e) + (e.held != 0))
    for number in range(b.r.nmappings):
        _set64(b, PAGES, &b.r.mappings[number].nr_pages, cached[number])
    for number in range(b.r.nspaces):
        _set64(b, TABLES, &b.r.spaces[number].nr_anon, anon[number])


cdef void _counters(Book *b, const int64_t *counted) noexcept nogil:
    """What is missing of a sum goes to the first worker's row: who counted what is of no matter."""
    cdef uint32_t node, c
    cdef uint64_t want, have
    cdef int64_t *row
    for node in range(b.r.nnodes):
        row = &pgx_slot_at(b.r, 1).counter[node][0]
        for c in range(PGX_NR_COUNTERS):
            want = <uint64_t>counted[node * PGX_NR_COUNTERS + c]
            have = counter_sum(b.r, node, c)
            _set64(b, COUNTERS, <uint64_t *>&row[c], <uint64_t>row[c] + want - have)


cdef int _rebuild(Book *b) noexcept nogil:
    """0, or -1: no memory."""
    cdef pgx_region *r = b.r
    cdef uint8_t *in_use = <uint8_t *>calloc(r.ntables + 1, 1)
    cdef uint64_t *sums = <uint64_t *>calloc(r.nmappings + 2 * r.nspaces + 1, sizeof(uint64_t))
    cdef int64_t *counted = <int64_t *>calloc(PGX_MAX_NODES * PGX_NR_COUNTERS, sizeof(int64_t))
    cdef uint32_t node
    cdef int rc = -1
    b.covered = <uint8_t *>calloc(r.nframes, 1)
    b.reached = <uint8_t *>calloc(r.nxanodes + 1, 1)
    b.hint = <uint32_t *>calloc(r.nframes, sizeof(uint32_t))
    b.rmap = <uint32_t *>calloc(r.nframes, sizeof(uint32_t))
    b.mapcount = <uint32_t *>calloc(r.nframes, sizeof(uint32_t))
    if in_use != NULL and sums != NULL and counted != NULL and b.covered != NULL and b.reached != NULL and \
            b.hint != NULL and b.rmap != NULL and b.mapcount != NULL:
        _folios(b)
        _free_frames(b)
        for node in range(r.nnodes):
            _free_lists(b, node)
        _trees(b)
        _tables(b, in_use, sums)
        _pages(b, sums + r.nspaces, sums + 2 * r.nspaces, counted)
        _counters(b, counted)
        _set32(b, TREES, &r.header.structure, 0)
        rc = 0
    free(in_use)
    free(sums)
    free(counted)
    free(b.covered)
    free(b.reached)
    free(b.hint)
    free(b.rmap)
    free(b.mapcount)
    return rc


def rebuild(Region arena not None):
    """Make all that is derived in an arena from what is true, while nobody is at work there; see docs/architecture.md.

    Returns
    -------
    Rebuilt
        How many words were wrong.

    Raises
    ------
    ArenaBusyError
        A slot is claimed by somebody else, or by a call of this process: end it, or `recover` it, first.
    """
    cdef Use use = arena.use()
    cdef pgx_region *r = arena.region
    cdef Book book
    cdef uint32_t slot
    refuse_plugin_of(arena, "rebuild it")
    for slot in range(1, r.nslots):
        if slot != r.self and pgx_load64(&pgx_slot_at(r, slot).claim) & 0xff:
            raise ArenaBusyError(errno.EBUSY, f"slot {slot} is claimed; recover() it first, or wait; nothing was changed")
    memset(&book, 0, sizeof(book))
    book.r = r
    # With the GIL: no call of this process begins meanwhile.
    if _rebuild(&book) != 0:
        raise MemoryError("no memory for the tables that a rebuild makes")
    return Rebuilt(*[book.changed[area] for area in range(AREAS)])
