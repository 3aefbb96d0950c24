# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False, freethreading_compatible=False
"""The XArray's tree as it lies in the arena: entry encoding, locks, node pool, look-up, cursor, search.

Semantics are those of Linux's lib/xarray.c. Node numbers stand where Linux has pointers, and each is checked against the
private region, so that no tree, however damaged, leads out of the arena or round in a circle: a child's shift is its
parent's less 6, which also bounds the depth by 11.
"""

from libc.errno cimport ENOMEM
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.format cimport (
    PGX_XA_WRITER,
    pgx_add32,
    pgx_cas32,
    pgx_fail_alloc,
    pgx_load8,
    pgx_load32,
    pgx_load64,
    pgx_pause,
    pgx_pool,
    pgx_region,
    pgx_store32,
    pgx_store64,
    pgx_xanode,
    pgx_xarray,
)

cdef extern from "errno.h" nogil:
    enum:
        EUCLEAN

cdef extern from "sched.h" nogil:
    int sched_yield()

cdef enum:
    SPINS = 128  # turns with a pause before the processor is given away
    TRIES = 256  # look-ups without a lock before the shape is held
    GIVE_UP = 1 << 20  # turns to wait for the shape before the tree is taken for a dead writer's


# ---- locks -----------------------------------------------------------------------------------------------------------

cdef inline void _wait(uint32_t turn) noexcept nogil:
    if turn < SPINS:
        pgx_pause()
    else:
        sched_yield()


cdef bint xa_trylock(pgx_xarray *xa, uint32_t slot) noexcept nogil:
    return pgx_load32(&xa.lock) == 0 and pgx_cas32(&xa.lock, 0, PGX_XA_WRITER | slot)


cdef void xa_lock(pgx_xarray *xa, uint32_t slot) noexcept nogil:
    """Wait until nobody holds the array, then own it. The word names the owner's slot: recovery can tell whose it was."""
    cdef uint32_t turn = 0
    while not xa_trylock(xa, slot):
        _wait(turn)
        turn += turn < SPINS


cdef void xa_unlock(pgx_xarray *xa) noexcept nogil:
    pgx_store32(&xa.lock, 0)


cdef bint xa_tryhold(pgx_xarray *xa) noexcept nogil:
    cdef uint32_t word = pgx_load32(&xa.lock)
    return not word & PGX_XA_WRITER and pgx_cas32(&xa.lock, word, word + 1)


cdef void xa_hold(pgx_xarray *xa) noexcept nogil:
    cdef uint32_t turn = 0
    while not xa_tryhold(xa):
        _wait(turn)
        turn += turn < SPINS


cdef void xa_release(pgx_xarray *xa) noexcept nogil:
    pgx_add32(&xa.lock, <uint32_t>-1)


cdef void pool_lock(pgx_pool *pool, uint32_t slot) noexcept nogil:
    cdef uint32_t turn = 0
    while pgx_load32(&pool.lock) != 0 or not pgx_cas32(&pool.lock, 0, slot + 1):
        _wait(turn)
        turn += turn < SPINS


cdef void pool_unlock(pgx_pool *pool) noexcept nogil:
    pgx_store32(&pool.lock, 0)


# ---- node pool -------------------------------------------------------------------------------------------------------

