"""The clauses of a migration, for whole strategies that migrate and for copiers among neutral partners."""

import errno

import numpy as np
import pytest

from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.scene.cells import MANY, Cell, exchange_cells
from pagexchange.testing.scene.deaths import migration_not_finished
from pagexchange.testing.scene.refusals import PageRefusals
from pagexchange.testing.scene.scene import Scene
from pagexchange.testing.session.axes import over
from pagexchange.testing.verdict.judge import bound, breaks, migrate, migrated_of, refusals, show


class MigrationChecks(ServesChecks):
    """Tests of a `candidate` that migrates, each named after its clause."""

    def test_the_declaration_is_true(self, candidate: Candidate) -> None:
        """Loses is seen to lose a flag, refused migrates nothing; exact is what the other tests judge."""
        outcome = migrated_of(candidate, Cell())
        if candidate.expect == "loses" and outcome.verdict.kind != "loses":
            breaks("the-declaration-is-true", [f"declared `expect = loses`, but the oracle says: {outcome.verdict}"])
        if candidate.expect == "refused" and not (outcome.status < 0).all():
            breaks("the-declaration-is-true", ["declared `expect = refused`, and pages were migrated"])
        if candidate.exact:
            pytest.skip("exact: judged by all the others")

    # One look serves all tests of a cell (`migrated_of`); a test for each clause, so that a report names clauses.
    @over("cell", exchange_cells)
    def test_every_page_is_migrated(self, candidate: Candidate, cell: Cell) -> None:
        """Pages of every kind, order and size, to the fast node and to the slow one."""
        outcome = migrated_of(candidate, cell)
        if candidate.expect == "refused" and not outcome.error:
            pytest.skip("refused by declaration")
        wrong = [str(outcome.error)] if outcome.error else refusals(outcome.status, "page")
        if wrong:
            breaks("every-page-is-migrated", wrong)

    @over("cell", exchange_cells)
    def test_a_page_goes_whole(self, candidate: Candidate, cell: Cell) -> None:
        """Contents, identity, counts and flags; a strategy that declares to lose may lose some of these."""
        outcome = migrated_of(candidate, cell)
        if candidate.expect == "loses" and not outcome.verdict.findings:
            pytest.skip("loses flags by declaration")
        show("a-page-goes-whole", outcome)

    @over("cell", exchange_cells)
    def test_what_it_leaves_is_free(self, candidate: Candidate, cell: Cell) -> None:
        """The old frames are free again, and nothing stays held."""
        show("what-it-leaves-is-free", migrated_of(candidate, cell))

    @over("case", ["reasons", "no-free-frame"])
    def test_a_refused_page_is_as_it_was(self, candidate: Candidate, case: str) -> None:
        """Each reason to refuse a page, between pages that are migrated; and a node without a free frame."""
        refused = PageRefusals(no_frame=case == "no-free-frame")
        outcome = migrate(bound(candidate, refused.scene.arena), refused.scene, [(refused.pfns, refused.node)])
        wrong = [line for lines in outcome.broken.values() for line in lines] if candidate.exact else []
        wrong += [str(outcome.error)] if outcome.error else []
        for i, (pfn, codes) in enumerate(zip(refused.pfns.tolist(), refused.want, strict=True)):
            got = int(outcome.status[i])
            if codes and got not in codes:
                wrong.append(f"page {i} (frame {pfn}) has status {got}, must be one of {sorted(codes)}")
            if not codes and got and candidate.expect != "refused" and outcome.error is None:
                wrong.append(f"page {i} (frame {pfn}) can be migrated, and has status {got}")
        if wrong:
            breaks("a-refused-page-is-as-it-was", wrong)

    @over("keep", [0, 3, 48])
    def test_what_it_takes_is_shown(self, candidate: Candidate, keep: int) -> None:
        """With so many free frames: what the result says is what the allocator counts, and all pages that fit go."""
        scene = Scene(Cell(left="raw", right="raw", pairs=8))
        scene.use_up(keep)
        scene.stamp()
        strategy = bound(candidate, scene.arena)
        before = _allocator(scene)
        outcome = migrate(strategy, scene)
        counted = {name: count - before[name] for name, count in _allocator(scene).items()}
        said = {
            "asked": sum(result.frames_asked for result in outcome.results),
            "got": sum(result.frames_got for result in outcome.results),
        }
        wrong = [str(outcome.error)] if outcome.error else []
        if said != {"asked": counted["asked"], "got": counted["got"]}:
            wrong.append(f"the results say {said}, the allocator counts {counted}")
        if counted["free"]:
            wrong.append(f"{before['free']} frames were free before and {before['free'] + counted['free']} are now")
        # The first pages leave as many frames behind as they take, and the second ones find these, too.
        first = min(keep, len(scene.pairs))
        fit, went = first + min(keep + first, len(scene.pairs)), int((outcome.status == 0).sum())
        if candidate.exact and went != fit:
            wrong.append(f"{went} pages went, with {keep} free frames on each node: {fit} can go")
        if not set(outcome.status.tolist()) <= {0, -errno.ENOMEM} and candidate.expect != "refused":
            wrong += refusals(outcome.status, "page")
        if wrong:
            breaks("what-it-takes-is-shown", wrong)

    @over("threads", ["2-threads", "4-threads", "3-threads-one-folio"])
    def test_threads_migrate_alike(self, candidate: Candidate, threads: str) -> None:
        """Workers share a list, or one large folio."""
        cell = Cell(order=9, pairs=1) if "folio" in threads else Cell(left="raw", right="raw", pairs=MANY)
        alone, shared = Scene(cell), Scene(cell)
        want = migrate(bound(candidate, alone.arena), alone, threads=1)
        got = migrate(bound(candidate, shared.arena), shared, threads=int(threads[0]))
        wrong = [str(each.error) for each in (want, got) if each.error]
        if not np.array_equal(want.status, got.status):
            wrong.append(f"{(want.status == 0).sum()} pages migrated by one worker, {(got.status == 0).sum()} by more")
        wrong += [line for lines in got.broken.values() for line in lines] if candidate.exact else []
        if wrong:
            breaks("threads-migrate-alike", wrong)

    def test_a_dead_migration_is_finished(self, candidate: Candidate) -> None:
        """A migration is stepped through by instruction; after its stores the next process recovers the arena."""
        wrong = migration_not_finished(lambda arena: [each.object for each in bound(candidate, arena).built.copy])
        if wrong:
            breaks("a-dead-migration-is-finished", wrong)


def _allocator(scene: Scene) -> dict[str, int]:
    """The allocator's own count, over both nodes."""
    return {name: sum(int(node[name]) for node in scene.arena.nodes) for name in ("asked", "got", "free")}
