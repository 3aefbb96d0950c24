# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""A frame that a worker's slot has taken from the allocator for a pair: locked by the slot, and named by `temp` of the pair.

It may outlive its batch when its node is not let go; who finds it in that place of the record has it, or gives it back.
"""

from libc.errno cimport EAGAIN
from libc.stdint cimport int64_t, uint32_t

from pagexchange_native.arena.allocator cimport pgx_alloc, pgx_free
from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.format cimport PGX_USED, pgx_entry, pgx_load32, pgx_region

cdef enum:
    PATIENCE = 1_000_000_000  # ns that a pair waits for a node that another thread has


cdef inline bint is_taken(const pgx_region *region, uint32_t slot, uint32_t temp) noexcept nogil:
    """Whether `temp` (pfn + 1) is a frame that this slot took: the record lies in shared memory, so look first."""
    cdef const pgx_entry *e
    if temp == 0 or temp > region.nframes:
        return False
    e = &region.entries[temp - 1]
    return e.state == PGX_USED and e.mapping == 0 and e.mapcount == 0 and pgx_load32(&e.owner) == slot + 1


cdef inline int64_t take_frame(pgx_region *region, uint32_t node, uint32_t order, uint32_t slot,
                               uint32_t *temp) noexcept nogil:
    """First pfn of a folio from a node, which `temp` names from the moment on when it is taken; or as `pgx_alloc`."""
    cdef int64_t pfn = pgx_alloc(region, node, order, slot, 0, temp)
    if pfn == -EAGAIN:
        pfn = pgx_alloc(region, node, order, slot, now_ns() + PATIENCE, temp)
    return pfn


cdef inline int free_frame(pgx_region *region, uint32_t pfn, uint32_t slot, uint32_t *temp) noexcept nogil:
    """Frees a folio that the slot has, and clears `temp` with it: 0; -EAGAIN when its node is not let go."""
    cdef int rc = pgx_free(region, pfn, slot, 0, temp)
    if rc == -EAGAIN:
        rc = pgx_free(region, pfn, slot, now_ns() + PATIENCE, temp)
    return rc


cdef inline void give_frame_back(pgx_region *region, uint32_t slot, uint32_t *temp) noexcept nogil:
    """Frees what `temp` names; it stays recorded when the node is not let go."""
    if is_taken(region, slot, temp[0]):
        free_frame(region, temp[0] - 1, slot, temp)
    else:
        temp[0] = 0
