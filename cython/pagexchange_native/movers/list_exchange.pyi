"""The list exchange: the whole list in one call, so that later pairs are fetched while one is moved."""

from pagexchange_native.movers.mover import DataMover

class ListExchange(DataMover):
    """Exchanges a list of folio pairs in place under the undo log; allocates nothing."""

    def __init__(self, isa: str = "auto", prefetch: bool = True, threads: int = 1) -> None: ...