cdef int xa_nodes_take(pgx_region *r, uint32_t slot, uint32_t n, uint32_t *numbers) noexcept nogil:
    """Take n nodes at once. Nothing is written before all are found, so a failure leaves no trace in the arena."""
    cdef pgx_pool *pool = &r.header.xanodes
    cdef uint32_t i, number, fresh, head, word
    for i in range(n):
        if pgx_fail_alloc(r):
            return -ENOMEM
    pool_lock(pool, slot)
    head = pool.free_head
    fresh = pool.fresh
    for i in range(n):
        if head != 0 and head <= r.nxanodes:
            number = head - 1
            head = r.xanodes[number].next
        elif fresh < r.nxanodes:
            number = fresh
            fresh += 1
        else:
            pool_unlock(pool)
            return -ENOMEM
        if r.xanodes[number].used:
            pool_unlock(pool)
            return -EUCLEAN  # a damaged free list must not hand out a node of somebody's tree
        numbers[i] = number
    pool.free -= n - (fresh - pool.fresh)
    pool.free_head = head
    pool.fresh = fresh
    for i in range(n):
        # Word by word: a reader without the lock may still be in it, and finds out by `seq`.
        for word in range(sizeof(pgx_xanode) // 8):
            pgx_store64(<uint64_t *>&r.xanodes[numbers[i]] + word, 0)
        r.xanodes[numbers[i]].used = 1
    pool_unlock(pool)
    return 0


cdef void xa_node_give(pgx_region *r, uint32_t slot, pgx_xanode *node) noexcept nogil:
    cdef pgx_pool *pool = &r.header.xanodes
    pool_lock(pool, slot)
    if node.used:
        node.used = 0
        node.next = pool.free_head
        pool.free_head = <uint32_t>(node - r.xanodes) + 1
        pool.free += 1
    pool_unlock(pool)


# ---- encoding and bounds ---------------------------------------------------------------------------------------------

cdef bint xa_is_internal(uint64_t entry) noexcept nogil:
    return (entry & 3) == 2


cdef bint xa_is_node(uint64_t entry) noexcept nogil:
    return (entry & 3) == 2 and (entry >> 2) > 4096


cdef uint64_t xa_mk_node(uint32_t number) noexcept nogil:
    return ((<uint64_t>number + 4097) << 2) | 2


cdef uint64_t xa_mk_sibling(uint32_t offset) noexcept nogil:
    return ((<uint64_t>offset) << 2) | 2


cdef bint xa_is_sibling(uint64_t entry) noexcept nogil:
    return (entry & 3) == 2 and (entry >> 2) < 63


cdef uint32_t xa_to_sibling(uint64_t entry) noexcept nogil:
    return <uint32_t>(entry >> 2)


cdef inline pgx_xanode *_node(const pgx_region *r, uint64_t entry) noexcept nogil:
    cdef uint64_t number = (entry >> 2) - 4097
    return &r.xanodes[number] if number < r.nxanodes else NULL


cdef inline uint64_t _offset_of(const pgx_region *r, const pgx_xarray *xa) noexcept nogil:
    return <uint64_t>(<const uint8_t *>xa - r.base)


cdef pgx_xanode *xa_top(const pgx_region *r, const pgx_xarray *xa, uint64_t entry) noexcept nogil:
    cdef pgx_xanode *node = _node(r, entry)
    if node == NULL or not node.used or node.array != _offset_of(r, xa):
        return NULL
    return node if node.shift <= XA_MAX_SHIFT and node.shift % 6 == 0 and node.parent == 0 else NULL


cdef pgx_xanode *xa_child(const pgx_region *r, const pgx_xarray *xa, uint64_t entry, uint32_t shift) noexcept nogil:
    cdef pgx_xanode *node = _node(r, entry)
    if node == NULL or not node.used or node.array != _offset_of(r, xa):
        return NULL
    return node if shift >= 6 and node.shift == shift - 6 else NULL


cdef pgx_xanode *xa_parent(const pgx_region *r, const pgx_xanode *node) noexcept nogil:
    cdef pgx_xanode *parent
    if node.parent == 0 or node.parent > r.nxanodes:
        return NULL
    parent = &r.xanodes[node.parent - 1]
    return parent if parent.used and parent.array == node.array and parent.shift == node.shift + 6 else NULL


cdef uint32_t xa_extent(const pgx_xanode *node, uint32_t offset) noexcept nogil:
    cdef uint64_t sibling = xa_mk_sibling(offset)
    cdef uint32_t n = 1
    while offset + n < 64 and node.slot[offset + n] == sibling:
        n += 1
    return n


cdef uint32_t xa_order_at(const pgx_xanode *node, uint32_t offset) noexcept nogil:
    cdef uint32_t n = xa_extent(node, offset)
    cdef uint32_t order = node.shift
    while n > 1:
        n >>= 1
        order += 1
    return order if order < 63 else 63


# ---- look-up ---------------------------------------------------------------------------------------------------------

cdef uint64_t _peek(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil:
    """One look-up in a tree that may change or be garbage: a wrong answer is possible, a wrong address is not."""
    cdef uint64_t entry = pgx_load64(&xa.head)
    cdef uint64_t number
    cdef const pgx_xanode *node
    cdef uint32_t shift, offset
    if not xa_is_node(entry):
        return entry if index == 0 and not xa_is_internal(entry) else 0
    number = (entry >> 2) - 4097
    if number >= r.nxanodes:
        return 0
    node = &r.xanodes[number]
    shift = pgx_load8(&node.shift)
    if shift > XA_MAX_SHIFT or shift % 6 != 0 or (index >> shift) > 63:
        return 0
    while True:
        offset = (index >> shift) & 63
        entry = pgx_load64(&node.slot[offset])
        if not xa_is_internal(entry):
            return entry
        if xa_is_sibling(entry):
            entry = pgx_load64(&node.slot[xa_to_sibling(entry)])
            return 0 if xa_is_internal(entry) else entry
        if not xa_is_node(entry) or shift == 0:
            return 0
        number = (entry >> 2) - 4097
        if number >= r.nxanodes:
            return 0
        node = &r.xanodes[number]
        shift -= 6
        if pgx_load8(&node.shift) != shift:
            return 0


cdef uint64_t xa_load(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil:
    """Look up without a lock: an answer counts when `seq` was even before and the same after.

    Writers that come one after the other could starve a reader, so after TRIES it holds the shape still. When even that
    does not come about, the writer has died with the lock: then the tree stands still, each of its steps links or unlinks
    whole parts by one store, and what a look-up finds is the state before or after that step (of a multi-index entry that
    was being written, each index by itself).
    """
    cdef uint64_t entry
    cdef uint32_t seq, turn
    for turn in range(TRIES):
        seq = pgx_load32(&xa.seq)
        if not seq & 1:
            entry = _peek(r, xa, index)
            if pgx_load32(&xa.seq) == seq:
                return entry
        _wait(turn)
    for turn in range(GIVE_UP):
        if xa_tryhold(<pgx_xarray *>xa):
            entry = _peek(r, xa, index)
            xa_release(<pgx_xarray *>xa)
            return entry
        _wait(turn)
    return _peek(r, xa, index)


cdef uint64_t xa_walk(const pgx_region *r, const pgx_xarray *xa, uint64_t index, pgx_xanode **node,
                      uint32_t *offset) noexcept nogil:
    """Raw look-up under the lock: 0 for none or damage. *node is the lowest node reached, *offset the canonical slot."""
    cdef uint64_t entry = pgx_load64(&xa.head)
    cdef pgx_xanode *at
    cdef uint32_t shift, slot
    node[0] = NULL
    offset[0] = 0
    if not xa_is_node(entry):
        return entry if index == 0 else 0
    at = xa_top(r, xa, entry)
    if at == NULL or (index >> at.shift) > 63:
        return 0
    shift = at.shift
    while True:
        slot = (index >> shift) & 63
        entry = pgx_load64(&at.slot[slot])
        if xa_is_sibling(entry):
            slot = xa_to_sibling(entry)
            entry = pgx_load64(&at.slot[slot])
            if xa_is_node(entry):
                entry = 0
        node[0] = at
        offset[0] = slot
        if not xa_is_node(entry):
            return entry if not xa_is_internal(entry) or entry == XA_ZERO else 0
        at = xa_child(r, xa, entry, shift)
        if at == NULL:
            return 0
        shift -= 6


cdef uint64_t *xa_find_word(pgx_region *r, pgx_xarray *xa, uint64_t index, uint32_t *order) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    cdef uint64_t entry = xa_walk(r, xa, index, &node, &offset)
    if entry == 0 or entry == XA_ZERO:
        return NULL
    if node == NULL:
        if order != NULL:
            order[0] = 0
        return &xa.head
    if order != NULL:
        order[0] = xa_order_at(node, offset)
    return &node.slot[offset]


cdef void xas_init(xa_cursor *cursor, pgx_xarray *xa) noexcept nogil:
    memset(cursor, 0, sizeof(xa_cursor))
    cursor.xa = xa


cdef void xas_reset(xa_cursor *cursor) noexcept nogil:
    cursor.node = NULL
    cursor.error = 0


cdef uint64_t *xas_find_word(pgx_region *r, xa_cursor *cursor, uint64_t index, uint32_t *order) noexcept nogil:
    """Look up through the cursor: in its node when `index` lies there and the shape is the one it saw, else by a walk."""
    cdef pgx_xarray *xa = cursor.xa
    cdef pgx_xanode *node = cursor.node
    cdef uint32_t offset
    cdef uint64_t entry
    if cursor.error != 0:
        return NULL
    cursor.index = index
    if node != NULL and (index >> cursor.shift) >> 6 == cursor.base and cursor.seq == pgx_load32(&xa.seq):
        offset = (index >> cursor.shift) & 63
        entry = pgx_load64(&node.slot[offset])
        if xa_is_sibling(entry):
            offset = xa_to_sibling(entry)
            entry = pgx_load64(&node.slot[offset])
        if entry == 0:
            return NULL
        if not xa_is_internal(entry):
            cursor.offset = offset
            if order != NULL:
                order[0] = xa_order_at(node, offset)
            return &node.slot[offset]
        # a node below, or a reservation: the walk knows them
    cursor.seq = pgx_load32(&xa.seq)
    entry = xa_walk(r, xa, index, &node, &offset)
    cursor.node = node
    cursor.offset = offset
    if node != NULL:
        cursor.shift = node.shift
        cursor.base = (index >> node.shift) >> 6
    if entry == 0 or entry == XA_ZERO:
        return NULL
    if order != NULL:
        order[0] = xa_order_at(node, offset) if node != NULL else 0
    return &node.slot[offset] if node != NULL else &xa.head


cdef uint32_t xa_get_order(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    if xa_walk(r, xa, index, &node, &offset) == 0 or node == NULL:
        return 0
    return xa_order_at(node, offset)


cdef bint xa_get_mark(const pgx_region *r, const pgx_xarray *xa, uint64_t index, int mark) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    if xa_walk(r, xa, index, &node, &offset) == 0:
        return False
    if node == NULL:
        return (xa.flags >> mark) & 1
    return (node.marks[mark] >> offset) & 1


# ---- search ----------------------------------------------------------------------------------------------------------

cdef uint64_t xa_find_raw(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                          uint32_t *order) noexcept nogil:
    """First entry from *index on: goes down by slots, and up by the path, so that no parent in memory is followed."""
    cdef pgx_xanode *path[XA_LEVELS]
    cdef uint64_t first = index[0]
    cdef uint64_t at = first
    cdef uint64_t entry = pgx_load64(&xa.head)
    cdef pgx_xanode *node
    cdef uint32_t offset, canonical
    cdef uint32_t level = 0
    if first > max:
        return 0
    if filter != XA_PRESENT and not (xa.flags >> filter) & 1:
        return 0
    if not xa_is_node(entry):
        if first != 0 or entry == 0 or (xa_is_internal(entry) and entry != XA_ZERO):
            return 0
        if order != NULL:
            order[0] = 0
        return entry
    node = xa_top(r, xa, entry)
    if node == NULL or (first >> node.shift) > 63:
        return 0
    path[0] = node
    offset = (at >> node.shift) & 63
    while True:
        # `offset` of `node` is next; `at` is the index to report for it, rounded to the slot unless it is `first`
        while offset == 64:
            if level == 0:
                return 0
            level -= 1
            node = path[level]
            offset = (((at - 1) >> node.shift) & 63) + 1
        if at > max:
            return 0
        entry = pgx_load64(&node.slot[offset])
        canonical = offset
        if xa_is_sibling(entry):
            # seen only when `first` lies inside a multi-index entry: later ones are skipped from their first slot
            canonical = xa_to_sibling(entry)
            entry = pgx_load64(&node.slot[canonical])
            if xa_is_internal(entry) and entry != XA_ZERO:
                entry = 0
        if entry != 0 and (filter == XA_PRESENT or (node.marks[filter] >> canonical) & 1):
            if xa_is_node(entry):
                node = xa_child(r, xa, entry, node.shift)
                if node == NULL or level + 1 == XA_LEVELS:
                    return 0
                level += 1
                path[level] = node
                offset = (at >> node.shift) & 63
                continue
            if not xa_is_internal(entry) or entry == XA_ZERO:
                index[0] = at
                if order != NULL:
                    order[0] = xa_order_at(node, canonical)
                return entry
        canonical += xa_extent(node, canonical) if entry != 0 and not xa_is_node(entry) else 1
        offset = canonical if canonical > offset else offset + 1  # forwards, also in a damaged node
        if node.shift == XA_MAX_SHIFT and offset > 15:
            return 0  # past the last index
        at = (((at >> node.shift) & ~<uint64_t>63) + offset) << node.shift
        if at == 0:
            return 0


cdef uint64_t xa_find(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                      uint32_t *order) noexcept nogil:
    cdef uint64_t at = index[0]
    cdef uint64_t entry
    cdef uint32_t found = 0
    while True:
        entry = xa_find_raw(r, xa, &at, max, filter, &found)
        if entry != XA_ZERO:
            break
        at = (at | ((<uint64_t>1 << found) - 1)) + 1
        if at == 0:
            return 0
    if entry != 0:
        index[0] = at
        if order != NULL:
            order[0] = found
    return entry


cdef uint64_t xa_find_after(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                            uint32_t *order) noexcept nogil:
    cdef uint64_t at = (index[0] | ((<uint64_t>1 << xa_get_order(r, xa, index[0])) - 1)) + 1
    cdef uint64_t entry
    if at == 0:
        return 0
    entry = xa_find(r, xa, &at, max, filter, order)
    if entry != 0:
        index[0] = at
    return entry


cdef bint xa_find_free(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max) noexcept nogil:
    """Pass over what is used, from the end of one entry to the next: all three marks stay the user's, none means "free"."""
    cdef pgx_xanode *node
    cdef uint32_t offset
    cdef uint64_t at = index[0]
    cdef uint64_t last, step
    for step in range(<uint64_t>64 * r.nxanodes + 1):  # more slots than that has only a damaged tree
        if at > max:
            break
        if xa_walk(r, xa, at, &node, &offset) == 0:
            index[0] = at
            return True
        last = at
        if node != NULL:
            while offset < 63 and node.slot[offset + 1] != 0 and not xa_is_node(node.slot[offset + 1]):
                offset += 1
            last = (((at >> node.shift) & ~<uint64_t>63) + offset) << node.shift | ((<uint64_t>1 << node.shift) - 1)
        at = last + 1
        if at == 0:
            break
    return False
