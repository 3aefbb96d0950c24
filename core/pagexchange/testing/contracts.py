"""The classes to subclass: one for each of the objects, and two for whole strategies."""

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pagexchange.host import read
from pagexchange.host.discovery import Registry
from pagexchange.model.config import Expect
from pagexchange.testing.candidates.candidate import Candidate, of_file, of_object
from pagexchange.testing.checks.copies import CopyChecks
from pagexchange.testing.checks.data import DataChecks
from pagexchange.testing.checks.exchange import ExchangeChecks
from pagexchange.testing.checks.flags import FlagChecks
from pagexchange.testing.checks.mapping import MappingChecks
from pagexchange.testing.checks.migration import MigrationChecks
from pagexchange.testing.checks.pairing import PairingChecks
from pagexchange.testing.scene.layouts import SHIPPED
from pagexchange.testing.session.axes import Judging


class _Made(Judging):
    """What the classes for objects share: an object that a subclass makes, judged among neutral partners."""

    expect: ClassVar[Expect] = "exact"
    """What the object declares: exact, loses (flags) or refused, as in strategies.toml."""
    _question: ClassVar[str]

    def make(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - any answer to the question
        """Return the object to judge, a new one for each arena: `def make(self)`, or `def make(self, arena)`."""
        raise NotImplementedError(f"{type(self).__name__}.make: return the object to judge")

    @pytest.fixture
    def candidate(self) -> Candidate:
        """Return what is judged; it remembers its exchanges, for all tests of the class."""
        # Kept on the class, in its own namespace: pytest makes an object for each test, and a subclass judges its own.
        cls = type(self)
        if "_candidate" not in vars(cls):
            cls._candidate = of_object(cls.__name__, cls._question, cls().make, cls.expect)  # type: ignore[attr-defined]
        made: Candidate = vars(cls)["_candidate"]
        return made


class FlagPolicyContract(FlagChecks, ExchangeChecks, _Made):
    """Judge a flag policy, separately and in exchanges.

    class TestMine(FlagPolicyContract):
        def make(self, arena):
            return MyPolicy(arena.layout.mask("swap"))
    """

    _question = "flags"


class DataMoverContract(DataChecks, ExchangeChecks, _Made):
    """Judge a data mover, separately and in exchanges.

    class TestMine(DataMoverContract):
        def make(self):
            return MyMover()
    """

    _question = "data"


class DataCopierContract(CopyChecks, MigrationChecks, _Made):
    """Judge a data copier, separately and in migrations.

    class TestMine(DataCopierContract):
        def make(self):
            return MyCopier()
    """

    _question = "copy"


class MappingUpdaterContract(MappingChecks, ExchangeChecks, _Made):
    """Judge a mapping updater, separately and in exchanges.

    class TestMine(MappingUpdaterContract):
        def make(self):
            return MyUpdater()
    """

    _question = "mapping"


class PairingContract(PairingChecks, _Made):
    """Judge a pairing.

    class TestMine(PairingContract):
        def make(self):
            return my_pairing
    """

    _question = "pairing"


class _OfFile(Judging):
    """What the classes for strategies share: one of a file, with the plug-ins that are installed."""

    file: ClassVar[str | Path | None] = None
    """A strategies file, from the folder of the test's own file; None for the one that ships."""
    strategy: ClassVar[str]
    """Its name in the file."""
    _migrates: ClassVar[bool]

    @pytest.fixture
    def candidate(self, request: pytest.FixtureRequest) -> Candidate:
        """Return what is judged; it remembers its calls, for all tests of the class."""
        cls = type(self)
        if "_candidate" not in vars(cls):
            # From the test's folder: where pytest was started says nothing about where the file is
            file = None if cls.file is None else Path(request.path).parent / cls.file
            config = read.load(file, only=[cls.strategy])
            spec = config.strategy(cls.strategy)
            if spec.migrates != cls._migrates:
                does, base = ("migrates", "Migrating") if spec.migrates else ("exchanges", "")
                pytest.fail(f"strategy {spec.name!r} {does}: judge it by {base}StrategyContract", pytrace=False)
            own = None if config.layout.name in SHIPPED else config.layout
            cls._candidate = of_file(spec, Registry(config.block), own)  # type: ignore[attr-defined]
        made: Candidate = vars(cls)["_candidate"]
        return made


class StrategyContract(ExchangeChecks, _OfFile):
    """Judge one strategy of a file that exchanges, with the plug-ins that are installed.

    class TestMine(StrategyContract):
        file = "my.toml"
        strategy = "mine"
    """

    _migrates = False


class MigratingStrategyContract(MigrationChecks, _OfFile):
    """Judge one strategy of a file that migrates, with the plug-ins that are installed.

    class TestMine(MigratingStrategyContract):
        file = "my.toml"
        strategy = "mine"
    """

    _migrates = True
