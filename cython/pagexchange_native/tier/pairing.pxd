"""The pairing's class: what a tier calls, and what a compiled plug-in cimports and subclasses."""

from pagexchange_native.plugin cimport NativeObject
from pagexchange_native.tier.format cimport pgx_pairing_ops

cdef class Pairing(NativeObject):
    cdef pgx_pairing_ops ops
