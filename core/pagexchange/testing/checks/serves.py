"""The clause that all others rest on: without an object there is nothing that they could judge."""

from pagexchange.errors import PluginError
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.scene.cells import PAGE_SIZES, Cell
from pagexchange.testing.scene.layouts import OWN, SHIPPED, UNKNOWN
from pagexchange.testing.scene.scene import Scene
from pagexchange.testing.session.axes import Judging, over
from pagexchange.testing.verdict import judge
from pagexchange.testing.verdict.judge import breaks


def arenas(own_layout: bool) -> tuple[Cell, ...]:
    """Every layout, and every page size under the newest one."""
    layouts = (*SHIPPED, UNKNOWN, *([OWN] if own_layout else []))
    return (*(Cell(layout, pairs=1) for layout in layouts), *(Cell(page_size=size, pairs=1) for size in PAGE_SIZES))


class ServesChecks(Judging):
    """The test of the hooks of a `candidate`; of a class with more tests it is the first one."""

    @over("cell", arenas)
    def test_a_plug_in_serves_or_declines(self, candidate: Candidate, cell: Cell) -> None:
        """Asked for any arena, a hook returns what fits the protocol, or declines."""
        serves_or_declines(candidate, candidate, cell)


def serves_or_declines(candidate: Candidate, asked: Candidate, cell: Cell) -> None:
    """Ask a candidate, or the same one among other partners, for an arena; remember it if that fails."""
    scene = Scene(cell, candidate.own_layout)
    try:
        asked.build(scene.arena)
    except PluginError as error:
        # Remembered, so that the other clauses do not fail with the same sentence, a hundred times.
        if not judge.declines(error):
            candidate.not_built.add(str(cell))
            breaks(judge.SERVES, [str(error)])
