# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Frames by node: a buddy allocator with watermarks, like Linux's zone allocator without its per-CPU lists.

A free block's first frame has state FREE and the block's order; the others have state FREE and order INNER. Links and
counts are caches: the states say the truth, and a scan can rebuild the rest.

What is changed lies under the node's lock, and under the node's undo record of the slot that the lock names. The later
frames of a block are many, and follow from its first: one record stands for all of them (PGX_SAVED_TAKEN, PGX_SAVED_FREED).
Bits of flags words that a free frame has no use for are cleared without a record.

Most words that one section saves: 53 to take, 66 to free (nine blocks split off, or nine merged with).
"""

from libc.errno cimport EAGAIN, EINVAL, ENOMEM, EUCLEAN
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport spin_lock, spin_unlock
from pagexchange_native.arena.undo cimport (
    Undo,
    node_undo,
    put8,
    put16,
    put32,
    put64,
    set_bits,
    undo_commit,
    undo_note,
)
from pagexchange_native.format cimport (
    PGX_FREE,
    PGX_MAX_ORDER,
    PGX_OFFLINE,
    PGX_OWNER_SLOT,
    PGX_SAVED_FREED,
    PGX_SAVED_TAKEN,
    PGX_TAIL,
    PGX_USED,
    pgx_and64,
    pgx_change_owner,
    pgx_entry,
    pgx_fail_alloc,
    pgx_load32,
    pgx_load64,
    pgx_node,
    pgx_node_of,
    pgx_publish,
    pgx_region,
    pgx_store8,
    pgx_store32,
    pgx_store64,
)

cdef enum:
    INNER = 255  # order of a free block's later frames


cdef inline bint _inside(const pgx_region *r, uint32_t node, uint64_t pfn, uint64_t frames) noexcept nogil:
    return pfn >= r.node_start[node] and pfn + frames <= r.node_start[node] + r.node_frames[node]


# Most links are 0 before and after: no record for a word that stays as it is.

cdef inline void _change8(Undo *u, uint8_t *word, uint8_t value) noexcept nogil:
    if word[0] != value:
        put8(u, word, value)


cdef inline void _change32(Undo *u, uint32_t *word, uint32_t value) noexcept nogil:
    if pgx_load32(word) != value:
        put32(u, word, value)


cdef inline void _change64(Undo *u, uint64_t *word, uint64_t value) noexcept nogil:
    if word[0] != value:
        put64(u, word, value)


# ---- lists -----------------------------------------------------------------------------------------------------------

cdef inline void _push(Undo *u, pgx_node *node, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef pgx_entry *e = &u.r.entries[pfn]
    cdef uint32_t first = node.list[order]
    _change8(u, &e.order, <uint8_t>order)
    _change32(u, &e.prev, 0)
    _change32(u, &e.next, first)
    if first:
        put32(u, &u.r.entries[first - 1].prev, pfn + 1)
    put32(u, &node.list[order], pfn + 1)


cdef inline int _unlink(Undo *u, uint32_t n, pgx_node *node, uint32_t pfn, uint32_t order) noexcept nogil:
    """Takes a free block off its list; the links lie in shared memory, so each is looked at before it is followed."""
    cdef pgx_entry *e = &u.r.entries[pfn]
    cdef uint32_t next_ = e.next
    cdef uint32_t prev = e.prev
    if (next_ and not _inside(u.r, n, next_ - 1, 1)) or (prev and not _inside(u.r, n, prev - 1, 1)):
        return -EUCLEAN
    if prev:
        put32(u, &u.r.entries[prev - 1].next, next_)
    else:
        put32(u, &node.list[order], next_)
    if next_:
        put32(u, &u.r.entries[next_ - 1].prev, prev)
    _change32(u, &e.next, 0)
    _change32(u, &e.prev, 0)
    return 0


cdef inline void _give(Undo *u, uint32_t n, pgx_node *node, uint32_t pfn, uint32_t order) noexcept nogil:
    """Puts a block on its list, merged with its buddies as far as they are free."""
    cdef uint32_t buddy
    cdef pgx_entry *e
    while order < PGX_MAX_ORDER:
        buddy = pfn ^ (1 << order)
        if not _inside(u.r, n, buddy, 1 << order):
            break
        e = &u.r.entries[buddy]
        if e.state != PGX_FREE or e.order != order or _unlink(u, n, node, buddy, order) != 0:
            break
        put8(u, &e.order, INNER)
        _change8(u, &u.r.entries[pfn].order, INNER)
        if buddy < pfn:
            pfn = buddy
        order += 1
    _push(u, node, pfn, order)


# ---- take ------------------------------------------------------------------------------------------------------------

cdef inline void _clear_page_bits(pgx_region *r, pgx_entry *e) noexcept nogil:
    """Clears what a flags word says of a page, of a folio's first frame or of a tail; broken memory stays broken."""
    cdef uint64_t bits = r.layout.swap | r.layout.refuse | r.layout.head | r.layout.tail_swap | r.layout.tail_refuse
    bits &= ~r.layout.hwpoison
    if pgx_load64(&e.flags) & bits:
        pgx_and64(&e.flags, ~bits)


