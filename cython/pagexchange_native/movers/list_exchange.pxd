"""The list exchange's class."""

from pagexchange_native.movers.mover cimport DataMover
from pagexchange_native.movers.moves cimport pgx_isa

cdef struct list_options:
    const pgx_isa *isa
    bint prefetch

cdef class ListExchange(DataMover):
    cdef list_options options
