# cython: language_level=3
"""A flag policy that says, as it should, what it was compiled for."""

from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

from pagexchange_native cimport FlagPolicy
from pagexchange_native.plugin cimport PGX_ABI


cdef int exchange(void *ctx, const uint64_t *a, const uint64_t *b, uint64_t *new_a, uint64_t *new_b,
                  size_t n) noexcept nogil:
    return -1


cdef class OldFlags(FlagPolicy):
    """Never called."""

    def __init__(self):
        self.ops.abi = PGX_ABI
        self.ops.exchange = exchange
