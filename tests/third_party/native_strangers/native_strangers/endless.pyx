# cython: language_level=3
"""A mover that waits for ever."""

from libc.stddef cimport size_t

from pagexchange_native cimport DataMover
from pagexchange_native.plugin cimport pgx_log, pgx_move

cdef extern from "<unistd.h>" nogil:
    int pause()


cdef void wait(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    while True:
        pause()


cdef class EndlessMover(DataMover):
    """Does not return."""

    def __init__(self):
        self.ops.move = wait
