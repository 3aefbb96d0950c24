"""Declarations of `moves.h`. `moves.c` is compiled into `mover` alone.

Others cimport `isa_of` from there, and may call what is inline in the header; `pgx_isas`, `pgx_isa_find` and
`pgx_move_resume` are symbols of that one module.
"""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.plugin cimport pgx_log, pgx_move

cdef extern from "pagexchange/moves.h" nogil:
    enum:
        PGX_SHARE
    ctypedef struct pgx_ahead:
        const uint8_t *a
        const uint8_t *b
    size_t pgx_pairs_ahead(uint64_t bytes)
    pgx_ahead pgx_unless_neighbour(pgx_ahead pair, pgx_ahead before, uint64_t bytes)
    enum:
        PGX_FETCHED
    uint64_t pgx_ticks()
    ctypedef void (*pgx_undo_fn)(uint8_t *a, uint8_t *b, uint64_t bytes, uint64_t step, const pgx_log *log,
                                 uint32_t pair, const pgx_ahead *ahead) noexcept nogil
    ctypedef void (*pgx_bare_fn)(uint8_t *a, uint8_t *b, uint64_t bytes, const pgx_ahead *ahead) noexcept nogil
    ctypedef uint64_t (*pgx_read_fn)(const uint8_t *a, const uint8_t *b, uint64_t bytes,
                                     const pgx_ahead *ahead) noexcept nogil
    ctypedef void (*pgx_two_fn)(uint8_t **a, uint8_t **b, uint64_t bytes, const pgx_ahead *ahead) noexcept nogil
    ctypedef void (*pgx_copy_fn)(const uint8_t *a, uint8_t *b, uint64_t bytes, const pgx_ahead *ahead) noexcept nogil
    ctypedef int (*pgx_supported_fn)() noexcept nogil
    ctypedef struct pgx_isa:
        const char *name
        uint32_t width
        pgx_supported_fn supported
        pgx_undo_fn undo
        pgx_bare_fn bare
        pgx_read_fn read
        pgx_two_fn two
        pgx_copy_fn copy
        pgx_copy_fn stream
    const pgx_isa pgx_isas[]
    const pgx_isa *pgx_isa_find(const char *name, int *known)
    void pgx_temp_exchange(uint8_t *a, uint8_t *b, uint8_t *temp, uint64_t bytes, uint64_t step, const pgx_log *log,
                           uint32_t pair)
    int pgx_move_resume(const pgx_isa *isa, uint32_t kind, const pgx_move *move, const pgx_log *log, uint64_t step)
    void pgx_rfc_swap(uint8_t *a, uint8_t *b, uint64_t bytes)
    void pgx_auto_swap(uint8_t *a, uint8_t *b, uint64_t bytes)
    void pgx_copy_page(uint8_t *to, const uint8_t *frm, uint64_t bytes)
    uint64_t pgx_share_begin(uint64_t bytes, uint32_t k, uint32_t shares)
