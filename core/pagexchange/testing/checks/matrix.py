"""Clauses that the oracle judges, cell by cell: one exchange in each cell serves them all."""

import pytest

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.scene.cells import Cell, exchange_cells, unknown_flag_cells
from pagexchange.testing.scene.layouts import NEW_FLAGS
from pagexchange.testing.session.axes import over
from pagexchange.testing.verdict import judge
from pagexchange.testing.verdict.judge import breaks, outcome_of, show


class MatrixChecks(ServesChecks):
    """Tests of a `candidate`, each named after its clause."""

    def test_the_declaration_is_true(self, candidate: Candidate) -> None:
        """Loses is seen to lose a flag, refused exchanges nothing; exact is what the other tests judge."""
        outcome = outcome_of(candidate, Cell())
        if candidate.expect == "loses" and outcome.verdict.kind != "loses":
            breaks("the-declaration-is-true", [f"declared `expect = loses`, but the oracle says: {outcome.verdict}"])
        if candidate.expect == "refused" and not (outcome.status < 0).all():
            breaks("the-declaration-is-true", ["declared `expect = refused`, and pairs of two nodes were exchanged"])
        if candidate.exact:
            pytest.skip("exact: judged by all the others")

    # One exchange serves all tests of a cell (`outcome_of`); a test for each clause, so that a report names clauses.
    @over("cell", exchange_cells)
    def test_every_pair_is_exchanged(self, candidate: Candidate, cell: Cell) -> None:
        """Pages of every kind, order and size; a strategy that declares to refuse may refuse them all."""
        outcome = outcome_of(candidate, cell)
        wrong = [str(outcome.error)] if outcome.error else judge.refusals(outcome.status)
        if candidate.expect == "refused" and not outcome.error:
            pytest.skip("refused by declaration")
        if wrong:
            # The likeliest cause, which a status alone does not name.
            touched = outcome.result.touched if outcome.result else ()
            wrong += [f"the flag policy touched {', '.join(touched)}"] if touched else []
            breaks("every-pair-is-exchanged", wrong)

    @over("cell", exchange_cells)
    def test_the_contents_move(self, candidate: Candidate, cell: Cell) -> None:
        """Each frame of a pair has all bytes of the other page."""
        show("the-contents-move", outcome_of(candidate, cell))

    @over("cell", exchange_cells)
    def test_the_flags_move(self, candidate: Candidate, cell: Cell) -> None:
        """Each flag whose policy is swap goes with its page; a strategy that declares to lose may lose some."""
        outcome = outcome_of(candidate, cell)
        if candidate.expect == "loses":
            pytest.skip("loses flags by declaration")
        show("the-flags-move", outcome)

    @over("cell", unknown_flag_cells())
    def test_a_flag_nobody_knew_moves(self, candidate: Candidate, cell: Cell) -> None:
        """So does a flag that was added after the plug-in was written; one that stays does stay."""
        outcome = outcome_of(candidate, cell)
        if candidate.expect != "exact":
            pytest.skip(f"{candidate.expect} by declaration")
        sentences = [*outcome.broken.get("the-flags-move", []), *outcome.broken.get("the-frame-keeps-its-own", [])]
        wrong = [sentence for sentence in sentences if any(f"`{name}`" in sentence for name in NEW_FLAGS)]
        wrong += [str(outcome.error)] if outcome.error else judge.refusals(outcome.status)
        if wrong:
            breaks("a-flag-nobody-knew-moves", wrong)

    @over("cell", exchange_cells)
    def test_the_identity_moves(self, candidate: Candidate, cell: Cell) -> None:
        """Mapping, index, private word, file slots, marks and page tables lead to the page at its new place."""
        show("the-identity-moves", outcome_of(candidate, cell))

    @over("cell", exchange_cells)
    def test_the_counts_move(self, candidate: Candidate, cell: Cell) -> None:
        """References and map counts go with the page; node counters follow."""
        show("the-counts-move", outcome_of(candidate, cell))

    @over("cell", exchange_cells)
    def test_the_frame_keeps_its_own(self, candidate: Candidate, cell: Cell) -> None:
        """Node, zone, section, order, head and every flag that stays."""
        show("the-frame-keeps-its-own", outcome_of(candidate, cell))

    @over("cell", exchange_cells)
    def test_nothing_else_changes(self, candidate: Candidate, cell: Cell) -> None:
        """No frame, page, mapping or node beside the pairs is written to."""
        show("nothing-else-changes", outcome_of(candidate, cell))

    @over("cell", exchange_cells)
    def test_nothing_stays_held(self, candidate: Candidate, cell: Cell) -> None:
        """No lock, frozen count, migration entry, pin or frame is left behind."""
        show("nothing-stays-held", outcome_of(candidate, cell))
