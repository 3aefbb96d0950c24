"""The clauses of a data mover, judged by calling it with rows of plain memory."""

from typing import Final

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.rows import LOADS, Load, describes, every_byte, nothing_else, two_threads
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.session.axes import over

_QUESTION: Final = "data"


class DataChecks(ServesChecks):
    """Tests of the data movers of a `candidate`, each named after its clause."""

    @over("load", LOADS)
    def test_data_exchanges_every_byte(self, candidate: Candidate, load: Load) -> None:
        """All bytes of both folios, of any size and number."""
        every_byte("data-exchanges-every-byte", candidate, _QUESTION, load)

    @over("load", LOADS)
    def test_data_touches_nothing_else(self, candidate: Candidate, load: Load) -> None:
        """Rows before, between and behind keep every byte."""
        nothing_else("data-touches-nothing-else", candidate, _QUESTION, load)

    def test_data_serves_two_threads(self, candidate: Candidate) -> None:
        """Two workers call one mover at a time, each for its own pages, an odd number of times."""
        two_threads("data-serves-two-threads", candidate, _QUESTION)

    def test_data_says_what_it_chose(self, candidate: Candidate) -> None:
        """`describe()`, if there is one, returns texts by topic."""
        describes("data-says-what-it-chose", candidate, _QUESTION)
