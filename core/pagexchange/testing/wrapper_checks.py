"""The clause of a wrapper, judged by exchanges of objects that it has wrapped."""

from typing import Final

import pytest

from pagexchange.errors import PagexchangeError
from pagexchange.testing.axes import Judging, over
from pagexchange.testing.candidate import AROUND, Candidate
from pagexchange.testing.cells import MANY, Cell
from pagexchange.testing.judge import breaks, exchange
from pagexchange.testing.scene import Scene

_LISTS: Final = {
    "few": (Cell(), 1),
    "many": (Cell(left="raw", right="raw", pairs=MANY + 1), 1),
    "many-2-threads": (Cell(left="raw", right="raw", pairs=MANY), 2),
    "3-threads-one-folio": (Cell(order=9, pairs=1), 3),
}
"""Name -> what is exchanged, by how many workers."""


class WrapperChecks(Judging):
    """The test of a wrapper, the `candidate`, named after its clause."""

    @over("partners", AROUND)
    @over("pairs", _LISTS)
    def test_a_wrapper_is_never_wrong(self, candidate: Candidate, partners: str, pairs: str) -> None:
        """Wrapped objects, in Python or native, may refuse pairs; they do not lose anything."""
        cell, threads = _LISTS[pairs]
        scene = Scene(cell)
        try:
            strategy = candidate.around(partners).build(scene.arena)
        except PagexchangeError as error:
            pytest.skip(f"cannot be made, or does not wrap this: {error}")
        seen = exchange(strategy, scene, threads=threads)
        if seen.verdict.kind != "exact":
            breaks("a-wrapper-is-never-wrong", [line for lines in seen.broken.values() for line in lines])
