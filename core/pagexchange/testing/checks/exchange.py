"""The clauses of an exchange, for whole strategies and for single objects among neutral partners."""

from pagexchange.testing.checks.lists import ListChecks
from pagexchange.testing.checks.matrix import MatrixChecks
from pagexchange.testing.checks.resources import ResourceChecks


class ExchangeChecks(MatrixChecks, ListChecks, ResourceChecks):
    """All of them."""
