"""Python callables in the place of native objects."""

from pagexchange_native.policies.find_slot cimport MappingUpdater
from pagexchange_native.policies.flag_policy cimport FlagPolicy
from pagexchange_native.movers.mover cimport DataMover

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
