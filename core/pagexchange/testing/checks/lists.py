"""Clauses of a list of pairs: statuses, refusals, order, shape, threads, and what is waited for."""

import errno
import threading

import numpy as np
import pytest

from pagexchange.errors import PluginError
from pagexchange.model.config import Mode
from pagexchange.model.statuses import REASONS
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.scene.cells import MANY, SHAPES, Cell
from pagexchange.testing.scene.layouts import SHIPPED
from pagexchange.testing.scene.picture import Picture
from pagexchange.testing.scene.refusals import Refusals
from pagexchange.testing.scene.scene import Pairs, Scene
from pagexchange.testing.session.axes import Judging, over
from pagexchange.testing.verdict.judge import bound, breaks, exchange, statuses


class ListChecks(Judging):
    """Tests of lists that a `candidate` exchanges, each named after its clause."""

    def test_a_status_for_every_pair(self, candidate: Candidate) -> None:
        """Every status is written, 0 or -errno, and the rest of the result follows from the statuses."""
        scene = Scene(Cell(left="raw", right="raw"), pairs=MANY)
        pairs = scene.pairs.copy()
        pairs[::97] = -1  # some refused ones, so that not every status is 0
        outcome = exchange(bound(candidate, scene.arena), scene, pairs)
        known = {0, *(-code for code in REASONS)}
        wrong = [f"pair {i}: status {s}" for i, s in enumerate(outcome.status.tolist()) if s not in known]
        result = outcome.result
        if result is not None:
            done = int((outcome.status == 0).sum())
            summary = (result.exchanged, result.ok, len(result.failed), sum(result.refused.values()))
            if summary != (done, done == MANY, MANY - done, MANY - done):
                wrong.append(f"the result says {summary} of {done} exchanged pairs of {MANY}")
        if wrong:
            breaks("a-status-for-every-pair", wrong)

    def test_a_refused_pair_is_as_it_was(self, candidate: Candidate) -> None:
        """Each reason to refuse, between pairs that are exchanged."""
        case = Refusals()
        scene, pairs, want = case.scene, case.pairs, case.want
        outcome = exchange(bound(candidate, scene.arena), scene, pairs)
        wrong = list(outcome.broken.get("a-refused-pair-is-as-it-was", []))
        for i, codes in enumerate(want):
            got = int(outcome.status[i])
            if codes and got not in codes:
                wrong.append(f"pair {i} {pairs[i].tolist()} has status {got}, must be one of {sorted(codes)}")
            if not codes and got and candidate.expect != "refused" and outcome.error is None:
                wrong.append(f"pair {i} {pairs[i].tolist()} can be exchanged, and has status {got}")
        if wrong:
            breaks("a-refused-pair-is-as-it-was", wrong)

    @over("cell", [Cell(), Cell(left="file", order=4, pairs=2), Cell(SHIPPED[0], left="shmem", right="anon")])
    def test_twice_is_the_identity(self, candidate: Candidate, cell: Cell) -> None:
        """The same list exchanged twice leaves everything as it was."""
        if not candidate.exact:
            pytest.skip(f"{candidate.expect} by declaration")
        scene = Scene(cell)
        strategy = bound(candidate, scene.arena)
        before = Picture.of(scene.arena)
        # Whatever an exchange does to what is not compared elsewhere, doing it twice must undo it.
        for _ in range(2):
            statuses("twice-is-the-identity", strategy, scene.pairs)
        _same("twice-is-the-identity", before, Picture.of(scene.arena))

    @over("cell", [Cell(), Cell(left="file", one_mapping=True), Cell(order=4, pairs=2)])
    def test_either_way_round_is_the_same(self, candidate: Candidate, cell: Cell) -> None:
        """(a, b) and (b, a) lead to the same state."""
        forward, backward = Scene(cell), Scene(cell)
        clause = "either-way-round-is-the-same"
        statuses(clause, bound(candidate, forward.arena), forward.pairs)
        statuses(clause, bound(candidate, backward.arena), np.ascontiguousarray(backward.pairs[:, ::-1]))
        _same(clause, Picture.of(forward.arena), Picture.of(backward.arena))

    @over("shape", SHAPES)
    def test_a_batch_equals_its_pairs(self, candidate: Candidate, shape: str) -> None:
        """A list does what its pairs do one by one, in the order of the list."""
        clause = "a-batch-equals-its-pairs"
        # Raw pages make a long list cheap: no file, no mapping. Odd, so that the last batch is not a full one.
        many = {"many": MANY, "many-odd": MANY + 1}.get(shape, 0)
        cell = Cell(left="raw", right="raw") if many else Cell(left="file")
        together, singly = (Scene(cell, pairs=many or 6) for _ in range(2))
        pairs = _shaped(together, shape)
        _shaped(singly, shape)
        chain = shape == "chain"
        status = statuses(
            clause, bound(candidate, together.arena), pairs, order="sequential" if chain else "independent"
        )
        single = bound(candidate, singly.arena)
        used: set[int] = set()
        wrong = []
        for i, (a, b) in enumerate(pairs.tolist()):
            # What an independent list asks of its pairs: a later use of a frame gets -EINVAL, a self-pair uses none.
            again = bool({a, b} & used) and not chain
            used |= {a, b} if a != b else set()
            want = -errno.EINVAL if a == b or again else int(statuses(clause, single, pairs[i : i + 1])[0])
            if status[i] != want:
                wrong.append(f"pair {i} ({a}, {b}) has status {status[i]}, must be {want}")
        wrong += Picture.of(singly.arena).differences(Picture.of(together.arena))
        if wrong:
            breaks(clause, wrong)

    @over("threads", ["2-threads", "4-threads", "3-threads-one-folio"])
    def test_threads_change_nothing(self, candidate: Candidate, threads: str) -> None:
        """Workers share a list, or one large folio."""
        cell = Cell(order=9, pairs=1) if "folio" in threads else Cell(left="raw", right="raw", pairs=MANY)
        alone, shared = Scene(cell), Scene(cell)
        want = statuses("threads-change-nothing", bound(candidate, alone.arena), alone.pairs, threads=1)
        wrong = []
        try:
            got = bound(candidate, shared.arena).exchange(shared.pairs, threads=int(threads[0])).status
            # the sentence counts: two lists of 202 statuses would say less
            if not np.array_equal(want, got):
                wrong.append(f"{(want == 0).sum()} pairs exchanged by one worker, {(got == 0).sum()} by more")
        except PluginError as error:
            wrong.append(str(error))
        wrong += Picture.of(alone.arena).differences(Picture.of(shared.arena))
        if wrong:
            breaks("threads-change-nothing", wrong)

    @over("case", ["async-lock", "sync-light-lock", "sync-writeback", "sync-too-long"])
    def test_waiting_is_asked_for(self, candidate: Candidate, case: str) -> None:
        """A lock or write-back that ends is waited for where the mode says so; one that does not is given up."""
        if candidate.expect == "refused":
            pytest.skip("refused by declaration")
        scene = Scene(Cell())
        arena, busy = scene.arena, int(scene.pairs[1, 0])
        mode: Mode = "sync-light" if "light" in case else "sync" if "sync-" in case else "async"
        ends = case in ("sync-light-lock", "sync-writeback")
        strategy = bound(candidate, arena, mode=mode, timeout=30.0 if ends else 0.02)
        writeback = arena.layout.flag("writeback").mask
        if case == "sync-writeback":
            arena.set_flags(busy, writeback)
            end = threading.Timer(0.02, arena.clear_flags, (busy, writeback))
        else:
            arena.lock(busy)
            end = threading.Timer(0.02, arena.unlock, (busy,))
        # A lock that ends after 20 ms, with half a minute to wait: no busy machine is too slow for that.
        if ends:
            end.start()
        try:
            status = strategy.exchange(scene.pairs).status
        except PluginError as error:
            breaks("waiting-is-asked-for", [str(error)])
        finally:
            if ends:
                end.join()
        want = [0, 0 if ends else -errno.EAGAIN, 0, 0]
        if status.tolist() != want:
            breaks("waiting-is-asked-for", [f"statuses {status.tolist()}, must be {want}"])


def _same(clause: str, want: Picture, got: Picture) -> None:
    wrong = want.differences(got)
    if wrong:
        breaks(clause, wrong)


def _shaped(scene: Scene, shape: str) -> Pairs:
    pairs = scene.pairs
    if shape == "empty":
        return pairs[:0]
    if shape == "one":
        return pairs[:1]
    if shape == "chain":  # each pair begins with the frame that the one before it ended with
        along = pairs.ravel()
        return np.column_stack([along[:-1], along[1:]])
    if shape == "duplicates":
        return np.concatenate([pairs, pairs[:2], pairs[:2, ::-1], np.column_stack([pairs[0], pairs[1]])])
    if shape == "self-pairs":
        return np.concatenate([pairs[:2], np.column_stack([pairs[:, 0], pairs[:, 0]]), pairs[2:]])
    if shape == "last-frame":
        return np.concatenate([pairs[:2], [[pairs[2, 1], scene.last_frame()]], pairs[3:]])
    return pairs