cdef inline void _let_go(pgx_entry *e, uint32_t slot) noexcept nogil:
    """Ends the lock of a frame that is no page, if it is the slot's."""
    cdef uint32_t owner = pgx_load32(&e.owner)
    if owner & PGX_OWNER_SLOT == slot + 1:
        pgx_change_owner(e, owner, 0)


cdef inline int64_t _take(Undo *u, uint32_t n, pgx_node *node, uint32_t order, bint locked,
                          uint32_t *where) noexcept nogil:
    cdef pgx_region *r = u.r
    cdef uint32_t o = order
    cdef uint32_t pfn, i
    cdef pgx_entry *e
    while o <= PGX_MAX_ORDER and node.list[o] == 0:
        o += 1
    if o > PGX_MAX_ORDER:
        return -ENOMEM
    pfn = node.list[o] - 1
    if not _inside(r, n, pfn, 1 << o):
        return -EUCLEAN
    e = &r.entries[pfn]
    if e.state != PGX_FREE or e.order != o:
        return -EUCLEAN
    undo_note(u, <uint64_t>pfn << 8 | PGX_SAVED_TAKEN, order)
    # Locked before it looks like a page, so that no worker can exchange it. A worker that has a free frame
    # locked is about to see that it is free, and to let it go.
    if locked and not pgx_change_owner(e, 0, u.slot + 1):
        return -EAGAIN
    if _unlink(u, n, node, pfn, o) != 0:
        if locked:
            _let_go(e, u.slot)
        return -EUCLEAN
    while o > order:
        o -= 1
        _push(u, node, pfn + (1 << o), o)
    _clear_page_bits(r, e)
    if order:
        set_bits(u, &e.flags, r.layout.head)
    put32(u, &e.refs, 1)
    put16(u, &e.held, <uint16_t>(r.process + 1))
    _change8(u, &e.order, <uint8_t>order)
    for i in range(1, 1 << order):
        _clear_page_bits(r, &r.entries[pfn + i])
        pgx_store32(&r.entries[pfn + i].head, pfn + 1)
        pgx_store8(&r.entries[pfn + i].order, 0)
        pgx_store8(&r.entries[pfn + i].state, PGX_TAIL)
    if where != NULL:
        put32(u, where, pfn + 1)
    put64(u, &node.free, node.free - (1 << order))
    put8(u, &e.state, PGX_USED)
    return pfn


