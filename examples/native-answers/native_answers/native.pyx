# cython: language_level=3
"""A flag policy and a mapping updater, each a function that is called for a whole batch, without the GIL."""

from libc.errno cimport EAGAIN
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint64_t

from pagexchange_native cimport FlagPolicy, MappingUpdater, pgx_xa_entry, xa_find_word
from pagexchange_native.plugin cimport PGX_ABI, pgx_find, pgx_flags_ops, pgx_mapping_ops, pgx_region


cdef int exchange(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                  size_t n) noexcept nogil:
    cdef uint64_t swap = (<const uint64_t *>ctx)[0]
    cdef size_t i
    for i in range(n):
        new_a[i] = (a[i] & ~swap) | (b[i] & swap)
        new_b[i] = (b[i] & ~swap) | (a[i] & swap)
    return 0


cdef class ByMask(FlagPolicy):
    """Exchanges the bits of a mask."""

    cdef uint64_t swap

    def __init__(self, uint64_t swap):
        self.swap = swap
        self.name = "by-mask"
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_flags_ops)
        self.ops.ctx = &self.swap
        self.ops.exchange = exchange


cdef void find(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil:
    cdef uint64_t *word
    cdef size_t i
    for i in range(n):
        pages[i].slot = 0
        pages[i].found = 0
        pages[i].status = -EAGAIN  # not there any more
        if pages[i].mapping >= region.nmappings:
            continue
        word = xa_find_word(region, &region.mappings[pages[i].mapping].pages, pages[i].index, NULL)
        if word == NULL:
            continue
        pages[i].slot = <uint64_t>(<uint8_t *>word - region.base)
        pages[i].found = word[0]
        if pages[i].found == pgx_xa_entry(pages[i].pfn):
            pages[i].status = 0


cdef class FreshWalk(MappingUpdater):
    """Walks from the top of the mapping's tree for each page."""

    def __init__(self):
        self.name = "fresh-walk"
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_mapping_ops)
        self.ops.find = find
