# cython: language_level=3
# cython: freethreading_compatible=False
"""The base class of native pairings: who trades places with whom, from a view of the tier."""

from libc.stdint cimport int64_t, uint64_t

import numpy as np

from pagexchange_native.buffers cimport address
from pagexchange_native.plugin cimport PGX_ABI, NativeObject
from pagexchange_native.tier.format cimport pgx_pairing_ops
from pagexchange_native.tier.view cimport TierView


cdef class Pairing(NativeObject):
    """Says which block of the slow node trades places with which of the fast node; a subclass fills in `ops`.

    Attributes
    ----------
    name : str
        Shown in tables.
    """

    def __cinit__(self, *args, **kwargs):
        self.ops.abi = PGX_ABI
        self.ops.size = sizeof(pgx_pairing_ops)

    cdef str wrong_table(self):
        return self.wrong_header(self.ops.abi, self.ops.size, sizeof(pgx_pairing_ops), self.ops.pair != NULL, "pair")

    def __call__(self, TierView view not None):
        """Return pairs (block of the slow node, block of the fast node), best first.

        Parameters
        ----------
        view : TierView
            Of the step that asks.

        Returns
        -------
        int64[n, 2]
        """
        if self.ops.pair == NULL:
            raise TypeError(f"{type(self).__name__} has no pair function")
        cdef int64_t n
        cdef uint64_t room = min(view.tier.limit, self.ops.most)
        pairs = np.empty((room, 2), np.int64)
        if not room:
            return pairs
        cdef int64_t *rows = <int64_t *>address(pairs)
        with nogil:
            n = self.ops.pair(self.ops.ctx, &view.tier, rows)
        if n < 0:
            raise OSError(-n, f"{self.name}: the pairing failed")
        if <uint64_t>n > room:
            raise RuntimeError(f"{self.name}: the pairing wrote {n} pairs where there was room for {room}")
        return pairs if <uint64_t>n == room else pairs[:n]
