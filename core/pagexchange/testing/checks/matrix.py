"""Clauses that the oracle judges, cell by cell: one exchange in each cell serves them all."""

import pytest

from pagexchange.testing import judge
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.judge import breaks, outcome, show
from pagexchange.testing.scene.cells import Cell, exchange_cells, unknown_flag_cells
from pagexchange.testing.scene.layouts import NEW_FLAGS
from pagexchange.testing.session.axes import over


class MatrixChecks(ServesChecks):
    """Tests of a `candidate`, each named after its clause."""

    def test_the_declaration_is_true(self, candidate: Candidate) -> None:
        """Loses is seen to lose a flag, refused exchanges nothing; exact is what the other tests judge."""
        seen = outcome(candidate, Cell())
        if candidate.expect == "loses" and seen.verdict.kind != "loses":
            breaks("the-declaration-is-true", [f"declared `expect = loses`, but the oracle says: {seen.verdict}"])
        if candidate.expect == "refused" and not (seen.status < 0).all():
            breaks("the-declaration-is-true", ["declared `expect = refused`, and pairs of two nodes were exchanged"])
        if candidate.exact:
            pytest.skip("exact: judged by all the others")

    @over("cell", exchange_cells)
    def test_every_pair_is_exchanged(self, candidate: Candidate, cell: Cell) -> None:
        """Pages of every kind, order and size; a strategy that declares to refuse may refuse them all."""
        seen = outcome(candidate, cell)
        wrong = [str(seen.error)] if seen.error else judge.refusals(seen.status)
        if candidate.expect == "refused" and not seen.error:
            pytest.skip("refused by declaration")
        if wrong:
            touched = seen.result.touched if seen.result else ()
            wrong += [f"the flag policy touched {', '.join(touched)}"] if touched else []
            breaks("every-pair-is-exchanged", wrong)

    @over("cell", exchange_cells)
    def test_the_contents_move(self, candidate: Candidate, cell: Cell) -> None:
        """Each frame of a pair has all bytes of the other page."""
        show("the-contents-move", outcome(candidate, cell))

    @over("cell", exchange_cells)
    def test_the_flags_move(self, candidate: Candidate, cell: Cell) -> None:
        """Each flag whose policy is swap goes with its page; a strategy that declares to lose may lose some."""
        seen = outcome(candidate, cell)
        if candidate.expect == "loses":
            pytest.skip("loses flags by declaration")
        show("the-flags-move", seen)

    @over("cell", unknown_flag_cells())
    def test_a_flag_nobody_knew_moves(self, candidate: Candidate, cell: Cell) -> None:
        """So does a flag that was added after the plug-in was written; one that stays does stay."""
        seen = outcome(candidate, cell)
        if candidate.expect != "exact":
            pytest.skip(f"{candidate.expect} by declaration")
        said = [*seen.broken.get("the-flags-move", []), *seen.broken.get("the-frame-keeps-its-own", [])]
        wrong = [sentence for sentence in said if any(f"`{name}`" in sentence for name in NEW_FLAGS)]
        wrong += [str(seen.error)] if seen.error else judge.refusals(seen.status)
        if wrong:
            breaks("a-flag-nobody-knew-moves", wrong)

    @over("cell", exchange_cells)
    def test_the_identity_moves(self, candidate: Candidate, cell: Cell) -> None:
        """Mapping, index, private word, file slots, marks and page tables lead to the page at its new place."""
        show("the-identity-moves", outcome(candidate, cell))

    @over("cell", exchange_cells)
    def test_the_counts_move(self, candidate: Candidate, cell: Cell) -> None:
        """References and map counts go with the page; node counters follow."""
        show("the-counts-move", outcome(candidate, cell))

    @over("cell", exchange_cells)
    def test_the_frame_keeps_its_own(self, candidate: Candidate, cell: Cell) -> None:
        """Node, zone, section, order, head and every flag that stays."""
        show("the-frame-keeps-its-own", outcome(candidate, cell))

    @over("cell", exchange_cells)
    def test_nothing_else_changes(self, candidate: Candidate, cell: Cell) -> None:
        """No frame, page, mapping or node beside the pairs is written to."""
        show("nothing-else-changes", outcome(candidate, cell))

    @over("cell", exchange_cells)
    def test_nothing_stays_held(self, candidate: Candidate, cell: Cell) -> None:
        """No lock, frozen count, migration entry, pin or frame is left behind."""
        show("nothing-stays-held", outcome(candidate, cell))
