"""The folio copy: with the widest registers; the next page's first bytes are fetched meanwhile."""

from pagexchange_native.movers.copier import DataCopier

class FolioCopy(DataCopier):
    """Copies folios through the caches."""

    def __init__(self, isa: str = "auto") -> None: ...
