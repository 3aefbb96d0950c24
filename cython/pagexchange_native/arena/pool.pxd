"""Pools in the arena: XArray nodes and page tables. Free items are linked; those from `fresh` on were never handed out.

They are changed under the structure lock and its undo record. What lies in a free item means nothing, but for its link:
who takes it writes the rest without saving it. Therefore what was given back is not taken again before the commit.
"""

from libc.errno cimport ENOMEM, EUCLEAN
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.arena.undo cimport Undo, put32
from pagexchange_native.format cimport pgx_fail_alloc, pgx_pool, pgx_region, pgx_store32

cdef struct Items:  # of one pool
    pgx_pool *pool
    uint32_t count
    uint8_t *link   # in the first item: number + 1 of the next free one, 0 at the end
    uint64_t size   # bytes from one item to the next

ctypedef bint (*in_use_fn)(const pgx_region *r, uint32_t number) noexcept nogil


cdef inline uint32_t *_link(const Items *items, uint32_t number) noexcept nogil:
    return <uint32_t *>(items.link + number * items.size)


cdef inline int pool_take(Undo *u, const Items *items, in_use_fn in_use, uint32_t n, uint32_t *numbers) noexcept nogil:
    """Takes n items or none: 0 and their numbers, -ENOMEM, or -EUCLEAN when the free list leads to an item in use.

    The caller marks the items as used, under the same record, and leaves their links as they are. Nothing is written
    before all are found, so that a failure leaves no trace in the arena.
    """
    cdef pgx_pool *pool = items.pool
    cdef uint32_t head, fresh, number, i
    for i in range(n):
        if pgx_fail_alloc(u.r):
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
        if in_use(u.r, number):
            return -EUCLEAN
        numbers[i] = number
    if head != pool.free_head:
        put32(u, &pool.free, pool.free - (n - (fresh - pool.fresh)))
        put32(u, &pool.free_head, head)
    if fresh != pool.fresh:
        put32(u, &pool.fresh, fresh)
    return 0


cdef inline void pool_give(Undo *u, const Items *items, uint32_t number) noexcept nogil:
    """Gives one item back, which the caller has marked as free under the same record."""
    # Not saved: the link of an item in use means nothing.
    pgx_store32(_link(items, number), items.pool.free_head)
    put32(u, &items.pool.free_head, number + 1)
    put32(u, &items.pool.free, items.pool.free + 1)
