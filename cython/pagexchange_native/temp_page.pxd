"""The temporary page's class."""

from pagexchange_native.mover cimport DataMover

cdef class TempPage(DataMover):
    cdef bint shared
