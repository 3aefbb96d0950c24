"""The clauses of an exchange, for whole strategies and for single objects among neutral partners."""

from pagexchange.testing.list_checks import ListChecks
from pagexchange.testing.matrix_checks import MatrixChecks
from pagexchange.testing.resource_checks import ResourceChecks


class ExchangeChecks(MatrixChecks, ListChecks, ResourceChecks):
    """All of them."""