cdef inline int64_t pgx_alloc(pgx_region *r, uint32_t node, uint32_t order, uint32_t slot, uint64_t until,
                              uint32_t *where) noexcept nogil:
    """First pfn of a free folio of 2^order frames on `node`, or -ENOMEM, -EINVAL, -EUCLEAN.

    Stops at the min watermark and counts what was asked, got and which watermark was crossed. The slot has the folio locked
    then, so that it cannot be exchanged; `where`, in the arena, becomes pfn + 1 in the same section, or is NULL. -EAGAIN
    when somebody else has that free frame locked at this moment, or the node still at `until` (ns of `now_ns`).
    """
    cdef pgx_node *p
    cdef int64_t pfn
    cdef uint64_t frames = 1 << order
    cdef uint64_t free
    cdef Undo undo = node_undo(r, slot)
    if node >= r.nnodes or order > PGX_MAX_ORDER:
        return -EINVAL
    p = &r.nodes[node]
    if spin_lock(&p.lock, slot + 1, until) != 0:
        return -EAGAIN
    pgx_store64(&p.asked, p.asked + frames)
    free = p.free
    if free < frames + p.wm_low:
        pgx_store64(&p.below_low, p.below_low + 1)
    if free < frames + p.wm_min:
        pgx_store64(&p.below_min, p.below_min + 1)
        pfn = -ENOMEM
    elif pgx_fail_alloc(r):
        pfn = -ENOMEM
    else:
        pfn = _take(&undo, node, p, order, True, where)
        undo_commit(&undo)
    if pfn >= 0:
        pgx_store64(&p.got, p.got + frames)
    spin_unlock(&p.lock)
    return pfn


cdef inline int64_t pgx_alloc_any(pgx_region *r, uint32_t node, uint32_t order, uint32_t slot,
                                  uint64_t until) noexcept nogil:
    """The same to the last frame, neither counted nor locked: for filling an arena."""
    cdef int64_t pfn
    cdef Undo undo = node_undo(r, slot)
    if node >= r.nnodes or order > PGX_MAX_ORDER:
        return -EINVAL
    if pgx_fail_alloc(r):
        return -ENOMEM
    if spin_lock(&r.nodes[node].lock, slot + 1, until) != 0:
        return -EAGAIN
    pfn = _take(&undo, node, &r.nodes[node], order, False, NULL)
    undo_commit(&undo)
    spin_unlock(&r.nodes[node].lock)
    return pfn


# ---- give back ---------------------------------------------------------------------------------------------------------

cdef inline void finish_free(Undo *u, uint32_t n, uint32_t pfn, uint32_t order) noexcept nogil:
    """The rest of a free that counts: its PGX_SAVED_FREED is the only record. Stops anywhere, and can be begun again."""
    cdef uint32_t i
    cdef pgx_entry *e
    for i in range(1 << order):
        e = &u.r.entries[pfn + i]
        # Broken memory is not handed out again; what lies around it is.
        if e.state == PGX_OFFLINE and not pgx_load64(&e.flags) & u.r.layout.hwpoison:
            put8(u, &e.state, PGX_FREE)
            _give(u, n, &u.r.nodes[n], pfn + i, 0)
            put64(u, &u.r.nodes[n].free, u.r.nodes[n].free + 1)
            pgx_publish(u.count, 1)
        _clear_page_bits(u.r, e)
    _let_go(&u.r.entries[pfn], u.slot)
    undo_commit(u)


cdef inline void _free(Undo *u, uint32_t n, uint32_t pfn, uint32_t *where) noexcept nogil:
    """Gives back a folio that was looked at; frames with broken memory go offline instead. Under the node's lock."""
    cdef pgx_region *r = u.r
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint32_t order = e.order
    cdef uint32_t i
    cdef uint8_t state = PGX_FREE
    for i in range(1 << order):
        if pgx_load64(&r.entries[pfn + i].flags) & r.layout.hwpoison:
            state = PGX_OFFLINE
    undo_note(u, <uint64_t>pfn << 8 | PGX_SAVED_FREED, order)
    put8(u, &e.state, state)
    for i in range(1, 1 << order):
        pgx_store8(&r.entries[pfn + i].state, state)
        pgx_store8(&r.entries[pfn + i].order, INNER)
        pgx_store32(&r.entries[pfn + i].head, 0)
    _change32(u, &e.refs, 0)
    if e.held:
        put16(u, &e.held, 0)
    _change32(u, &e.mapcount, 0)
    _change64(u, &e.mapping, 0)
    _change64(u, &e.index, 0)
    _change64(u, &e.private_, 0)
    _change32(u, &e.rmap, 0)
    _change32(u, &e.slot, 0)
    if where != NULL:
        put32(u, where, 0)
    if state == PGX_FREE:
        _give(u, n, &r.nodes[n], pfn, order)
        put64(u, &r.nodes[n].free, r.nodes[n].free + (1 << order))
    else:
        _change8(u, &e.order, INNER)
    pgx_publish(u.count, 1)  # it counts
    finish_free(u, n, pfn, order)


