"""Judges every strategy of the file, and every plug-in that no strategy uses."""

from collections.abc import Sequence

import pytest

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.exchange import ExchangeChecks
from pagexchange.testing.checks.migration import MigrationChecks
from pagexchange.testing.plugin import subjects


class TestStrategies(ExchangeChecks):
    """The clauses of an exchange."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return the strategies that exchange, and unused plug-ins among neutral partners."""
        return _judged(config, migrates=False)


class TestMigratingStrategies(MigrationChecks):
    """The clauses of a migration."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return the strategies that migrate, and unused copiers among neutral partners."""
        return _judged(config, migrates=True)


def _judged(config: pytest.Config, *, migrates: bool) -> list[Candidate]:
    judged = subjects(config)
    return [one for one in (*judged.strategies, *judged.unused) if one.spec.migrates == migrates]
