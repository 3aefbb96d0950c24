"""The mapping updater's class: what the engine calls, and what a compiled plug-in cimports and subclasses."""

from pagexchange_native.plugin cimport NativeObject, pgx_mapping_ops

cdef class MappingUpdater(NativeObject):
    cdef pgx_mapping_ops ops
