# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""The XArray's tree as it lies in the arena: encoding, lock, look-up, cursor. See `search`, and `store` for changes.

Semantics are those of Linux's lib/xarray.c. Node numbers stand where Linux has pointers, and each is checked against the
private region, so that no tree, however damaged, leads out of the arena or round in a circle: a child's shift is its
parent's less 6, which also bounds the depth by 11.

An entry's low bits: 00 an entry of the user (`pgx_xa_entry`), x1 a value entry (free for users of the C level), 10
internal: a sibling's canonical slot, a reservation, or a node.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from pagexchange_native.arena.locks cimport wait_turn
from pagexchange_native.format cimport (
    PGX_SLOT_HEAD,
    PGX_XA_SHIFT,
    PGX_XA_SLOTS,
    PGX_XA_WRITER,
    pgx_and64,
    pgx_cas64,
    pgx_load8,
    pgx_load32,
    pgx_load64,
    pgx_region,
    pgx_store64,
    pgx_xanode,
    pgx_xarray,
)

cdef enum:
    XA_MASK = PGX_XA_SLOTS - 1  # of a slot's number within its node
    XA_MAX_ORDER = 63
    XA_LEVELS = 11     # of the deepest tree: 11 times 6 bits cover 64
    XA_MAX_SHIFT = 60  # of its top node,
    XA_TOP_SLOTS = 16  # which has fewer slots: 4 bits are left
    SLOT_AT = 64       # bytes of a node in front of its slots
    XA_ZERO = (257 << 2) | 2  # a reserved slot: reads as nothing
    XA_NODE_0 = 4097  # internal entry of node 0, less the low bits: Linux keeps the numbers below for errors
    GIVE_UP = 1 << 20  # turns to wait for a tree that stands still before it is taken for a dead writer's

cdef struct xa_cursor:  # XA_STATE: stands in the lowest node of a look-up, so that a neighbour is found without a walk
    pgx_xarray *xa
    pgx_xanode *node  # NULL: the next look-up walks from the head
    uint64_t base  # index >> shift >> 6 of everything that lies in `node`
    uint32_t shift  # of `node`, a private copy
    uint32_t seq  # of the array when `node` was found: a change of shape since then makes the cursor walk again


# ---- lock: exclusive for changes of shape and marks, shared to hold the shape still while words are replaced ------------

cdef inline bint xa_trylock(pgx_xarray *xa) noexcept nogil:
    """Owns the tree as its writer, unless an exchange holds it. The caller has the structure lock, and has named the tree
    in its slot: that is whose writer it is, for recovery."""
    return pgx_load64(&xa.lock) == 0 and pgx_cas64(&xa.lock, 0, PGX_XA_WRITER)


cdef inline void xa_unlock(pgx_xarray *xa) noexcept nogil:
    pgx_store64(&xa.lock, 0)  # nobody adds a bit while there is a writer


cdef inline bint xa_held(const pgx_xarray *xa, uint32_t slot) noexcept nogil:
    return pgx_load64(&xa.lock) >> slot & 1


cdef inline bint xa_tryhold(pgx_xarray *xa, uint32_t slot) noexcept nogil:
    """Holds the tree for a slot; a second time changes nothing. False while there is a writer."""
    cdef uint64_t word = pgx_load64(&xa.lock)
    while not word & PGX_XA_WRITER:
        if pgx_cas64(&xa.lock, word, word | <uint64_t>1 << slot):
            return True
        word = pgx_load64(&xa.lock)
    return False


cdef inline void xa_release(pgx_xarray *xa, uint32_t slot) noexcept nogil:
    """Ends what `xa_tryhold` began; a second time changes nothing."""
    pgx_and64(&xa.lock, ~(<uint64_t>1 << slot))


# ---- encoding and bounds ---------------------------------------------------------------------------------------------

cdef inline bint xa_is_internal(uint64_t entry) noexcept nogil:
    return (entry & 3) == 2


cdef inline bint xa_is_node(uint64_t entry) noexcept nogil:
    return (entry & 3) == 2 and (entry >> 2) >= XA_NODE_0


cdef inline uint64_t xa_mk_node(uint32_t number) noexcept nogil:
    return ((<uint64_t>number + XA_NODE_0) << 2) | 2


cdef inline uint64_t xa_mk_sibling(uint32_t offset) noexcept nogil:
    return ((<uint64_t>offset) << 2) | 2


cdef inline bint xa_is_sibling(uint64_t entry) noexcept nogil:
    return (entry & 3) == 2 and (entry >> 2) < XA_MASK


cdef inline uint32_t xa_to_sibling(uint64_t entry) noexcept nogil:
    return <uint32_t>(entry >> 2)


cdef inline pgx_xanode *_node(const pgx_region *r, uint64_t entry) noexcept nogil:
    cdef uint64_t number = (entry >> 2) - XA_NODE_0
    return &r.xanodes[number] if number < r.nxanodes else NULL