cdef inline int pgx_free(pgx_region *r, uint32_t pfn, uint32_t slot, uint64_t until, uint32_t *where) noexcept nogil:
    """Gives the folio that starts at `pfn` back, and lets go of its lock if it is the slot's.

    `where`, in the arena, becomes 0 in the same section, or is NULL. 0; -EINVAL when it is not the first frame of a folio in
    use; -EAGAIN, and nothing is changed, when somebody else has the node still at `until` (ns of `now_ns`).
    """
    cdef int n
    cdef pgx_entry *e
    cdef Undo undo = node_undo(r, slot)
    if pfn >= r.nframes:
        return -EINVAL
    n = pgx_node_of(r, pfn)
    if n < 0:
        return -EINVAL
    e = &r.entries[pfn]
    if spin_lock(&r.nodes[n].lock, slot + 1, until) != 0:
        return -EAGAIN
    if e.state != PGX_USED or e.order > PGX_MAX_ORDER or not _inside(r, n, pfn, 1 << e.order):
        spin_unlock(&r.nodes[n].lock)
        return -EINVAL
    _free(&undo, n, pfn, where)
    spin_unlock(&r.nodes[n].lock)
    return 0


cdef inline int lock_node_of(pgx_region *r, uint32_t pfn, uint32_t slot, uint64_t until) noexcept nogil:
    """For `free_locked`: 0, or as `pgx_free`."""
    cdef int n = pgx_node_of(r, pfn)
    cdef pgx_entry *e = &r.entries[pfn]
    if n < 0 or e.state != PGX_USED or e.order > PGX_MAX_ORDER or not _inside(r, n, pfn, 1 << e.order):
        return -EINVAL
    return spin_lock(&r.nodes[n].lock, slot + 1, until)


cdef inline void unlock_node_of(pgx_region *r, uint32_t pfn) noexcept nogil:
    spin_unlock(&r.nodes[pgx_node_of(r, pfn)].lock)


cdef inline void free_locked(pgx_region *r, uint32_t pfn, uint32_t slot) noexcept nogil:
    """`pgx_free` of a page that the slot has locked, on a node that `lock_node_of` has locked, and that stays locked."""
    cdef Undo undo = node_undo(r, slot)
    _free(&undo, pgx_node_of(r, pfn), pfn, NULL)


cdef inline void pgx_node_init(pgx_region *r, uint32_t node) noexcept nogil:
    """Makes all frames of a new node free; their flags are the node's number."""
    cdef pgx_node *p = &r.nodes[node]
    cdef uint64_t start = r.node_start[node]
    cdef uint64_t end = start + r.node_frames[node]
    cdef uint64_t pfn
    cdef uint64_t bits = <uint64_t>p.number << r.layout.node_shift if r.layout.node_width else 0
    cdef uint32_t order
    cdef pgx_entry *e
    for pfn in range(start, end):
        r.entries[pfn].flags = bits
        pgx_store8(&r.entries[pfn].state, PGX_FREE)
        pgx_store8(&r.entries[pfn].order, INNER)
    # From the end, so that the lists hand out low frames first.
    pfn = end
    while pfn > start:
        order = 0
        while order < PGX_MAX_ORDER and pfn & ((2ull << order) - 1) == 0 and pfn - (2ull << order) >= start \
                and pfn >= (2ull << order):
            order += 1
        pfn -= 1ull << order
        e = &r.entries[pfn]
        e.order = <uint8_t>order
        e.next = p.list[order]
        if e.next:
            r.entries[e.next - 1].prev = <uint32_t>pfn + 1
        p.list[order] = <uint32_t>pfn + 1
    p.free = r.node_frames[node]
