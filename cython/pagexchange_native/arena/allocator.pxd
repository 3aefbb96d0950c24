# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Frames by node: a buddy allocator with watermarks, like Linux's zone allocator without its per-CPU lists.

A free block's first frame has state FREE and the block's order; the others have state FREE and order INNER. Links and
counts are caches: the states say the truth, and a scan can rebuild the rest.
"""

from libc.errno cimport EAGAIN, EINVAL, ENOMEM, EUCLEAN
from libc.stdint cimport int64_t, uint32_t, uint64_t

from pagexchange_native.arena.locks cimport spin_lock, spin_unlock
from pagexchange_native.format cimport (
    PGX_FREE,
    PGX_MAX_ORDER,
    PGX_OFFLINE,
    PGX_RESERVED,
    PGX_TAIL,
    PGX_USED,
    pgx_and64,
    pgx_cas32,
    pgx_entry,
    pgx_fail_alloc,
    pgx_load8,
    pgx_load64,
    pgx_node,
    pgx_node_of,
    pgx_or64,
    pgx_region,
    pgx_store8,
    pgx_store32,
    pgx_store64,
)

cdef enum:
    INNER = 255  # order of a free block's later frames


cdef inline bint _inside(const pgx_region *r, uint32_t node, uint64_t pfn, uint64_t frames) noexcept nogil:
    return pfn >= r.node_start[node] and pfn + frames <= r.node_start[node] + r.node_frames[node]


cdef inline void _push(pgx_region *r, pgx_node *node, uint32_t pfn, uint32_t order) noexcept nogil:
    cdef pgx_entry *e = &r.entries[pfn]
    pgx_store8(&e.state, PGX_FREE)
    pgx_store8(&e.order, <unsigned char>order)
    e.prev = 0
    e.next = node.list[order]
    if e.next:
        r.entries[e.next - 1].prev = pfn + 1
    node.list[order] = pfn + 1


cdef inline int _unlink(pgx_region *r, uint32_t n, pgx_node *node, uint32_t pfn, uint32_t order) noexcept nogil:
    """Takes a free block off its list; the links lie in shared memory, so each is looked at before it is followed."""
    cdef pgx_entry *e = &r.entries[pfn]
    cdef uint32_t next_ = e.next
    cdef uint32_t prev = e.prev
    if (next_ and not _inside(r, n, next_ - 1, 1)) or (prev and not _inside(r, n, prev - 1, 1)):
        return -EUCLEAN
    if prev:
        r.entries[prev - 1].next = next_
    else:
        node.list[order] = next_
    if next_:
        r.entries[next_ - 1].prev = prev
    e.next = 0
    e.prev = 0
    return 0


cdef inline void _clear_page_bits(pgx_region *r, pgx_entry *e) noexcept nogil:
    """Clears what a flags word says of a page, of a folio's first frame or of a tail; broken memory stays broken."""
    cdef uint64_t bits = r.layout.swap | r.layout.refuse | r.layout.head | r.layout.tail_swap | r.layout.tail_refuse
    bits &= ~r.layout.hwpoison
    if pgx_load64(&e.flags) & bits:
        pgx_and64(&e.flags, ~bits)


cdef inline int64_t _take(pgx_region *r, uint32_t n, pgx_node *node, uint32_t order, uint32_t lock_as) noexcept nogil:
    cdef uint32_t o = order
    cdef uint32_t pfn, half, i
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
    # Locked before it looks like a page, so that no worker can exchange it. A worker that has a free frame
    # locked is about to see that it is free, and to let it go.
    if lock_as and not pgx_cas32(&e.owner, 0, lock_as):
        return -EAGAIN
    if _unlink(r, n, node, pfn, o) != 0:
        if lock_as:
            pgx_store32(&e.owner, 0)
        return -EUCLEAN
    while o > order:
        o -= 1
        half = pfn + (1 << o)
        _push(r, node, half, o)
    _clear_page_bits(r, e)
    if order:
        pgx_or64(&e.flags, r.layout.head)
    pgx_store32(&e.refs, 1)
    pgx_store8(&e.held, 1)
    pgx_store32(&e.mapcount, 0)
    pgx_store64(&e.mapping, 0)
    e.index = 0
    e.private_ = 0
    e.rmap = 0
    pgx_store32(&e.head, 0)
    pgx_store8(&e.order, <unsigned char>order)
    for i in range(1, 1 << order):
        _clear_page_bits(r, &r.entries[pfn + i])
        pgx_store32(&r.entries[pfn + i].head, pfn + 1)
        pgx_store8(&r.entries[pfn + i].order, 0)
        pgx_store8(&r.entries[pfn + i].state, PGX_TAIL)
    pgx_store8(&e.state, PGX_USED)
    pgx_store64(&node.free, node.free - (1 << order))
    return pfn


