"""What a pairing is shown of a tier in one step."""

from pagexchange_native.tier.format cimport pgx_tier

cdef class TierView:
    cdef pgx_tier tier
    cdef object blocks    # uint32[n, 2], heat's bits and state: what `tier.blocks` points at
    cdef object bounds    # what `tier.fast_bounds` and `tier.slow_bounds` point into
    cdef dict made        # arrays that were asked for, by name
