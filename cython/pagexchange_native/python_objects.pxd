"""Python callables in the place of native objects."""

from pagexchange_native.find_slot cimport MappingUpdater
from pagexchange_native.flag_policy cimport FlagPolicy
from pagexchange_native.mover cimport DataMover

cdef class PythonFlags(FlagPolicy):
    cdef readonly object function
    cdef readonly object arena
    cdef public object error

cdef class PythonMapping(MappingUpdater):
    cdef readonly object function
    cdef readonly object arena
    cdef public object error

cdef class PythonMover(DataMover):
    cdef readonly object function
