"""The clauses of a data copier, judged by calling it with rows of plain memory."""

from typing import Final

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.rows import LOADS, Load, describes, every_byte, nothing_else, two_threads
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.session.axes import over

_QUESTION: Final = "copy"


class CopyChecks(ServesChecks):
    """Tests of the data copiers of a `candidate`, each named after its clause."""

    @over("load", LOADS)
    def test_copy_copies_every_byte(self, candidate: Candidate, load: Load) -> None:
        """All bytes of each folio are in its frame, of any size and number."""
        every_byte("copy-copies-every-byte", candidate, _QUESTION, load)

    @over("load", LOADS)
    def test_copy_touches_nothing_else(self, candidate: Candidate, load: Load) -> None:
        """The folios themselves, and rows before, between and behind keep every byte."""
        nothing_else("copy-touches-nothing-else", candidate, _QUESTION, load)

    def test_copy_serves_two_threads(self, candidate: Candidate) -> None:
        """Two workers call one copier at a time, each for its own pages."""
        two_threads("copy-serves-two-threads", candidate, _QUESTION)

    def test_copy_says_what_it_chose(self, candidate: Candidate) -> None:
        """`describe()`, if there is one, returns texts by topic."""
        describes("copy-says-what-it-chose", candidate, _QUESTION)
