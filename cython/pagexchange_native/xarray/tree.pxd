"""The XArray's tree as it lies in the arena: entry encoding, locks, node pool, look-up, cursor, search. Changes: `store`."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.format cimport pgx_pool, pgx_region, pgx_xanode, pgx_xarray

# An entry's low bits: 00 an entry of the user (pgx_xa_entry), x1 a value entry (free for users of the C level), 10 internal.
cdef enum:
    XA_ZERO = (257 << 2) | 2  # a reserved slot: reads as nothing
    XA_MAX_SHIFT = 60  # of the top node of the deepest tree: 11 levels of 6 bits cover 64
    XA_LEVELS = 11
    XA_PRESENT = 8  # filter of xa_find: any entry; 0 to 2 ask for a mark

cdef struct xa_cursor:  # XA_STATE: stands in the lowest node of a look-up, so that a neighbour is found without a walk
    pgx_xarray *xa
    uint64_t index  # of the last look-up
    pgx_xanode *node  # NULL: the next look-up walks from the head
    uint64_t base  # index >> shift >> 6 of everything that lies in `node`
    uint32_t shift  # of `node`, a private copy
    uint32_t offset  # canonical slot of the last look-up
    uint32_t seq  # of the array when `node` was found: a change of shape since then makes the cursor walk again
    int error  # sticky -errno: every look-up gives NULL until xas_reset

# --- locks: exclusive for changes of shape and marks, shared to hold the shape still while words are replaced
cdef void xa_lock(pgx_xarray *xa, uint32_t slot) noexcept nogil
cdef bint xa_trylock(pgx_xarray *xa, uint32_t slot) noexcept nogil
cdef void xa_unlock(pgx_xarray *xa) noexcept nogil
cdef void xa_hold(pgx_xarray *xa) noexcept nogil
cdef bint xa_tryhold(pgx_xarray *xa) noexcept nogil
cdef void xa_release(pgx_xarray *xa) noexcept nogil
cdef void pool_lock(pgx_pool *pool, uint32_t slot) noexcept nogil
cdef void pool_unlock(pgx_pool *pool) noexcept nogil

# --- node pool. `xa_nodes_take` gives all n zeroed nodes (numbers) or none: 0 or -ENOMEM, and then nothing was touched.
cdef int xa_nodes_take(pgx_region *r, uint32_t slot, uint32_t n, uint32_t *numbers) noexcept nogil
cdef void xa_node_give(pgx_region *r, uint32_t slot, pgx_xanode *node) noexcept nogil

# --- encoding and bounds
cdef bint xa_is_internal(uint64_t entry) noexcept nogil
cdef bint xa_is_node(uint64_t entry) noexcept nogil
cdef uint64_t xa_mk_node(uint32_t number) noexcept nogil
cdef uint64_t xa_mk_sibling(uint32_t offset) noexcept nogil
cdef bint xa_is_sibling(uint64_t entry) noexcept nogil
cdef uint32_t xa_to_sibling(uint64_t entry) noexcept nogil
# The top node, or the child that `entry` names below a node of `shift`; NULL when it is damaged (number, shift, owner).
cdef pgx_xanode *xa_top(const pgx_region *r, const pgx_xarray *xa, uint64_t entry) noexcept nogil
cdef pgx_xanode *xa_child(const pgx_region *r, const pgx_xarray *xa, uint64_t entry, uint32_t shift) noexcept nogil
cdef pgx_xanode *xa_parent(const pgx_region *r, const pgx_xanode *node) noexcept nogil
cdef uint32_t xa_extent(const pgx_xanode *node, uint32_t offset) noexcept nogil  # slots of the entry at a canonical slot
cdef uint32_t xa_order_at(const pgx_xanode *node, uint32_t offset) noexcept nogil

# --- look-up
# Without any lock: the entry that covers `index`, 0 for none or a reservation. Never leaves the arena, whatever lies in it.
cdef uint64_t xa_load(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil
# The caller holds the shape (xa_hold or xa_lock). A raw look-up: XA_ZERO is seen. *node is NULL when the entry is the head.
cdef uint64_t xa_walk(const pgx_region *r, const pgx_xarray *xa, uint64_t index, pgx_xanode **node,
                      uint32_t *offset) noexcept nogil
# A fresh walk to the word that holds the entry covering `index`; NULL for none, a reservation or a damaged tree.
# `order` may be NULL. Needs the shape held as long as the word is used.
cdef uint64_t *xa_find_word(pgx_region *r, pgx_xarray *xa, uint64_t index, uint32_t *order) noexcept nogil
cdef void xas_init(xa_cursor *cursor, pgx_xarray *xa) noexcept nogil
cdef void xas_reset(xa_cursor *cursor) noexcept nogil
# The same through a cursor, which walks only when `index` leaves the node that it stands in.
cdef uint64_t *xas_find_word(pgx_region *r, xa_cursor *cursor, uint64_t index, uint32_t *order) noexcept nogil
cdef uint32_t xa_get_order(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil
cdef bint xa_get_mark(const pgx_region *r, const pgx_xarray *xa, uint64_t index, int mark) noexcept nogil
# First entry (raw: XA_ZERO is seen) that covers or follows *index and does not start after `max`; 0 for none.
# *index becomes its first index, or stays when it lies inside; *order (may be NULL) its order. `filter`: XA_PRESENT or a mark.
cdef uint64_t xa_find_raw(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                          uint32_t *order) noexcept nogil
# The same, reservations passed over; and from after the entry that covers *index.
cdef uint64_t xa_find(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                      uint32_t *order) noexcept nogil
cdef uint64_t xa_find_after(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                            uint32_t *order) noexcept nogil
# First index from *index to `max` at which nothing is stored or reserved, or False.
cdef bint xa_find_free(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max) noexcept nogil
