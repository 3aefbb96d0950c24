"""What a native plug-in gives the engine: the function tables of `plugin.h`, their constants, the class around one."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t

from pagexchange_native.format cimport (
    PGX_ABI,
    PGX_CHUNK,
    PGX_LOG_NONE,
    PGX_LOG_TEMP,
    PGX_LOG_UNDO,
    pgx_pair,
    pgx_region,
)

cdef extern from "pagexchange/plugin.h" nogil:
    ctypedef int (*pgx_flags_fn)(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                                 size_t n) noexcept nogil
    ctypedef struct pgx_flags_ops:
        uint32_t abi
        uint32_t size
        void *ctx
        pgx_flags_fn exchange

    ctypedef struct pgx_find:
        uint64_t mapping
        uint64_t index
        uint32_t pfn
        int32_t status
        uint64_t slot
        uint64_t found

    ctypedef void (*pgx_find_fn)(void *ctx, pgx_region *region, pgx_find *pages, size_t n) noexcept nogil
    ctypedef struct pgx_mapping_ops:
        uint32_t abi
        uint32_t size
        void *ctx
        pgx_find_fn find

    ctypedef struct pgx_move:
        uint8_t *a
        uint8_t *b
        uint8_t *temp
        uint64_t bytes
        uint32_t pair

    ctypedef struct pgx_log:
        uint64_t *state
        uint8_t *chunk
        uint32_t phase
        uint32_t slot
        pgx_region *region

    void pgx_log_step(const pgx_log *log, uint32_t pair, uint64_t step)

    ctypedef int (*pgx_prepare_fn)(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil
    ctypedef void (*pgx_release_fn)(void *ctx, pgx_region *region, uint32_t slot, pgx_pair *pair) noexcept nogil
    # In the order of `moves`, one pair after the other: what is published says of all others whether they are done.
    ctypedef void (*pgx_move_fn)(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil
    ctypedef struct pgx_mover_ops:
        uint32_t abi
        uint32_t size
        uint32_t kind
        uint32_t threads
        void *ctx
        pgx_prepare_fn prepare
        pgx_release_fn release
        pgx_move_fn move

cdef inline int init_was_called(object self, bint it_was) except -1:
    """TypeError for an object that lacks what its __init__ gives it: a subclass that forgot super().__init__()."""
    if not it_was:
        raise TypeError(f"{type(self).__name__}: __init__ of its base class was not called")
    return 0


cdef class NativeObject:  # base of FlagPolicy, DataMover and MappingUpdater: each adds its table, `ops`
    cdef public str name
    cpdef dict describe(self)
    # What is wrong with the table, or "". A subclass with a table of its own gives `wrong_header` what each table
    # begins with (abi, size), the size that it should have, and whether the function is there that it must have.
    cdef str wrong_table(self)
    cdef str wrong_header(self, uint32_t abi, uint32_t size, size_t expected, bint there, str function)
