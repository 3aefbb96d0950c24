"""The word swap: in place, one pair after the other, 8 to 64 bytes at a time."""

from pagexchange_native.movers.mover import DataMover

class WordSwap(DataMover):
    """Exchanges two folios in place under the undo log; allocates nothing."""

    def __init__(self, isa: str = "auto") -> None: ...
