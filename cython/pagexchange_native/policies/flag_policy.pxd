"""The flag policy's class, what the engine calls and a compiled plug-in cimports and subclasses; and the built-in ones."""

from libc.stdint cimport uint64_t

from pagexchange_native.plugin cimport NativeObject, pgx_flags_ops

cdef class FlagPolicy(NativeObject):
    cdef pgx_flags_ops ops

cdef class MaskedWord(FlagPolicy):
    cdef uint64_t swap

cdef class WholeWord(FlagPolicy):
    pass

cdef struct rfc_masks:
    uint64_t[10] taken       # read and cleared, in the order of the source
    uint64_t swapcache       # sampled after them, cleared and set at the end
    uint64_t writeback       # cleared, never set again
    uint64_t elsewhere       # moved by other steps of the exchange
    uint64_t last_cpupid

cdef class PerFlag(FlagPolicy):
    cdef rfc_masks masks
    cdef tuple used

cdef struct helper_masks:
    uint64_t[14] copied      # by today's helper, in its order
    uint64_t swap            # of the layout
    uint64_t added           # of it, what the helper does not know

cdef class TwoPass(FlagPolicy):
    cdef helper_masks masks
    cdef tuple used
