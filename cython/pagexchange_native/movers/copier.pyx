# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""The data copier's base class: it moves the bytes of a page one way, to a free frame."""

from libc.stddef cimport size_t

from pagexchange_native.buffers cimport address
from pagexchange_native.format cimport PGX_LOG_WHOLE
from pagexchange_native.movers.mover cimport moves_of
from pagexchange_native.plugin cimport PGX_ABI, PGX_LOG_UNDO, NativeObject, pgx_log, pgx_move, pgx_mover_ops


cdef class DataCopier(NativeObject):
    """Copies the bytes of folios to free frames; a subclass fills in `ops`, as `plugin.h` says of a copier's table.

    It is no DataMover: one in the place of the other would lose pages.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        # The rest is 0 already: no context, nothing to prepare, and no function yet.
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_mover_ops)
        self.ops.kind = PGX_LOG_UNDO
        self.ops.threads = 1

    cdef str wrong_table(self):
        wrong = self.wrong_header(self.ops.abi, self.ops.size, sizeof(pgx_mover_ops), self.ops.move != NULL, "move")
        if wrong:
            return wrong
        if self.ops.kind not in (PGX_LOG_UNDO, PGX_LOG_WHOLE):
            return f"log format {self.ops.kind} is not the undo log, as which recovery finishes a copy"
        if self.ops.release != NULL:
            return "it has a function 'release': a copier takes nothing that it would give back"
        if self.ops.threads < 1:
            return "its table says 0 threads: 1 is the smallest number"
        return ""

    @property
    def threads(self):
        """How many threads may share a list, or one large folio."""
        return self.ops.threads

    def copy_rows(self, object source not None, object target not None):
        """Copy row i of `source` to row i of `target`, outside any arena: to try a copier out, and for tests.

        Parameters
        ----------
        source, target : uint8[n, bytes], C-contiguous, not overlapping
            A row is a folio; its length is a multiple of 512 bytes.
        """
        if self.ops.move == NULL:
            raise TypeError(f"{type(self).__name__} has no move function")
        cdef pgx_log log
        moves, held = moves_of(source, target, None, None, False, &log)
        cdef const pgx_move *move = <const pgx_move *>address(moves)
        cdef size_t n = len(moves) // sizeof(pgx_move)
        if n == 0:
            return
        with nogil:
            self.ops.move(self.ops.ctx, move, n, &log)
