# cython: language_level=3
"""The mover: the core's own loops under the core's undo log, with a prefetch of one's own choice."""

from libc.stddef cimport size_t

from pagexchange_native cimport DataMover, isa_of, pgx_ahead, pgx_isa
from pagexchange_native.plugin cimport PGX_ABI, PGX_LOG_UNDO, pgx_log, pgx_move, pgx_mover_ops

cdef struct chosen:
    const pgx_isa *isa
    size_t distance


cdef void exchange(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef const chosen *c = <const chosen *>ctx
    cdef pgx_ahead ahead
    cdef size_t i
    for i in range(n):
        ahead.a = moves[i + c.distance].a if i + c.distance < n else NULL
        ahead.b = moves[i + c.distance].b if i + c.distance < n else NULL
        c.isa.undo(moves[i].a, moves[i].b, moves[i].bytes, 0, log, moves[i].pair, &ahead)


cdef class LookAheadMover(DataMover):
    """Exchanges a list of folio pairs in place; allocates nothing."""

    cdef chosen chosen

    def __init__(self, size_t distance):
        self.chosen.isa = isa_of("auto")
        self.chosen.distance = distance
        self.name = "look-ahead"
        self.ops.abi = PGX_ABI  # compiled in: a pagexchange with another ABI refuses this file
        self.ops.size = sizeof(pgx_mover_ops)
        self.ops.kind = PGX_LOG_UNDO
        self.ops.ctx = &self.chosen
        self.ops.move = exchange

    cpdef dict describe(self):
        """Return what `pagexchange explain` shows."""
        return {
            "isa": self.chosen.isa.name.decode(),
            "fetches": f"{self.chosen.distance} pairs ahead",
            "takes frames": "none",
        }
