"""The streaming copy: stores that go past the caches."""

from pagexchange_native.movers.copier import DataCopier

class StreamingCopy(DataCopier):
    """Copies folios with non-temporal stores."""

    def __init__(self, isa: str = "auto") -> None: ...