cdef inline int64_t pgx_alloc(pgx_region *r, uint32_t node, uint32_t order, uint32_t owner) noexcept nogil:
    """First pfn of a free folio of 2^order frames on `node`, or -ENOMEM, -EINVAL, -EUCLEAN.

    Stops at the min watermark and counts what was asked, got and which watermark was crossed. `owner` is slot + 1 of the
    caller, who has the folio locked then, so that it cannot be exchanged. -EAGAIN when another worker has that free frame
    locked at this moment.
    """
    cdef pgx_node *p
    cdef int64_t pfn
    cdef uint64_t frames = 1 << order
    cdef uint64_t free
    if node >= r.nnodes or order > PGX_MAX_ORDER:
        return -EINVAL
    p = &r.nodes[node]
    spin_lock(&p.lock, owner)
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
        pfn = _take(r, node, p, order, owner)
    if pfn >= 0:
        pgx_store64(&p.got, p.got + frames)
    spin_unlock(&p.lock)
    return pfn


cdef inline int64_t pgx_alloc_any(pgx_region *r, uint32_t node, uint32_t order, uint32_t owner) noexcept nogil:
    """The same to the last frame, neither counted nor locked: for filling an arena."""
    cdef int64_t pfn
    if node >= r.nnodes or order > PGX_MAX_ORDER:
        return -EINVAL
    if pgx_fail_alloc(r):
        return -ENOMEM
    spin_lock(&r.nodes[node].lock, owner)
    pfn = _take(r, node, &r.nodes[node], order, 0)
    spin_unlock(&r.nodes[node].lock)
    return pfn


cdef inline void _give(pgx_region *r, uint32_t n, pgx_node *node, uint32_t pfn, uint32_t order) noexcept nogil:
    """Puts a block on its list, merged with its buddies as far as they are free."""
    cdef uint32_t buddy
    cdef pgx_entry *e
    while order < PGX_MAX_ORDER:
        buddy = pfn ^ (1 << order)
        if not _inside(r, n, buddy, 1 << order):
            break
        e = &r.entries[buddy]
        if e.state != PGX_FREE or e.order != order or _unlink(r, n, node, buddy, order) != 0:
            break
        pgx_store8(&r.entries[buddy].order, INNER)
        pgx_store8(&r.entries[pfn].order, INNER)
        pgx_store8(&r.entries[pfn].state, PGX_FREE)
        if buddy < pfn:
            pfn = buddy
        order += 1
    _push(r, node, pfn, order)


cdef inline int pgx_free(pgx_region *r, uint32_t pfn, uint32_t owner) noexcept nogil:
    """Gives the folio that starts at `pfn` back; frames with broken memory go offline instead.

    0, or -EINVAL when it is not the first frame of a folio in use.
    """
    cdef int n
    cdef uint32_t i, order
    cdef uint32_t lost = 0
    cdef pgx_entry *e
    cdef pgx_entry *tail
    if pfn >= r.nframes:
        return -EINVAL
    n = pgx_node_of(r, pfn)
    if n < 0:
        return -EINVAL
    e = &r.entries[pfn]
    spin_lock(&r.nodes[n].lock, owner)
    order = e.order
    if e.state != PGX_USED or order > PGX_MAX_ORDER or not _inside(r, n, pfn, 1 << order):
        spin_unlock(&r.nodes[n].lock)
        return -EINVAL
    for i in range(1 << order):
        tail = &r.entries[pfn + i]
        pgx_store32(&tail.head, 0)
        pgx_store8(&tail.order, INNER)
        pgx_store8(&tail.state, PGX_FREE)
        if pgx_load64(&tail.flags) & r.layout.hwpoison:
            pgx_store8(&tail.state, PGX_OFFLINE)
            lost += 1
        _clear_page_bits(r, tail)
    pgx_store32(&e.refs, 0)
    pgx_store8(&e.held, 0)
    pgx_store32(&e.mapcount, 0)
    pgx_store64(&e.mapping, 0)
    e.index = 0
    e.private_ = 0
    e.rmap = 0
    if lost == 0:
        _give(r, n, &r.nodes[n], pfn, order)
    else:  # broken memory is not handed out again; what lies around it is
        for i in range(1 << order):
            if r.entries[pfn + i].state == PGX_FREE:
                _give(r, n, &r.nodes[n], pfn + i, 0)
    pgx_store64(&r.nodes[n].free, r.nodes[n].free + (1 << order) - lost)
    spin_unlock(&r.nodes[n].lock)
    return 0


cdef inline void pgx_reserve(pgx_region *r, uint32_t pfn) noexcept nogil:
    """Turns a folio in use into a reserved one: it exists and is never moved or given back.

    The caller has it locked, and its only reference frozen, which is put back here.
    """
    cdef pgx_entry *e = &r.entries[pfn]
    pgx_store8(&e.held, 0)
    pgx_store8(&e.state, PGX_RESERVED)
    pgx_store32(&e.refs, 1)


cdef inline void pgx_node_init(pgx_region *r, uint32_t node) noexcept nogil:
    """Makes all frames of a new node free; their flags are the node's number."""
    cdef pgx_node *p = &r.nodes[node]
    cdef uint64_t start = r.node_start[node]
    cdef uint64_t end = start + r.node_frames[node]
    cdef uint64_t pfn
    cdef uint64_t bits = <uint64_t>p.number << r.layout.node_shift if r.layout.node_width else 0
    cdef uint32_t order
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
        _push(r, p, <uint32_t>pfn, order)
    p.free = r.node_frames[node]
