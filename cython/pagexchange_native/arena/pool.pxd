"""Pools in the arena: XArray nodes and page tables. Free items are linked; those from `fresh` on were never handed out."""

from libc.errno cimport ENOMEM, EUCLEAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.format cimport pgx_fail_alloc, pgx_pool, pgx_region

cdef struct Items:  # of one pool
    pgx_pool *pool
    uint32_t count
    uint8_t *link   # in the first item: number + 1 of the next free one, 0 at the end
    uint64_t size   # bytes from one item to the next

ctypedef bint (*in_use_fn)(const pgx_region *r, uint32_t number) noexcept nogil


cdef inline uint32_t *_link(const Items *items, uint32_t number) noexcept nogil:
    return <uint32_t *>(items.link + number * items.size)


cdef inline int pool_take(pgx_region *r, const Items *items, in_use_fn in_use, uint32_t n,
                          uint32_t *numbers) noexcept nogil:
    """Takes n items or none: 0 and their numbers, -ENOMEM, or -EUCLEAN when the free list leads to an item in use.

    The caller has the pool locked, and marks the items before it unlocks. Nothing is written before all are found, so
    that a failure leaves no trace in the arena.
    """
    cdef pgx_pool *pool = items.pool
    cdef uint32_t head, fresh, number, i
    for i in range(n):
        if pgx_fail_alloc(r):
            return -ENOMEM
    head = pool.free_head
    fresh = pool.fresh
    for i in range(n):
        if head != 0 and head <= items.count:
            number = head - 1
            head = _link(items, number)[0]
        elif fresh < items.count:
            number = fresh
            fresh += 1
        else:
            return -ENOMEM
        # The list lies in shared memory: a damaged one must not hand out what belongs to a tree or a space.
        if in_use(r, number):
            return -EUCLEAN
        numbers[i] = number
    pool.free -= n - (fresh - pool.fresh)
    pool.free_head = head
    pool.fresh = fresh
    return 0


cdef inline void pool_give(const Items *items, uint32_t number) noexcept nogil:
    """Gives one item back; the caller has the pool locked and the item marked as free."""
    _link(items, number)[0] = items.pool.free_head
    items.pool.free_head = number + 1
    items.pool.free += 1
