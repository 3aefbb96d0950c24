"""Where each part of an arena lies, and its header."""

from libc.stdint cimport uint8_t, uint64_t

from pagexchange_native.format cimport pgx_node, pgx_region

cdef class Geometry:
    cdef readonly list names      # of the nodes
    cdef readonly list sizes      # their frames
    cdef readonly object marks    # (min, low, high) of every node, or None: from its size
    cdef readonly dict parts      # name -> (byte offset, count, bytes of one item)
    cdef readonly object page_size
    cdef readonly object metadata # bytes before the frames
    cdef readonly object total    # bytes of the whole region

    # Writes the header into a region that is all zeros; the layout, too, which may be refused with ValueError.
    cdef int write(self, uint8_t *base, bytes uuid, bytes boot, dict layout) except -1
    cdef int _write_nodes(self, pgx_node *node) except -1

# Private pointers and counts from a header that can be believed.
cdef void attach_geometry(pgx_region *r) noexcept
