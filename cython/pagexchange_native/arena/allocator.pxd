"""Frames by node: a buddy allocator with watermarks."""

from libc.stdint cimport int64_t, uint32_t

from pagexchange_native.format cimport pgx_node, pgx_region

# First pfn of a free folio of 2^order frames on `node`, or -ENOMEM / -EUCLEAN. Stops at the min watermark and counts
# what was asked, got and which watermark was crossed. `owner` is slot + 1 of the caller, who has the folio locked then:
# nobody can exchange it. -EAGAIN when somebody else has that free frame locked at this moment.
cdef int64_t pgx_alloc(pgx_region *r, uint32_t node, uint32_t order, uint32_t owner) noexcept nogil

# The same to the last frame, and not counted: for filling an arena.
cdef int64_t pgx_alloc_any(pgx_region *r, uint32_t node, uint32_t order, uint32_t owner) noexcept nogil

# Gives the folio that starts at `pfn` back; frames with broken memory go offline instead. 0, or -EINVAL when it is not the first frame of a folio in use.
cdef int pgx_free(pgx_region *r, uint32_t pfn, uint32_t owner) noexcept nogil

# Makes all frames of a new node free.
cdef void pgx_node_init(pgx_region *r, uint32_t node) noexcept nogil

# The bits that the layout keeps in a frame of this node while it holds nothing.
cdef int pgx_reserve(pgx_region *r, uint32_t pfn, uint32_t owner) noexcept nogil
