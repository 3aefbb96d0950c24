"""Clauses of what others see and what is used: readers, free frames, and the log of a mover that stops."""

import errno
from typing import Final

import pytest

from pagexchange.testing.candidates.candidate import Candidate, takes_frames
from pagexchange.testing.scene.cells import Cell
from pagexchange.testing.scene.deaths import not_finished
from pagexchange.testing.scene.reading import read_while
from pagexchange.testing.scene.recovery import not_recovered
from pagexchange.testing.scene.scene import Scene
from pagexchange.testing.session.axes import Judging, over
from pagexchange.testing.verdict import judge
from pagexchange.testing.verdict.judge import bound, breaks, exchange

_STARVED: Final = (0, -errno.ENOMEM)


class ResourceChecks(Judging):
    """Tests of what a `candidate` uses and lets others see, each named after its clause."""

    @over("cell", [Cell(left="file", pairs=8), Cell(left="file", order=4, pairs=3, one_mapping=True)])
    def test_a_reader_sees_its_own_page(self, candidate: Candidate, cell: Cell) -> None:
        """Two readers look pages up by (mapping, index) while the pages go to and fro."""
        if candidate.expect == "refused":
            pytest.skip("refused by declaration: nothing moves")
        # A reader's reference makes a pair busy: only an exchange that waits gets past it often enough.
        scene = Scene(cell, candidate.own_layout)
        wrong = read_while(bound(candidate, scene.arena, mode="sync", timeout=10.0), scene)
        if wrong:
            breaks("a-reader-sees-its-own-page", wrong)

    @over("room", ["free-frames", "no-free-frame"])
    def test_in_place_takes_no_frame(self, candidate: Candidate, room: str) -> None:
        """Counted by the allocator and by the result; with no free frame left every pair is exchanged all the same."""
        for cell in (Cell(order=1), Cell(order=4, pairs=3), Cell(pairs=17)):
            scene = Scene(cell)
            strategy = bound(candidate, scene.arena)
            if takes_frames(strategy):
                pytest.skip("takes frames by declaration: its log is that of a temporary page")
            if room == "no-free-frame":
                scene.use_up()
            before = _allocator(scene)
            outcome = exchange(strategy, scene)
            counted = {name: count - before[name] for name, count in _allocator(scene).items() if count != before[name]}
            wrong = [f"the allocator counts {counted}"] if counted else []
            if outcome.result and (outcome.result.frames_asked or outcome.result.frames_got):
                wrong.append(
                    f"the result says {outcome.result.frames_asked} frames asked, {outcome.result.frames_got} got"
                )
            if (
                room == "no-free-frame"
                and candidate.expect != "refused"
                and (outcome.error or (outcome.status != 0).any())
            ):
                wrong += [str(outcome.error)] if outcome.error else judge.refusals(outcome.status)
            if wrong:
                breaks("in-place-takes-no-frame", wrong)

    @over("room", ["free-frames", "no-free-frame"])
    def test_what_is_taken_is_shown(self, candidate: Candidate, room: str) -> None:
        """What the result says is what the allocator counted; all is given back; none to take is -ENOMEM."""
        scene = Scene(Cell(order=1))
        strategy = bound(candidate, scene.arena)
        if not takes_frames(strategy):
            pytest.skip("in place: takes no frame")
        if room == "no-free-frame":
            scene.use_up()
        before = _allocator(scene)
        outcome = exchange(strategy, scene)
        after = _allocator(scene)
        wrong = [str(outcome.error)] if outcome.error else []
        counted = (after["asked"] - before["asked"], after["got"] - before["got"])
        reported = (outcome.result.frames_asked, outcome.result.frames_got) if outcome.result else counted
        # a frame that one node does not have is asked of the next: the allocator counts both
        if reported[1] != counted[1] or bool(reported[0]) != bool(counted[0]) or reported[0] > counted[0]:
            wrong.append(f"the result says {reported} frames asked and got, the allocator counts {counted}")
        if after["free"] != before["free"]:
            wrong.append(f"{before['free']} frames were free before and {after['free']} are now")
        if room == "free-frames" and not counted[0] and candidate.expect != "refused":
            wrong.append("its log is that of a temporary page, and it asked for no frame")
        if room == "no-free-frame":
            wrong += [
                f"pair {i}: status {s}, must be -ENOMEM" for i, s in enumerate(outcome.status) if s not in _STARVED
            ]
            wrong += [line for lines in outcome.broken.values() for line in lines] if candidate.exact else []
        # Refused pairs may take a frame or not: what they leave is another clause's matter.
        if wrong and candidate.expect != "refused":
            breaks("what-is-taken-is-shown", wrong)

    def test_a_stopped_mover_can_be_finished(self, candidate: Candidate) -> None:
        """Stepped through by instruction; after each that wrote something, the log is read and both pages finished."""
        scene = Scene(Cell(pairs=1))
        wrong = not_recovered([served.object for served in bound(candidate, scene.arena).built.data])
        if wrong:
            breaks("a-stopped-mover-can-be-finished", wrong)

    def test_a_dead_process_is_finished(self, candidate: Candidate) -> None:
        """An exchange is stepped through by instruction; after its stores the next process recovers the arena."""
        wrong = not_finished(lambda arena: [served.object for served in bound(candidate, arena).built.data])
        if wrong:
            breaks("a-dead-process-is-finished", wrong)


def _allocator(scene: Scene) -> dict[str, int]:
    """The allocator's own count, over both nodes."""
    names = ("asked", "got", "free")
    return {name: sum(int(node[name]) for node in scene.arena.nodes) for name in names}
