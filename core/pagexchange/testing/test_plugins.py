"""Judges every plug-in separately: can it be loaded, and do its objects keep to their own clauses."""

from collections.abc import Sequence

import pytest

from pagexchange.host.discovery import PluginInfo
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.copies import CopyChecks
from pagexchange.testing.checks.data import DataChecks
from pagexchange.testing.checks.flags import FlagChecks
from pagexchange.testing.checks.mapping import MappingChecks
from pagexchange.testing.checks.pairing import PairingChecks
from pagexchange.testing.checks.wrappers import WrapperChecks
from pagexchange.testing.plugin import subjects
from pagexchange.testing.verdict.judge import breaks


class TestFlagPolicies(FlagChecks):
    """The clauses of a flag policy."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return every plug-in that answers exchange_flags."""
        return subjects(config).objects["flags"]


class TestDataMovers(DataChecks):
    """The clauses of a data mover."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return every plug-in that answers exchange_data."""
        return subjects(config).objects["data"]


class TestDataCopiers(CopyChecks):
    """The clauses of a data copier."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return every plug-in that answers copy_data."""
        return subjects(config).objects["copy"]


class TestMappingUpdaters(MappingChecks):
    """The clauses of a mapping updater."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return every plug-in that answers update_mapping."""
        return subjects(config).objects["mapping"]


class TestPairings(PairingChecks):
    """The clauses of a pairing."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return every plug-in that answers pair_pages."""
        return subjects(config).objects["pairing"]


class TestWrappers(WrapperChecks):
    """The clause of a wrapper."""

    @classmethod
    def candidates(cls, config: pytest.Config) -> Sequence[Candidate]:
        """Return every plug-in that wraps an answer."""
        return subjects(config).wrappers


# Beside the classes' own hook: a plug-in that cannot be loaded makes no candidate, only this test.
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test for each plug-in."""
    if "info" in metafunc.fixturenames:
        metafunc.parametrize("info", subjects(metafunc.config).plugins, ids=lambda info: info.name)


def test_a_plug_in_can_be_loaded(info: PluginInfo) -> None:
    """It can be imported, and pluggy takes each hook that it marks."""
    if info.state != "ok":
        origin = f"{info.name} ({info.distribution} {info.version}, {info.value})"
        breaks("a-plug-in-can-be-loaded", [f"{origin}: {info.state}: {info.reason}"])
