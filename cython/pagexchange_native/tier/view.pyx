# cython: language_level=3
# cython: freethreading_compatible=False
"""What a pairing is shown of a tier: numbers for a native one, arrays for one in Python, made when it asks for them."""

import numpy as np

from pagexchange_native.tier.format cimport PGX_TIER_ORDER, PGX_TIER_ORDER_SHIFT, PGX_TIER_STEP


cdef class TierView:
    """A moment of a tier, read-only, and good for one call of a pairing. A step of a tier makes it.

    What its properties are stands in `pagexchange.hookspecs.TierView`.
    """

    def __init__(self):
        raise TypeError("a TierView is made by a step of a tier")

    def __repr__(self):
        return f"<TierView of step {self.tier.step}: fast {self.fast}, slow {self.slow}, {self.tier.limit} pairs at most>"

    @property
    def heat(self):
        """Accesses to each block, older ones counted for less: float32."""
        return self._made("heat", lambda: self.blocks.view(np.float32)[:, 0] / np.float32(self.tier.weight))

    @property
    def moved(self):
        """Step in which what lies in each block came there, or was refused to go; 0 neither: uint32."""
        return self._made("moved", lambda: self.blocks[:, 1] & np.uint32(PGX_TIER_STEP))

    @property
    def order(self):
        """Order of the folio in each block, or -1 where no page starts that could move: int8."""
        orders = np.uint32(PGX_TIER_ORDER)
        return self._made("order", lambda: ((self.blocks[:, 1] & orders) >> PGX_TIER_ORDER_SHIFT).astype(np.int8) - np.int8(1))

    @property
    def fast(self):
        """Blocks of the fast node."""
        return range(self.tier.fast, self.tier.fast + self.tier.nfast)

    @property
    def slow(self):
        """Blocks of the slow node."""
        return range(self.tier.slow, self.tier.slow + self.tier.nslow)

    @property
    def free_fast(self):
        """Frames of the fast node that are free."""
        return self.tier.free_fast

    @property
    def step(self):
        """Number of this step; the first is 1."""
        return self.tier.step

    @property
    def limit(self):
        """Pairs that may be returned, at most."""
        return self.tier.limit

    @property
    def block_bytes(self):
        """Bytes of a block of order 0."""
        return self.tier.block_bytes

    @property
    def seconds(self):
        """Time since the step before; 0.0 in the first."""
        return self.tier.seconds

    @property
    def ns_per_pair(self):
        """Nanoseconds that a pair has taken in the steps so far; 0.0 before one was moved."""
        return self.tier.ns_per_pair

    def _made(self, str name, make):
        if name not in self.made:
            values = make()
            values.flags.writeable = False
            self.made[name] = values
        return self.made[name]
