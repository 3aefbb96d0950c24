"""The data mover's class: what the engine calls, and what a compiled plug-in cimports and subclasses."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

from pagexchange_native.movers.moves cimport pgx_isa
from pagexchange_native.plugin cimport pgx_log, pgx_move, pgx_mover_ops

cdef class DataMover:
    cdef pgx_mover_ops ops
    cdef public str name
    cpdef dict describe(self)

cdef class NullMover(DataMover):
    pass

# The loops for an instruction set by name, or "auto". ValueError: no such name; NotImplementedError: not on this CPU.
cdef const pgx_isa *isa_of(str name) except NULL

# The widest loops of this CPU: for recovery, which needs no plug-in.
cdef const pgx_isa *best_isa() noexcept nogil

# Finishes one move that was left at `step` (the step half of the state word) under log format `kind`.
# 0, -EINVAL (a kind that is not redone chunk by chunk) or -EUCLEAN (no such step: nothing is touched).
cdef int resume_move(const pgx_isa *isa, uint32_t kind, const pgx_move *move, const pgx_log *log,
                     uint64_t step) noexcept nogil

# Three copies through `temp`, publishing each step. See moves.h.
cdef void temp_exchange(uint8_t *a, uint8_t *b, uint8_t *temp, uint64_t size, uint64_t step, const pgx_log *log,
                        uint32_t pair) noexcept nogil

# The loops of the 2019 thread, without a log: for comparison. See moves.h.
cdef void rfc_swap(uint8_t *a, uint8_t *b, uint64_t size) noexcept nogil
cdef void auto_swap(uint8_t *a, uint8_t *b, uint64_t size) noexcept nogil
cdef void copy_page(uint8_t *to, const uint8_t *source, uint64_t size) noexcept nogil
