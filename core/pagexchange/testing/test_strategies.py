"""Judges every strategy of the file, and every plug-in that no strategy uses."""

from collections.abc import Sequence

import pytest

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.exchange import ExchangeChecks
from pagexchange.testing.plugin import subjects


class TestStrategies(ExchangeChecks):
    """The clauses of an exchange."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return the strategies, and unused plug-ins among neutral partners."""
        judged = subjects(config)
        return [*judged.strategies, *judged.unused]
