# cython: language_level=3
# cython: freethreading_compatible=False
"""The word swap: in place, one pair after the other, as `exchange_page` of the 2019 RFC, 8 to 64 bytes at a time."""

from libc.stddef cimport size_t

from pagexchange_native.movers.mover cimport DataMover, isa_of
from pagexchange_native.movers.moves cimport pgx_isa
from pagexchange_native.plugin cimport init_was_called, pgx_log, pgx_move
from pagexchange_native.format cimport PGX_CHUNK


cdef void swap(void *ctx, const pgx_move *moves, size_t n, const pgx_log *log) noexcept nogil:
    cdef const pgx_isa *isa = <const pgx_isa *>ctx
    cdef size_t i
    for i in range(n):
        isa.undo(moves[i].a, moves[i].b, moves[i].bytes, 0, log, moves[i].pair, NULL)


cdef class WordSwap(DataMover):
    """Exchanges two folios in place under the undo log; allocates nothing.

    Parameters
    ----------
    isa : str
        "auto" (the widest of this CPU), "scalar", "sse2", "avx2", "avx512" or "neon".

    Raises
    ------
    ValueError
        An unknown name.
    NotImplementedError
        This CPU does not have it.
    """

    cdef const pgx_isa *isa

    def __init__(self, str isa="auto"):
        self.isa = isa_of(isa)
        self.name = "word-swap"
        self.ops.ctx = <void *>self.isa
        self.ops.move = swap

    cpdef dict describe(self):
        """Return the instruction set chosen and how the loop works."""
        init_was_called(self, self.isa != NULL)
        return {
            "isa": self.isa.name.decode(),
            "width": f"{self.isa.width} bytes",
            "log": f"undo, {PGX_CHUNK}-byte chunks",
            "takes frames": "none",
        }
