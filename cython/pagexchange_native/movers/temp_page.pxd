"""The temporary page's class."""

from pagexchange_native.movers.mover cimport DataMover

cdef class TempPage(DataMover):
    cdef bint shared
