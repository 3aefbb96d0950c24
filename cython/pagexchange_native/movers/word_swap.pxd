"""The word swap's class."""

from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.movers.moves cimport pgx_isa

cdef class WordSwap(DataMover):
    cdef const pgx_isa *isa
