# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, freethreading_compatible=False
"""Changes of an XArray: store, erase, cmpxchg, insert, reservations, marks.

What a store needs is counted and taken from the pool first, built where no reader sees it, and linked by one store: an
error leaves no trace. Every store to what is reachable is saved first, so that a death in between leaves none either: the
caller commits. Sub-trees of any size that a store drops are named in the slot, and given back node by node after the
commit, each in a commit of its own. `seq` is odd while a reader without the lock could see parts or walk into a freed node. It does
not change when one 64-bit store is all that a reader can see: a replaced entry, an entry or a sub-tree in an empty slot.
"""

from libc.errno cimport EBUSY, EINVAL, EUCLEAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.pool cimport Items, pool_give, pool_take
from pagexchange_native.arena.undo cimport Undo, put8, put32, put64, undo_back, undo_commit
from pagexchange_native.format cimport (
    PGX_XA_MARKS,
    PGX_XA_SHIFT,
    PGX_XA_SLOTS,
    pgx_fence,
    pgx_region,
    pgx_slot_at,
    pgx_store8,
    pgx_store32,
    pgx_store64,
    pgx_xanode,
    pgx_xarray,
)
from pagexchange_native.xarray.search cimport XA_PRESENT, xa_find_free, xa_find_raw
from pagexchange_native.xarray.tree cimport (
    XA_LEVELS,
    XA_MASK,
    XA_MAX_ORDER,
    XA_MAX_SHIFT,
    XA_ZERO,
    xa_child,
    xa_extent,
    xa_is_internal,
    xa_is_node,
    xa_is_sibling,
    xa_mk_node,
    xa_mk_sibling,
    xa_parent,
    xa_to_sibling,
    xa_top,
    xa_walk,
)

cdef enum:
    MAX_NEW = 2 * XA_LEVELS  # a chain of nodes down to the entry, and one up from the old head
    HEAD_MARKS = 7
    LINK_WORD = 2  # of a node's words the one with `next`


cdef inline void _begin(pgx_xarray *xa) noexcept nogil:
    pgx_store32(&xa.seq, (xa.seq + 1) | 1)
    pgx_fence()


cdef inline void _end(pgx_xarray *xa) noexcept nogil:
    pgx_store32(&xa.seq, xa.seq + 1)


cdef inline uint64_t _visible(uint64_t entry) noexcept nogil:
    return 0 if entry == XA_ZERO else entry


cdef inline uint64_t _mask(uint32_t offset, uint32_t n) noexcept nogil:
    """Return n bits from `offset` on; n is 1 to 64."""
    return (~<uint64_t>0 >> (PGX_XA_SLOTS - n)) << offset


# ---- node pool -------------------------------------------------------------------------------------------------------

cdef inline Items _nodes(pgx_region *r) noexcept nogil:
    return Items(&r.header.xanodes, r.nxanodes, <uint8_t *>&r.xanodes[0].next, sizeof(pgx_xanode))


cdef bint _in_use(const pgx_region *r, uint32_t number) noexcept nogil:
    return r.xanodes[number].used


