"""Two pages of files and an engine that exchanges their frames: what replaces entries in earnest."""

import numpy as np

from pagexchange_native.engine.exchange import Exchanger
from pagexchange_native.movers.word_swap import WordSwap
from pagexchange_native.pages import cache
from pagexchange_native.policies.find_slot import XArrayCursor
from pagexchange_native.policies.flag_policy import MaskedWord
from pagexchange_native.xarray.array import XArray
from tests.native.conftest import ALL

# (order, (mapping, index) of one page, of the other): one node of the tree, two, two trees, the head, folios
SLOTS = [
    (0, (0, 3), (0, 4)),
    (0, (0, 3), (0, 1 << 30)),
    (0, (0, 70), (1, 70)),
    (0, (0, 0), (1, 0)),
    (0, (0, 0), (1, 1 << 40)),
    (3, (0, 8), (0, 16)),
    (3, (0, 8), (1, 1 << 20)),
]


class Pages:
    """Two pages of files, their arrays and an engine that exchanges the frames."""

    def __init__(self, region, order, slots, mover=None, updater=None):
        self.mappings = [region.new_mapping("one"), region.new_mapping("two")]
        self.arrays = [XArray(region, mapping) for mapping in self.mappings]
        self.pfns = [int(region.alloc(node, 1, order)[0]) for node in ("fast", "slow")]
        self.slots = slots
        for (mapping, index), pfn in zip(slots, self.pfns, strict=True):
            cache.add(region, self.mappings[mapping], [index], [pfn])
        self.engine = Exchanger(region, MaskedWord(ALL - 1), [mover or WordSwap()], updater or XArrayCursor())

    def array(self, side):
        return self.arrays[self.slots[side][0]]

    def index(self, side):
        return self.slots[side][1]

    def found(self):
        return [self.array(side).load(self.index(side)) for side in (0, 1)]

    def exchange(self):
        status = np.full(1, 99, np.int32)
        self.engine.exchange(np.array([self.pfns]), status)
        return int(status[0])