cdef inline uint64_t _offset_of(const pgx_region *r, const pgx_xarray *xa) noexcept nogil:
    return <uint64_t>(<const uint8_t *>xa - r.base)


cdef inline pgx_xanode *xa_top(const pgx_region *r, const pgx_xarray *xa, uint64_t entry) noexcept nogil:
    """The top node that `entry` names; NULL when it is damaged (number, shift, owner)."""
    cdef pgx_xanode *node = _node(r, entry)
    if node == NULL or not node.used or node.array != _offset_of(r, xa):
        return NULL
    return node if node.shift <= XA_MAX_SHIFT and node.shift % PGX_XA_SHIFT == 0 and node.parent == 0 else NULL


cdef inline pgx_xanode *xa_child(const pgx_region *r, const pgx_xarray *xa, uint64_t entry, uint32_t shift) noexcept nogil:
    """The child that `entry` names below a node of `shift`; NULL when it is damaged."""
    cdef pgx_xanode *node = _node(r, entry)
    if node == NULL or not node.used or node.array != _offset_of(r, xa):
        return NULL
    return node if shift >= PGX_XA_SHIFT and node.shift == shift - PGX_XA_SHIFT else NULL


cdef inline pgx_xanode *xa_parent(const pgx_region *r, const pgx_xanode *node) noexcept nogil:
    cdef pgx_xanode *parent
    if node.parent == 0 or node.parent > r.nxanodes:
        return NULL
    parent = &r.xanodes[node.parent - 1]
    return parent if parent.used and parent.array == node.array and parent.shift == node.shift + PGX_XA_SHIFT else NULL


cdef inline uint32_t xa_extent(const pgx_xanode *node, uint32_t offset) noexcept nogil:
    """Slots of the entry at a canonical slot."""
    cdef uint64_t sibling = xa_mk_sibling(offset)
    cdef uint32_t n = 1
    while offset + n < PGX_XA_SLOTS and node.slot[offset + n] == sibling:
        n += 1
    return n


cdef inline uint32_t xa_order_at(const pgx_xanode *node, uint32_t offset) noexcept nogil:
    cdef uint32_t n = xa_extent(node, offset)
    cdef uint32_t order = node.shift
    while n > 1:
        n >>= 1
        order += 1
    return order if order < XA_MAX_ORDER else XA_MAX_ORDER


# ---- look-up ---------------------------------------------------------------------------------------------------------

