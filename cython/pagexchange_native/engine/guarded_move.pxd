"""A data step that survives memory errors. See `guarded_move.pyx`."""

from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t

from pagexchange_native.plugin cimport pgx_log, pgx_move, pgx_mover_ops
from pagexchange_native.format cimport pgx_region

cdef int guard_install() except -1
cdef int move_guarded(const pgx_mover_ops *ops, pgx_region *r, const pgx_move *moves, size_t n, const pgx_log *log,
                      size_t *broken) noexcept nogil
cdef int put_back(const pgx_mover_ops *ops, pgx_region *r, const pgx_move *move, const pgx_log *log,
                  uint64_t step) noexcept nogil
cdef bint readable(pgx_region *r, uint64_t pfn, uint32_t order) noexcept nogil
