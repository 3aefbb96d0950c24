"""One large folio, shared over helper threads with slots of their own."""

from libc.stdint cimport uint32_t

from pagexchange_native.plugin cimport pgx_log, pgx_move, pgx_mover_ops
from pagexchange_native.format cimport pgx_region

cdef int move_split(const pgx_mover_ops *ops, pgx_region *r, uint32_t slot, uint32_t threads, const pgx_move *move,
                    const pgx_log *own) noexcept nogil