cdef inline uint64_t _peek(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil:
    """One look-up in a tree that may change or be garbage: a wrong answer is possible, a wrong address is not."""
    cdef uint64_t entry = pgx_load64(&xa.head)
    cdef uint64_t number
    cdef const pgx_xanode *node
    cdef uint32_t shift, offset
    if not xa_is_node(entry):
        return entry if index == 0 and not xa_is_internal(entry) else 0
    number = (entry >> 2) - XA_NODE_0
    if number >= r.nxanodes:
        return 0
    node = &r.xanodes[number]
    shift = pgx_load8(&node.shift)
    if shift > XA_MAX_SHIFT or shift % PGX_XA_SHIFT != 0 or (index >> shift) > XA_MASK:
        return 0
    while True:
        offset = (index >> shift) & XA_MASK
        entry = pgx_load64(&node.slot[offset])
        if not xa_is_internal(entry):
            return entry
        if xa_is_sibling(entry):
            entry = pgx_load64(&node.slot[xa_to_sibling(entry)])
            return 0 if xa_is_internal(entry) else entry
        if not xa_is_node(entry) or shift == 0:
            return 0
        number = (entry >> 2) - XA_NODE_0
        if number >= r.nxanodes:
            return 0
        node = &r.xanodes[number]
        shift -= PGX_XA_SHIFT
        if pgx_load8(&node.shift) != shift:
            return 0


cdef inline uint64_t xa_load(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil:
    """The entry that covers `index`, 0 for none or a reservation. Without a lock; never leaves the arena.

    An answer counts when `seq` was even before and the same after. When that does not come about for GIVE_UP turns, the
    writer has died or was stopped: then the tree stands still, each of its steps links or unlinks whole parts by one store,
    and what a look-up finds is the state before or after that step (of a multi-index entry that was being written, each
    index separately).
    """
    cdef uint64_t entry
    cdef uint32_t seq, turn
    for turn in range(GIVE_UP):
        seq = pgx_load32(&xa.seq)
        if not seq & 1:
            entry = _peek(r, xa, index)
            if pgx_load32(&xa.seq) == seq:
                return entry
        wait_turn(turn)
    return _peek(r, xa, index)


cdef inline uint64_t xa_walk(const pgx_region *r, const pgx_xarray *xa, uint64_t index, pgx_xanode **node,
                      uint32_t *offset) noexcept nogil:
    """Raw look-up (XA_ZERO is seen) while the shape is held: 0 for none or damage.

    *node is the lowest node reached, NULL when the entry is the head; *offset the canonical slot.
    """
    cdef uint64_t entry = pgx_load64(&xa.head)
    cdef pgx_xanode *at
    cdef uint32_t shift, slot
    node[0] = NULL
    offset[0] = 0
    if not xa_is_node(entry):
        return entry if index == 0 else 0
    at = xa_top(r, xa, entry)
    if at == NULL or (index >> at.shift) > XA_MASK:
        return 0
    shift = at.shift
    while True:
        slot = (index >> shift) & XA_MASK
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
        shift -= PGX_XA_SHIFT


cdef inline uint32_t xa_slot_number(const pgx_region *r, const pgx_xarray *xa, const uint64_t *word) noexcept nogil:
    """A word of the array as 32 bits, for an entry's hint and a record; 0 when it is none."""
    cdef uint64_t at = <uint64_t>(<const uint8_t *>word - <const uint8_t *>r.xanodes)
    cdef uint64_t inside = at % sizeof(pgx_xanode)
    if word == &xa.head:
        return PGX_SLOT_HEAD
    if word == NULL or at // sizeof(pgx_xanode) >= r.nxanodes or inside < SLOT_AT or inside & 7:
        return 0
    return <uint32_t>(at // sizeof(pgx_xanode) * PGX_XA_SLOTS + (inside - SLOT_AT) // 8 + 1)


cdef inline uint64_t *xa_slot_word(pgx_region *r, pgx_xarray *xa, uint32_t number) noexcept nogil:
    """The word that such a number names, if it is one that this array keeps entries in; else NULL.

    Entries look alike in all arrays: a page table's number in a space could be taken for the page's frame.
    """
    cdef pgx_xanode *node
    if number == PGX_SLOT_HEAD:
        return &xa.head
    if number == 0 or (number - 1) // PGX_XA_SLOTS >= r.nxanodes:
        return NULL
    node = &r.xanodes[(number - 1) // PGX_XA_SLOTS]
    if not node.used or node.array != _offset_of(r, xa):
        return NULL
    return &node.slot[(number - 1) % PGX_XA_SLOTS]


cdef inline bint xa_word_is_at(const pgx_region *r, const pgx_xarray *xa, const uint64_t *word, uint64_t index) noexcept nogil:
    """Whether a word of `xa_slot_word` can be the one that covers an index, as far as its own node says."""
    cdef uint64_t at = <uint64_t>(<const uint8_t *>word - <const uint8_t *>r.xanodes)
    cdef uint32_t shift
    if word == &xa.head:
        return index == 0
    shift = r.xanodes[at // sizeof(pgx_xanode)].shift
    return shift <= XA_MAX_SHIFT and (index >> shift) & XA_MASK == (at % sizeof(pgx_xanode) - SLOT_AT) // 8


cdef inline uint64_t *xa_find_word(pgx_region *r, pgx_xarray *xa, uint64_t index, uint32_t *order) noexcept nogil:
    """A fresh walk to the word that holds the entry covering `index`; NULL for none, a reservation or a damaged tree.

    `order` may be NULL. The shape must be held (xa_hold or xa_lock) as long as the word is used.
    """
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


cdef inline void xas_init(xa_cursor *cursor, pgx_xarray *xa) noexcept nogil:
    memset(cursor, 0, sizeof(xa_cursor))
    cursor.xa = xa


cdef inline uint64_t *xas_find_word(pgx_region *r, xa_cursor *cursor, uint64_t index, uint32_t *order) noexcept nogil:
    """Look up through the cursor: in its node when `index` lies there and the shape is the one it saw, else by a walk."""
    cdef pgx_xarray *xa = cursor.xa
    cdef pgx_xanode *node = cursor.node
    cdef uint32_t offset
    cdef uint64_t entry
    if node != NULL and (index >> cursor.shift) >> PGX_XA_SHIFT == cursor.base and cursor.seq == pgx_load32(&xa.seq):
        offset = (index >> cursor.shift) & XA_MASK
        entry = pgx_load64(&node.slot[offset])
        if xa_is_sibling(entry):
            offset = xa_to_sibling(entry)
            entry = pgx_load64(&node.slot[offset])
        if entry == 0:
            return NULL
        if not xa_is_internal(entry):
            if order != NULL:
                order[0] = xa_order_at(node, offset)
            return &node.slot[offset]
        # a node below, or a reservation: the walk knows them
    cursor.seq = pgx_load32(&xa.seq)
    entry = xa_walk(r, xa, index, &node, &offset)
    cursor.node = node
    if node != NULL:
        cursor.shift = node.shift
        cursor.base = (index >> node.shift) >> PGX_XA_SHIFT
    if entry == 0 or entry == XA_ZERO:
        return NULL
    if order != NULL:
        order[0] = xa_order_at(node, offset) if node != NULL else 0
    return &node.slot[offset] if node != NULL else &xa.head
