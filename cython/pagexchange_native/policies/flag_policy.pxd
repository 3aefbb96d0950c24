"""The flag policy's class: what the engine calls, and what a compiled plug-in cimports and subclasses."""

from pagexchange_native.plugin cimport NativeObject, pgx_flags_ops

cdef class FlagPolicy(NativeObject):
    cdef pgx_flags_ops ops
