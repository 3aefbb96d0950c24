"""The clauses of a wrapper, judged by exchanges and migrations of objects that it has wrapped."""

from typing import Final

from pagexchange.testing.candidates.candidate import AROUND, Candidate
from pagexchange.testing.checks.serves import arenas, serves_or_declines
from pagexchange.testing.scene.cells import MANY, Cell
from pagexchange.testing.scene.scene import Scene
from pagexchange.testing.session.axes import Judging, over
from pagexchange.testing.verdict.judge import bound, breaks, exchange, migrate

# A wrapper is called once for each batch and worker: one call, several, several at a time, and one folio that several
# workers move in parts.
_LISTS: Final = {
    "few": (Cell(), 1),
    "many": (Cell(left="raw", right="raw", pairs=MANY + 1), 1),
    "many-2-threads": (Cell(left="raw", right="raw", pairs=MANY), 2),
    "3-threads-one-folio": (Cell(order=9, pairs=1), 3),
}
"""Name -> what is exchanged, by how many workers."""


class WrapperChecks(Judging):
    """The tests of a wrapper, the `candidate`, named after their clauses."""

    @over("partners", AROUND)
    @over("cell", arenas)
    def test_a_plug_in_serves_or_declines(self, candidate: Candidate, partners: str, cell: Cell) -> None:
        """Around any object, for any arena, its hook returns what fits the protocol, or declines."""
        serves_or_declines(candidate, candidate.around(partners), cell)

    @over("partners", AROUND)
    @over("pairs", _LISTS)
    def test_a_wrapper_is_never_wrong(self, candidate: Candidate, partners: str, pairs: str) -> None:
        """Wrapped objects, in Python or native, may refuse pairs; they do not lose anything."""
        cell, threads = _LISTS[pairs]
        scene = Scene(cell)
        strategy = bound(candidate.around(partners), scene.arena)
        outcome = (migrate if strategy.built.spec.migrates else exchange)(strategy, scene, threads=threads)
        if outcome.verdict.kind != "exact":
            breaks("a-wrapper-is-never-wrong", [line for lines in outcome.broken.values() for line in lines])
