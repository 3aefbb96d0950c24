"""The temporary page: take a frame, copy three times."""

from pagexchange_native.movers.mover import DataMover

class TempPage(DataMover):
    """Exchanges through a temporary folio and three `memcpy`; the folio is taken before the point of no return."""

    def __init__(self, source: str = "local") -> None: ...
