# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""Searches in an XArray, and what a look-up says besides the entry: order and marks. The caller holds the shape."""

from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.format cimport PGX_XA_SLOTS, pgx_load64, pgx_region, pgx_xanode, pgx_xarray
from pagexchange_native.xarray.tree cimport (
    XA_LEVELS,
    XA_MASK,
    XA_MAX_SHIFT,
    XA_TOP_SLOTS,
    XA_ZERO,
    xa_child,
    xa_extent,
    xa_is_internal,
    xa_is_node,
    xa_is_sibling,
    xa_order_at,
    xa_to_sibling,
    xa_top,
    xa_walk,
)

cdef enum:
    XA_PRESENT = 8  # filter of a search: any entry; 0 to 2 ask for a mark


cdef inline uint32_t xa_get_order(const pgx_region *r, const pgx_xarray *xa, uint64_t index) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    if xa_walk(r, xa, index, &node, &offset) == 0 or node == NULL:
        return 0
    return xa_order_at(node, offset)


cdef inline bint xa_get_mark(const pgx_region *r, const pgx_xarray *xa, uint64_t index, int mark) noexcept nogil:
    cdef pgx_xanode *node
    cdef uint32_t offset
    if xa_walk(r, xa, index, &node, &offset) == 0:
        return False
    if node == NULL:
        return (xa.flags >> mark) & 1
    return (node.marks[mark] >> offset) & 1


cdef inline uint64_t xa_find_raw(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                          uint32_t *order) noexcept nogil:
    """First entry (raw: XA_ZERO is seen) that covers or follows *index and does not start after `max`; 0 for none.

    *index becomes its first index, or stays when it lies inside; *order (may be NULL) its order. `filter`: XA_PRESENT or
    a mark. Goes down by slots, and up by the path, so that no parent in memory is followed.
    """
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
    if node == NULL or (first >> node.shift) > XA_MASK:
        return 0
    path[0] = node
    offset = (at >> node.shift) & XA_MASK
    while True:
        # `offset` of `node` is next; `at` is the index to report for it, rounded to the slot unless it is `first`
        while offset == PGX_XA_SLOTS:
            if level == 0:
                return 0
            level -= 1
            node = path[level]
            offset = (((at - 1) >> node.shift) & XA_MASK) + 1
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
                offset = (at >> node.shift) & XA_MASK
                continue
            if not xa_is_internal(entry) or entry == XA_ZERO:
                index[0] = at
                if order != NULL:
                    order[0] = xa_order_at(node, canonical)
                return entry
        canonical += xa_extent(node, canonical) if entry != 0 and not xa_is_node(entry) else 1
        offset = canonical if canonical > offset else offset + 1  # forwards, also in a damaged node
        if node.shift == XA_MAX_SHIFT and offset >= XA_TOP_SLOTS:
            return 0  # past the last index
        at = (((at >> node.shift) & ~<uint64_t>XA_MASK) + offset) << node.shift
        if at == 0:
            return 0


cdef inline uint64_t xa_find(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                      uint32_t *order) noexcept nogil:
    """The same, reservations passed over."""
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


cdef inline uint64_t xa_find_after(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max, int filter,
                            uint32_t *order) noexcept nogil:
    """The same from after the entry that covers *index."""
    cdef uint64_t at = (index[0] | ((<uint64_t>1 << xa_get_order(r, xa, index[0])) - 1)) + 1
    cdef uint64_t entry
    if at == 0:
        return 0
    entry = xa_find(r, xa, &at, max, filter, order)
    if entry != 0:
        index[0] = at
    return entry


cdef inline bint xa_find_free(const pgx_region *r, const pgx_xarray *xa, uint64_t *index, uint64_t max) noexcept nogil:
    """First index from *index to `max` at which nothing is stored or reserved, or False.

    Passes over what is used, from the end of one entry to the next: all three marks stay the user's, none means "free".
    """
    cdef pgx_xanode *node
    cdef uint32_t offset
    cdef uint64_t at = index[0]
    cdef uint64_t last, step
    for step in range(<uint64_t>PGX_XA_SLOTS * r.nxanodes + 1):  # more slots than that has only a damaged tree
        if at > max:
            break
        if xa_walk(r, xa, at, &node, &offset) == 0:
            index[0] = at
            return True
        last = at
        if node != NULL:
            while offset < XA_MASK and node.slot[offset + 1] != 0 and not xa_is_node(node.slot[offset + 1]):
                offset += 1
            last = (((at >> node.shift) & ~<uint64_t>XA_MASK) + offset) << node.shift | ((<uint64_t>1 << node.shift) - 1)
        at = last + 1
        if at == 0:
            break
    return False