cdef int _take_nodes(Undo *u, uint32_t n, uint32_t *numbers) noexcept nogil:
    """Takes n zeroed nodes or none: 0 or -ENOMEM, -EUCLEAN."""
    cdef Items nodes = _nodes(u.r)
    cdef pgx_xanode *node
    cdef uint32_t i, word
    cdef int rc = pool_take(u, &nodes, _in_use, n, numbers)
    if rc == 0:
        for i in range(n):
            node = &u.r.xanodes[numbers[i]]
            # Word by word: a reader without the lock may still be in it, and finds out by `seq`.
            for word in range(sizeof(pgx_xanode) // 8):
                if word != LINK_WORD:
                    pgx_store64(<uint64_t *>node + word, 0)
            put8(u, &node.used, 1)
    return rc


cdef void _give_node(Undo *u, pgx_xanode *node) noexcept nogil:
    cdef Items nodes = _nodes(u.r)
    if node.used:
        put8(u, &node.used, 0)
        pool_give(u, &nodes, <uint32_t>(node - u.r.xanodes))


cdef inline uint64_t *_dropped(Undo *u) noexcept nogil:
    return &pgx_slot_at(u.r, u.slot).drop


cdef inline uint64_t _drop(Undo *u, pgx_xanode *node, uint64_t others) noexcept nogil:
    """Puts a sub-tree that was unlinked in front of others that are to be given back; the caller stores the new first.

    It is of no array from then on, so that in a damaged tree it is not found and put there twice.
    """
    pgx_store32(&node.next, <uint32_t>others)  # not saved: the link of a node in a tree means nothing
    put64(u, &node.array, 0)
    return <uint64_t>(node - u.r.xanodes) + 1


cdef uint64_t _drop_below(Undo *u, pgx_xarray *xa, const uint64_t *entries, uint32_t n, uint32_t shift,
                          uint64_t others) noexcept nogil:
    """The same for all nodes among n entries of a node of `shift`."""
    cdef pgx_xanode *child
    cdef uint32_t i
    for i in range(n):
        if xa_is_node(entries[i]):
            child = xa_child(u.r, xa, entries[i], shift)
            if child != NULL:
                others = _drop(u, child, others)
    return others


cdef void _give_first(Undo *u, pgx_xarray *xa, pgx_xanode *node) noexcept nogil:
    """Gives the first node of the list back; the nodes below it take its place there."""
    put64(u, _dropped(u), _drop_below(u, xa, node.slot, PGX_XA_SLOTS, node.shift, node.next))
    put32(u, &node.next, 0)
    _give_node(u, node)


cdef void xa_commit(Undo *u, pgx_xarray *xa) noexcept nogil:
    cdef uint64_t *first = _dropped(u)
    cdef pgx_xanode *node
    undo_commit(u)
    while first[0]:
        node = &u.r.xanodes[first[0] - 1] if first[0] <= u.r.nxanodes else NULL
        if node == NULL or not node.used or node.array != 0:  # damaged: what is left of the list is lost
            pgx_store64(first, 0)
            return
        _give_first(u, xa, node)
        undo_commit(u)


# ---- store and erase -------------------------------------------------------------------------------------------------

cdef inline void _put_slot(Undo *u, pgx_xanode *node, uint32_t offset, uint64_t entry) noexcept nogil:
    """Fills an empty slot of a node in the tree."""
    put64(u, &node.slot[offset], entry)
    put8(u, &node.count, <uint8_t>(node.count + 1))


cdef void _chain(Undo *u, pgx_xarray *xa, const uint32_t *numbers, uint32_t n, uint32_t shift, uint64_t base,
                 uint32_t span, uint64_t entry) noexcept nogil:
    """Build n new nodes, one below the other from `shift` down, with the entry in the last one."""
    cdef pgx_xanode *node = NULL
    cdef uint32_t i, offset
    for i in range(n):
        if i > 0:
            offset = (base >> (shift + PGX_XA_SHIFT)) & XA_MASK
            pgx_store64(&node.slot[offset], xa_mk_node(numbers[i]))
            node.count = 1
        node = &u.r.xanodes[numbers[i]]
        pgx_store8(&node.shift, <uint8_t>shift)
        node.array = <uint64_t>(<uint8_t *>xa - u.r.base)
        if i > 0:
            node.offset = <uint8_t>offset
            node.parent = numbers[i - 1] + 1
        shift -= PGX_XA_SHIFT
    offset = (base >> node.shift) & XA_MASK
    pgx_store64(&node.slot[offset], entry)
    for i in range(1, span):
        pgx_store64(&node.slot[offset + i], xa_mk_sibling(offset))
    node.count = <uint8_t>span


cdef int _store_growing(Undo *u, pgx_xarray *xa, pgx_xanode *top, uint64_t base, uint64_t last, uint32_t target,
                        uint32_t span, uint64_t entry) noexcept nogil:
    """Store where the tree does not reach: a new top, the old tree below its slot 0 unless the entry covers it."""
    cdef uint32_t numbers[MAX_NEW]
    cdef uint32_t high = target
    cdef uint32_t lowest, chain, extra, i, mark, shift
    cdef uint64_t child = xa.head
    cdef bint keep = child != 0 and base != 0
    cdef pgx_xanode *node
    cdef int code
    while (last >> high) > XA_MASK:
        high += PGX_XA_SHIFT
    chain = (high - target) // PGX_XA_SHIFT + 1
    lowest = top.shift + PGX_XA_SHIFT if top != NULL else 0
    extra = (high - lowest) // PGX_XA_SHIFT if keep else 0
    code = _take_nodes(u, chain + extra, numbers)
    if code != 0:
        return code
    _chain(u, xa, numbers, chain, high, base, span, entry)
    node = &u.r.xanodes[numbers[chain - 1]]
    if keep:
        for i in range(extra + 1):
            shift = lowest + PGX_XA_SHIFT * i
            node = &u.r.xanodes[numbers[chain + i] if i < extra else numbers[0]]
            pgx_store8(&node.shift, <uint8_t>shift)
            node.array = <uint64_t>(<uint8_t *>xa - u.r.base)
            pgx_store64(&node.slot[0], child)
            node.count += 1
            if i > 0:
                u.r.xanodes[numbers[chain + i - 1]].parent = <uint32_t>(node - u.r.xanodes) + 1
            child = xa_mk_node(<uint32_t>(node - u.r.xanodes))
            for mark in range(PGX_XA_MARKS):
                node.marks[mark] |= (xa.flags >> mark) & 1
    elif child != 0:
        for mark in range(PGX_XA_MARKS):  # the entry takes the place of all: the union of marks is the head's
            node.marks[mark] = (xa.flags >> mark) & 1
    _begin(xa)
    if keep and top != NULL:
        put8(u, &top.offset, 0)
        put32(u, &top.parent, (numbers[chain] if extra > 0 else numbers[0]) + 1)
    put64(u, &xa.head, xa_mk_node(numbers[0]))
    if not keep and top != NULL:
        put64(u, _dropped(u), _drop(u, top, 0))
    _end(xa)
    return 0


cdef void _overwrite(Undo *u, pgx_xarray *xa, pgx_xanode *node, uint32_t offset, uint32_t span,
                     uint64_t entry) noexcept nogil:
    """Put one entry over `span` slots: sub-trees and smaller entries go, and leave it the union of their marks."""
    cdef uint64_t dropped[PGX_XA_SLOTS]
    cdef uint64_t mask = _mask(offset, span)
    cdef uint64_t marks, below
    cdef uint32_t i, mark
    cdef uint32_t empty = 0
    _begin(xa)
    for i in range(span):
        dropped[i] = node.slot[offset + i]
        empty += dropped[i] == 0
        put64(u, &node.slot[offset + i], xa_mk_sibling(offset) if i > 0 else entry)
    if empty:
        put8(u, &node.count, <uint8_t>(node.count + empty))
    for mark in range(PGX_XA_MARKS):
        marks = node.marks[mark] & mask
        if marks:
            put64(u, &node.marks[mark], (node.marks[mark] & ~mask) | <uint64_t>1 << offset)
    below = _drop_below(u, xa, dropped, span, node.shift, 0)
    if below:
        put64(u, _dropped(u), below)
    _end(xa)


cdef int _store_inside(Undo *u, pgx_xarray *xa, pgx_xanode *node, uint64_t base, uint32_t target, uint32_t span,
                       uint64_t entry) noexcept nogil:
    """Store below `node`, which covers the range. `shift` is private: what lies in the arena may change under us."""
    cdef uint32_t numbers[MAX_NEW]
    cdef uint32_t shift = min(<uint32_t>node.shift, <uint32_t>XA_MAX_SHIFT)
    cdef uint32_t offset, n
    cdef uint64_t found
    cdef int code
    while True:
        offset = (base >> shift) & XA_MASK
        found = node.slot[offset]
        if xa_is_sibling(found):
            offset = xa_to_sibling(found)
            found = node.slot[offset]
            if xa_is_internal(found) and found != XA_ZERO:
                return -EUCLEAN
        if xa_is_internal(found) and found != XA_ZERO and not xa_is_node(found):
            return -EUCLEAN
        if shift <= target or not xa_is_node(found):
            break
        node = xa_child(u.r, xa, found, shift)
        if node == NULL:
            return -EUCLEAN
        shift -= PGX_XA_SHIFT
    if found == 0 and shift > target:
        n = (shift - target) // PGX_XA_SHIFT
        code = _take_nodes(u, n, numbers)
        if code != 0:
            return code
        _chain(u, xa, numbers, n, shift - PGX_XA_SHIFT, base, span, entry)
        u.r.xanodes[numbers[0]].parent = <uint32_t>(node - u.r.xanodes) + 1
        u.r.xanodes[numbers[0]].offset = <uint8_t>offset
        _put_slot(u, node, offset, xa_mk_node(numbers[0]))
    elif found != 0 and not xa_is_node(found) and (shift > target or xa_extent(node, offset) >= span):
        put64(u, &node.slot[offset], entry)  # replaced whole: its order and its marks stay
    elif found == 0 and span == 1:
        _put_slot(u, node, offset, entry)
    else:
        _overwrite(u, xa, node, (base >> target) & XA_MASK, span, entry)
    return 0


cdef void _unmark(Undo *u, pgx_xarray *xa, pgx_xanode *node, int mark, uint64_t mask) noexcept nogil:
    """Clear a mark in a node, and upwards as long as a node has it no more."""
    cdef uint32_t level
    if node.marks[mark] & mask == 0:
        return
    for level in range(XA_LEVELS):
        put64(u, &node.marks[mark], node.marks[mark] & ~mask)
        if node.marks[mark] != 0:
            return
        if node.parent == 0:
            break
        mask = <uint64_t>1 << (node.offset & XA_MASK)
        node = xa_parent(u.r, node)
        if node == NULL:
            return
    put32(u, &xa.flags, xa.flags & ~(<uint32_t>1 << mark))


cdef void _prune(Undo *u, pgx_xarray *xa, pgx_xanode *node) noexcept nogil:
    """Free `node` and its ancestors as far as they are empty, then top nodes of which only slot 0 is used."""
    cdef pgx_xanode *parent
    cdef uint64_t entry
    cdef uint32_t left = 2 * XA_LEVELS  # a path down, and one of top nodes: more has only a damaged tree
    while node.count == 0 and left > 0:
        left -= 1
        if node.parent == 0:
            if xa.flags & HEAD_MARKS:
                put32(u, &xa.flags, xa.flags & ~<uint32_t>HEAD_MARKS)
            put64(u, &xa.head, 0)
            _give_node(u, node)
            return
        parent = xa_parent(u.r, node)
        if parent == NULL:
            return
        put64(u, &parent.slot[node.offset & XA_MASK], 0)
        put8(u, &parent.count, <uint8_t>(parent.count - 1))
        _give_node(u, node)
        node = parent
    while node.parent == 0 and node.count == 1 and left > 0:
        left -= 1
        entry = node.slot[0]
        if entry == 0 or (not xa_is_node(entry) and node.shift != 0):
            return
        parent = node
        node = NULL
        if xa_is_node(entry):
            node = xa_child(u.r, xa, entry, parent.shift)
            if node == NULL:
                return
            put32(u, &node.parent, 0)
            put8(u, &node.offset, 0)
        put64(u, &xa.head, entry)
        _give_node(u, parent)
        if node == NULL:
            return


cdef int _erase(Undo *u, pgx_xarray *xa, uint64_t base, uint64_t last, uint32_t target,
                uint32_t span) noexcept nogil:
    """Delete every entry that touches base..last, whole."""
    cdef uint64_t dropped[PGX_XA_SLOTS]
    cdef uint64_t found = xa.head
    cdef uint64_t below
    cdef pgx_xanode *node
    cdef uint32_t offset, n, i, shift
    cdef uint32_t removed = 0
    cdef int mark
    if not xa_is_node(found):
        if base == 0 and found != 0:
            xa_destroy(u, xa)
        return 0
    node = xa_top(u.r, xa, found)
    if node == NULL:
        return -EUCLEAN
    shift = min(<uint32_t>node.shift, <uint32_t>XA_MAX_SHIFT)
    if base == 0 and (shift < target or (last >> shift) > XA_MASK):
        xa_destroy(u, xa)
        return 0
    if (base >> shift) > XA_MASK:
        return 0
    while True:
        offset = (base >> shift) & XA_MASK
        found = node.slot[offset]
        if xa_is_sibling(found):
            offset = xa_to_sibling(found)
            found = node.slot[offset]
            if xa_is_internal(found) and found != XA_ZERO:
                return -EUCLEAN
        if shift <= target or not xa_is_node(found):
            break
        node = xa_child(u.r, xa, found, shift)
        if node == NULL:
            return -EUCLEAN
        shift -= PGX_XA_SHIFT
    n = xa_extent(node, offset) if found != 0 and not xa_is_node(found) else 1
    if shift == target and n < span:
        offset = (base >> target) & XA_MASK
        n = span
    for i in range(n):
        dropped[i] = node.slot[offset + i]
        removed += dropped[i] != 0
    if removed == 0:
        return 0
    _begin(xa)
    for mark in range(PGX_XA_MARKS):
        _unmark(u, xa, node, mark, _mask(offset, n))
    for i in range(n):
        put64(u, &node.slot[offset + i], 0)
    below = _drop_below(u, xa, dropped, n, node.shift, 0)
    if below:
        put64(u, _dropped(u), below)
    put8(u, &node.count, <uint8_t>(node.count - removed))
    _prune(u, xa, node)
    _end(xa)
    return 0


# ---- what others call ------------------------------------------------------------------------------------------------

cdef int xa_store(Undo *u, pgx_xarray *xa, uint64_t index, uint32_t order, uint64_t entry,
                  uint64_t *old) noexcept nogil:
    cdef uint64_t base, last, before
    cdef uint64_t head = xa.head
    cdef uint32_t target, span, offset
    cdef pgx_xanode *top = NULL
    cdef pgx_xanode *node
    cdef int code
    if old != NULL:
        old[0] = 0
    if order > XA_MAX_ORDER or (xa_is_internal(entry) and entry != XA_ZERO):
        return -EINVAL
    base = index >> order << order
    last = base | ((<uint64_t>1 << order) - 1)
    target = order - order % PGX_XA_SHIFT
    span = <uint32_t>1 << (order % PGX_XA_SHIFT)
    if xa_is_node(head):
        top = xa_top(u.r, xa, head)
    if xa_is_internal(head) and head != XA_ZERO and top == NULL:
        return -EUCLEAN
    before = _visible(xa_walk(u.r, xa, index, &node, &offset))
    if entry == 0:
        code = _erase(u, xa, base, last, target, span)
    elif top != NULL and top.shift >= target and (last >> top.shift) <= XA_MASK:
        code = _store_inside(u, xa, top, base, target, span, entry)
    elif top == NULL and last == 0:
        put64(u, &xa.head, entry)
        code = 0
    else:
        code = _store_growing(u, xa, top, base, last, target, span, entry)
    if code == 0 and old != NULL:
        old[0] = before
    return code


cdef int xa_erase(Undo *u, pgx_xarray *xa, uint64_t index, uint64_t *old) noexcept nogil:
    return xa_store(u, xa, index, 0, 0, old)


cdef int xa_cmpxchg(Undo *u, pgx_xarray *xa, uint64_t index, uint64_t expected, uint64_t entry,
                    uint64_t *found) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    cdef uint64_t now = xa_walk(u.r, xa, index, &node, &offset)
    if found != NULL:
        found[0] = now
    if xa_is_internal(entry) and entry != XA_ZERO:
        return -EINVAL
    return xa_store(u, xa, index, 0, entry, NULL) if now == expected else 0


cdef int xa_insert(Undo *u, pgx_xarray *xa, uint64_t index, uint32_t order, uint64_t entry) noexcept nogil:
    cdef uint64_t base, last
    if order > XA_MAX_ORDER:
        return -EINVAL
    base = index >> order << order
    last = base | ((<uint64_t>1 << order) - 1)
    if xa_find_raw(u.r, xa, &base, last, XA_PRESENT, NULL) != 0:
        return -EBUSY
    return xa_store(u, xa, index, order, entry if entry != 0 else XA_ZERO, NULL)


cdef int xa_alloc(Undo *u, pgx_xarray *xa, uint64_t first, uint64_t last, uint64_t entry,
                  uint64_t *index) noexcept nogil:
    index[0] = first
    if not xa_find_free(u.r, xa, index, last):
        return -EBUSY
    return xa_store(u, xa, index[0], 0, entry if entry != 0 else XA_ZERO, NULL)


cdef int xa_reserve(Undo *u, pgx_xarray *xa, uint64_t index) noexcept nogil:
    return xa_cmpxchg(u, xa, index, 0, XA_ZERO, NULL)


cdef int xa_unreserve(Undo *u, pgx_xarray *xa, uint64_t index) noexcept nogil:
    return xa_cmpxchg(u, xa, index, XA_ZERO, 0, NULL)


cdef int xa_store_range(Undo *u, pgx_xarray *xa, uint64_t first, uint64_t last, uint64_t entry) noexcept nogil:
    cdef uint32_t order
    cdef int code
    if last < first:
        return -EINVAL
    while True:
        order = XA_MAX_ORDER
        while first & ((<uint64_t>1 << order) - 1) != 0 or last - first < (<uint64_t>1 << order) - 1:
            order -= 1
        code = xa_store(u, xa, first, order, entry, NULL)
        xa_commit(u, xa)
        if code != 0 or last - first == (<uint64_t>1 << order) - 1:
            return code
        first += <uint64_t>1 << order


cdef void xa_set_mark(Undo *u, pgx_xarray *xa, uint64_t index, int mark) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset, level
    if xa_walk(u.r, xa, index, &node, &offset) == 0:
        return
    for level in range(XA_LEVELS):
        if node == NULL:
            break
        if not (node.marks[mark] >> offset) & 1:
            put64(u, &node.marks[mark], node.marks[mark] | <uint64_t>1 << offset)
        offset = node.offset & XA_MASK
        node = xa_parent(u.r, node)
    if not (xa.flags >> mark) & 1:
        put32(u, &xa.flags, xa.flags | (<uint32_t>1 << mark))


cdef void xa_clear_mark(Undo *u, pgx_xarray *xa, uint64_t index, int mark) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    if xa_walk(u.r, xa, index, &node, &offset) == 0:
        return
    if node != NULL:
        _unmark(u, xa, node, mark, <uint64_t>1 << offset)
    elif (xa.flags >> mark) & 1:
        put32(u, &xa.flags, xa.flags & ~(<uint32_t>1 << mark))


cdef void xa_destroy(Undo *u, pgx_xarray *xa) noexcept nogil:
    cdef uint64_t head = xa.head
    cdef pgx_xanode *top = xa_top(u.r, xa, head) if xa_is_node(head) else NULL
    _begin(xa)
    put32(u, &xa.flags, xa.flags & ~<uint32_t>HEAD_MARKS)
    put64(u, &xa.head, 0)
    if top != NULL:
        put64(u, _dropped(u), _drop(u, top, 0))
    _end(xa)


cdef void xa_back(Undo *u, pgx_xarray *xa) noexcept nogil:
    _begin(xa)
    undo_back(u)
    _end(xa)
