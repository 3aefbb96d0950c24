"""The data copier's class: what the engine calls for a migration, and what a compiled plug-in cimports and subclasses."""

from pagexchange_native.plugin cimport NativeObject, pgx_mover_ops

cdef class DataCopier(NativeObject):
    cdef pgx_mover_ops ops
