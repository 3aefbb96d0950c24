# cython: language_level=3
"""A mover that keeps the undo log by itself; it can be told to be wrong where nobody sees it while it moves."""

from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from pagexchange_native cimport DataMover
from pagexchange_native.plugin cimport PGX_ABI, PGX_CHUNK, PGX_LOG_UNDO, pgx_log, pgx_log_step, pgx_move, pgx_mover_ops

cdef struct wrongs:
    bint late      # the log is written, and each step published, after the bytes that it is for
    size_t missing # bytes at the end of each folio that are not moved
    bint backwards # the last pair of the list first
    bint numbered  # pairs are published by their place in the list, and not by their number in the record


cdef void exchange(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef const wrongs *wrong = <const wrongs *>ctx
    cdef uint8_t kept[PGX_CHUNK]
    cdef uint8_t *a
    cdef uint8_t *b
    cdef uint8_t *saved
    cdef size_t i, j, size
    cdef uint64_t k, chunks
    cdef uint32_t pair
    for j in range(n):
        i = n - 1 - j if wrong.backwards else j
        chunks = moves[i].bytes // PGX_CHUNK
        pair = <uint32_t>i if wrong.numbered else moves[i].pair
        for k in range(chunks):
            a = moves[i].a + k * PGX_CHUNK
            b = moves[i].b + k * PGX_CHUNK
            saved = log.chunk + (k & 1) * PGX_CHUNK
            size = PGX_CHUNK - (wrong.missing if k == chunks - 1 else 0)
            memcpy(kept, a, PGX_CHUNK)
            if wrong.late:
                memcpy(a, b, size)
            memcpy(saved, kept, PGX_CHUNK)
            pgx_log_step(log, pair, 2 * k + 1)
            memcpy(a, b, size)
            pgx_log_step(log, pair, 2 * k + 2)
            memcpy(b, kept, size)


cdef class ByHand(DataMover):
    """Exchanges a list of folio pairs in place, chunk by chunk."""

    cdef wrongs wrong

    def __init__(self, bint late=False, size_t missing=0, bint backwards=False, bint numbered=False):
        self.wrong.numbered = numbered
        self.wrong.backwards = backwards
        self.wrong.late = late
        self.wrong.missing = missing
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_mover_ops)
        self.ops.kind = PGX_LOG_UNDO
        self.ops.ctx = &self.wrong
        self.ops.move = exchange
