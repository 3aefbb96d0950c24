"""The clauses of a mapping updater, judged by asking it for pages whose slots a plain walk has found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.hookspecs import Words
from pagexchange.oracle.format import read
from pagexchange.testing.candidates.candidate import Candidate
from pagexchange.testing.candidates.partners import entry_of, slot_of
from pagexchange.testing.checks.serves import ServesChecks
from pagexchange.testing.session.axes import over
from pagexchange.testing.verdict.judge import answers, ask, breaks, two_arrays

_PAGE = np.dtype([("mapping", "<u8"), ("index", "<u8"), ("pfn", "<u4"), ("status", "<i4")])
_ORDERS = (0, 1, 4, 6)
# Indexes at both ends of a node of 64 slots, of one level up, and where the tree grows by several levels at once.
_PLACES = (0, 1, 2, 3, 62, 63, 64, 65, 4095, 4096, 1 << 18, 1 << 30, 1 << 45)

Pages = NDArray[np.void]


class MappingChecks(ServesChecks):
    """Tests of the mapping updater of a `candidate`, each named after its clause."""

    @over("order", [f"order{order}" for order in _ORDERS])
    def test_mapping_finds_the_slot(self, candidate: Candidate, order: str) -> None:
        """Trees of every height, that grow and shrink; entries of one slot and of many; two mappings, equal indexes."""
        clause = "mapping-finds-the-slot"
        case = _Case(clause, candidate, int(order.removeprefix("order")), places=_PLACES[:1])
        case.judge(case.pages)
        # The same updater all along: the tree grows to its full height and shrinks under it.
        low = case.pages
        case.add(_PLACES[1:])
        case.judge(case.pages)
        case.remove(case.pages[2:])
        case.judge(low)

    def test_mapping_stores_nothing(self, candidate: Candidate) -> None:
        """No byte of the arena is another one afterwards, but for the claim words of slots: each call counts one up."""
        case = _Case("mapping-stores-nothing", candidate)
        before = case.image()
        case.ask(case.pages)
        changed = np.flatnonzero(before.memory != case.image().memory)
        if len(changed):
            where = case.part(int(changed[0]))
            breaks("mapping-stores-nothing", [f"{len(changed)} bytes of the arena changed, the first in {where}"])

    def test_mapping_misses_what_is_gone(self, candidate: Candidate) -> None:
        """A page that was removed, or that another frame holds by now: the entry found is not that frame's."""
        case = _Case("mapping-misses-what-is-gone", candidate)
        gone, other = case.pages[:3].copy(), case.pages[3:6].copy()
        case.ask(case.pages)  # while they are there: who remembers them remembers wrongly
        case.remove(gone)
        other["pfn"] += 1000  # a page at this index, but not in this frame: as after an exchange by another worker
        nowhere = case.pages[6:8].copy()
        nowhere["index"] += np.uint64(1 << 40)
        pages = np.concatenate([gone, other, nowhere, case.pages[8:]])
        offset, entries = case.ask(pages)
        wrong = []
        for page, entry in zip(pages[:8], entries[:8].tolist(), strict=True):
            if entry == entry_of(int(page["pfn"])):
                wrong.append(f"{_page(page)} is not there, and was found")
        wrong += case.wrong(pages[8:], offset[8:], entries[8:])
        if wrong:
            breaks(case.clause, wrong)

    def test_mapping_answers_in_any_order(self, candidate: Candidate) -> None:
        """Sorted, backwards, shuffled, one at a time and the same page twice."""
        case = _Case("mapping-answers-in-any-order", candidate)
        pages = case.pages
        for rows in (pages[::-1], np.random.default_rng(3).permutation(pages), np.repeat(pages, 2), pages[:0]):
            case.judge(np.ascontiguousarray(rows))
        for i in range(len(pages)):
            case.judge(pages[i : i + 1])


@dataclass(frozen=True)
class _Image:
    """A copy of an arena's bytes, for the oracle."""

    memory: NDArray[np.uint8]


class _Case:
    """Two files whose pages lie at the same indexes, and the one updater that is asked for them all along."""

    def __init__(self, clause: str, candidate: Candidate, order: int = 0, places: Sequence[int] = _PLACES) -> None:
        self.clause, self.order = clause, order
        frames = 2 * len(_PLACES) << order
        self.arena = Arena.create([("only", max(frames, 64))], mappings=2)
        self.mappings = [self.arena.new_mapping("left"), self.arena.new_mapping("right")]
        self.pages: Pages = np.zeros(0, dtype=_PAGE)
        self.add(places)
        self.updater = answers(candidate, "mapping", self.arena)[0]

    def add(self, places: Sequence[int]) -> None:
        """Put a page of either file at each place."""
        pages = []
        for place in places:
            for mapping in self.mappings:
                pfn = int(self.arena.alloc(0, 1, self.order)[0])
                self.arena.cache_add(mapping, place << self.order, pfn)
                pages.append((mapping, place << self.order, pfn, 0))
        self.pages = np.concatenate([self.pages, np.array(pages, dtype=_PAGE)])

    def remove(self, pages: Pages) -> None:
        """Take pages out of their files."""
        for page in pages:
            self.arena.cache_remove(int(page["mapping"]), int(page["index"]))

    def ask(self, pages: Pages) -> tuple[Words, Words]:
        """Ask the candidate's updater; what it returns in another shape is an answer too."""
        answer = ask(self.clause, self.updater, self.updater.object, pages.copy(), self.arena)
        return two_arrays(self.clause, self.updater, answer)

    def judge(self, pages: Pages) -> None:
        """Fail if an answer is not what the walk says."""
        wrong = self.wrong(pages, *self.ask(pages))
        if wrong:
            breaks(self.clause, wrong)

    def wrong(self, pages: Pages, offset: Words, entries: Words) -> list[str]:
        """Say which answers are not what the walk says."""
        if any(words.shape != pages.shape or words.dtype != np.uint64 for words in (offset, entries)):
            shapes = " and ".join(f"{words.dtype}{list(words.shape)}" for words in (offset, entries))
            return [f"it returned {shapes}, must be uint64[{len(pages)}] twice"]
        wrong = []
        raw = read(self.arena)
        for page, place, entry in zip(pages, offset.tolist(), entries.tolist(), strict=True):
            want = slot_of(raw, int(page["mapping"]), int(page["index"]))
            if (place, entry) != want:
                wrong.append(
                    f"{_page(page)}: offset {place:#x} entry {entry:#x}, must be {want[0]:#x} and {want[1]:#x}"
                )
        return wrong

    def image(self) -> _Image:
        """A copy of the arena in which no slot was ever claimed."""
        copy = _Image(self.arena.memory.copy())
        read(copy).slots["claim"] = 0
        return copy

    def part(self, byte: int) -> str:
        """Name the part of the arena that a byte lies in."""
        for name, (start, count, size) in self.arena.geometry().items():
            if start <= byte < start + count * size:
                return f"{name}, number {(byte - start) // size}"
        return "the header"


def _page(page: Any) -> str:  # noqa: ANN401 - one record
    return f"mapping {page['mapping']} index {page['index']} (frame {page['pfn']})"
