"""The oracle must be silent about pages that were migrated by the book and must name each fault that is planted."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from pagexchange.oracle import Migration, Oracle, Verdict, check
from pagexchange.oracle import format as f
from tests.core.test_oracle import (
    BIG_A,
    OTHER,
    A,
    B,
    flag,
    make,
    slot_busy,
    toggle,
    word,
)
from tests.core.toy_arena import LAYOUT, NATIVE, Toy

FAST, SLOW = 0, 1
TO, BIG_TO, STAYS, REFUSED, FREE = 105, 112, 72, 6, 76
PFNS = [A, BIG_A, REFUSED, STAYS]
PLACED = [TO, BIG_TO, REFUSED, STAYS]
STATUS = [0, 0, -16, 0]
BOTH = [A, BIG_A]
FRAMES = 9
"""That are taken for it."""


def demote(toy: Toy, lose: int = 0, stick: int = 0) -> None:
    toy.migrate(A, TO, lose, stick)
    toy.migrate(BIG_A, BIG_TO, lose, stick)


def judge(fault: Callable[[Toy], None] | None = None, **flags: int) -> Verdict:
    """A file page and a folio go to the slow node, one page is refused, and one is there already."""
    toy = make()
    oracle = Oracle.before(toy, layout=LAYOUT, seed=7)
    demote(toy, **flags)
    if fault:
        fault(toy)
    return oracle.after_migrations([Migration(PFNS, STATUS, PLACED, SLOW)])


def said(calls: Sequence[Migration], do: Callable[[Toy], None] = demote, **options: int) -> Verdict:
    """The verdict on what was done, by what is said of it."""
    toy = make()
    oracle = Oracle.before(toy, layout=LAYOUT)
    do(toy)
    assert check(toy) == []
    return oracle.after_migrations(calls, **options)


def test_pages_that_went_to_free_frames_are_exact_and_everything_was_looked_at() -> None:
    verdict = judge()
    assert verdict.findings == []
    assert verdict.kind == "exact"
    toy = make()
    frames = sum(1 << page.order for page in toy.pages if not page.reserved)
    read = 128 * (frames + 128 - frames - FRAMES)  # not the frames that were taken nor, with others in them, left
    expected = {"frames": frames, "idle": 128 - frames, "bytes": read, "pages": 4, "migrated": 3}
    assert verdict.checked == expected | {"places": 8, "ptes": 30}


def contents_not_copied(toy: Toy) -> None:
    toy.raw.frames[TO] = 0


def half_a_folio_copied(toy: Toy) -> None:
    toy.raw.frames[BIG_TO + 4 : BIG_TO + 8] = 0


def slot_not_updated(toy: Toy) -> None:
    array, at = toy.slot_word(0, 7)
    array[at] = (A + 1) << 2


def pte_not_updated(toy: Toy) -> None:
    t, s = toy.pte_words(TO)[0]
    toy.raw.tables["pte"]["pte"][t, s] = A << 12 | int(toy.raw.tables["pte"]["pte"][t, s]) & 0xFFF


def old_frame_kept(toy: Toy) -> None:
    got = toy.raw.nodes["got"].copy()
    toy.take(A)
    toy.raw.nodes["got"] = got


def new_frame_freed(toy: Toy) -> None:
    toy.give(STAYS)


def old_flags_left(toy: Toy) -> None:
    toy.raw.entries["flags"][A] |= np.uint64(flag("uptodate"))


def old_count_left(toy: Toy) -> None:
    toy.raw.entries["refs"][A] = 1


def free_count(toy: Toy) -> None:
    toy.raw.nodes["free"][FAST] -= 1


def block_on_no_list(toy: Toy) -> None:
    lists = toy.raw.nodes["list"][FAST]
    lists[1] = toy.raw.entries["next"][int(lists[1]) - 1]
    toy.raw.entries["prev"][int(lists[1]) - 1] = 0


def counters_not_moved(toy: Toy) -> None:
    toy.raw.slots["counter"][1, :8:4] += [1, -1]


def mark_lost(toy: Toy) -> None:
    toy.raw.xanodes["marks"][0, 0] = 0


def hint_of_another(toy: Toy) -> None:
    toy.raw.entries["next"][TO] = 5


def a_free_frame_written(toy: Toy) -> None:
    toy.raw.frames[FREE] = 1


def mapped_to_nobody(toy: Toy) -> None:
    toy.raw.entries["mapcount"][A] = 1


def locked_behind(toy: Toy) -> None:
    toy.raw.entries["owner"][A] = 2


def refused_page_written(toy: Toy) -> None:
    toy.raw.frames[REFUSED, 3] = 0


def refused_page_moved(toy: Toy) -> None:
    toy.migrate(REFUSED, 106)
    toy.raw.nodes["got"][SLOW] -= 1


def another_page_moved(toy: Toy) -> None:
    toy.migrate(OTHER, 106)
    toy.raw.nodes["got"][SLOW] -= 1


def frame_taken(toy: Toy) -> None:
    toy.take(FREE)
    toy.raw.nodes["got"][SLOW] -= 1


# Fault, the finding (what, number, expected, got), and how many findings there are in all.
FAULTS: list[tuple[Callable[[Toy], None], str, int, Any, Any, int]] = [
    (contents_not_copied, "contents", TO, A, None, 1),
    (half_a_folio_copied, "contents", BIG_TO + 4, BIG_A + 4, None, 4),
    (slot_not_updated, "slot-entry", TO, TO, A, 3),
    (pte_not_updated, "pte", TO, TO, A, 4),
    (old_frame_kept, "leak", A, f.FREE, f.USED, 1),
    (new_frame_freed, "freed", STAYS, f.USED, f.FREE, 1),
    (old_flags_left, "flag", A, 0, 8, 1),
    (old_count_left, "free-page", A, 0, 1, 1),
    (mapped_to_nobody, "free-page", A, 0, 0, 1),
    (locked_behind, "lock", A, 0, 2, 1),
    (free_count, "free-count", FAST, 58, 57, 1),
    (block_on_no_list, "leak", 42, 1, 0, 3),
    (counters_not_moved, "counter", FAST, 5, 6, 2),
    (mark_lost, "marks", 3, 1, 0, 2),
    (hint_of_another, "hint", TO, 8, 5, 1),
    (a_free_frame_written, "contents", FREE, 0, f.FREE, 1),
    (refused_page_written, "refused", REFUSED, REFUSED, None, 1),
    (refused_page_moved, "leak", 106, f.FREE, f.USED, 6),
    (another_page_moved, "leak", 106, f.FREE, f.USED, 6),
    (frame_taken, "leak", FREE, f.FREE, f.USED, 1),
    (lambda toy: word(toy, "refs", TO, 1, add=True), "references", TO, 3, 4, 2),
    (lambda toy: word(toy, "index", TO, 1, add=True), "index", TO, 7, 8, 3),
    (lambda toy: word(toy, "private", TO, 1), "private", TO, 0, 1, 1),
    (lambda toy: word(toy, "held", TO, 1), "held", TO, 0, 1, 2),
    (lambda toy: word(toy, "order", BIG_TO, 2), "order", BIG_TO, 3, 2, 10),
    (lambda toy: word(toy, "head", BIG_TO + 3, BIG_A + 1), "head", BIG_TO + 3, BIG_TO + 1, BIG_A + 1, 2),
    (lambda toy: word(toy, "head", BIG_A + 3, BIG_A + 1), "free-page", BIG_A + 3, 0, BIG_A + 1, 1),
    (toggle(TO, NATIVE["hwpoison"]), "flag", TO, 0, NATIVE["hwpoison"], 1),
    (toggle(TO, 1 << NATIVE["node_shift"]), "flag", TO, 1 << NATIVE["node_shift"], 0, 2),
    (toggle(BIG_TO, NATIVE["head"]), "flag", BIG_TO, NATIVE["head"], 0, 2),
    (toggle(BIG_TO + 1, flag("anon_exclusive")), "flag", BIG_TO + 1, 0, flag("anon_exclusive"), 1),
]


@pytest.mark.parametrize(
    ("fault", "what", "pfn", "expected", "got", "total"), FAULTS, ids=[f"{row[1]}-{i}" for i, row in enumerate(FAULTS)]
)
def test_a_planted_fault_is_wrong_and_named(
    fault: Callable[[Toy], None], what: str, pfn: int, expected: Any, got: Any, total: int
) -> None:
    verdict = judge(fault)
    assert verdict.kind == "wrong"
    sentences = [str(finding) for finding in verdict.findings]
    assert (what, pfn, expected, got) in [
        (finding.what, finding.pfn, finding.expected, finding.got) for finding in verdict.findings
    ], sentences
    assert verdict.total == total >= len(verdict.findings), sentences


@pytest.mark.parametrize(
    ("pfns", "status", "placed", "node", "kind", "sentence"),
    [
        (BOTH, [0, 0], [TO, A], SLOW, "placed", "frame 16 is said to lie in frame 3: no place for it on"),
        (BOTH, [0, 0], [TO, BIG_TO], FAST, "placed", "said to lie in frame 105: no place for it on node 0"),
        (BOTH, [0, 0], [TO, BIG_TO + 1], SLOW, "placed", "said to lie in frame 113: no place for it"),
        (BOTH, [0, 0], [TO, 128], SLOW, "placed", "said to lie in frame 128: no place for it"),
        (BOTH, [0, 0], [-1, BIG_TO], SLOW, "placed", "said to lie in frame -1: no place for it"),
        (BOTH, [0, 0], [B, BIG_TO], SLOW, "placed", "frame 3 is said to lie in frame 70, which was not free"),
        (BOTH, [0, 0], [112, BIG_TO], SLOW, "placed", "is said to lie in frame 112, which was not free"),
        (BOTH, [0, 0], [106, BIG_TO], SLOW, "leak", "frame 105 was free and has state 2 now"),
        (BOTH, [0, 0], [A, BIG_TO], SLOW, "placed", "frame 3 has status 0 and stays on node 0, must go"),
        (BOTH, [-12, 0], [TO, BIG_TO], SLOW, "placed", "frame 3 was refused and is said to lie in frame 105"),
        (BOTH, [-12, 0], [A, BIG_TO], SLOW, "refused", "refused: frame 3 must hold page 3"),
        (BOTH, [5, 0], [A, BIG_TO], SLOW, "status", "page 0: status 5, must be 0 or -errno"),
        ([A, A, BIG_A], [0, 0, 0], [TO, 106, BIG_TO], SLOW, "accepted", "or was named before"),
        ([A, 50, BIG_A], [0, 0, 0], [TO, 50, BIG_TO], SLOW, "accepted", "page of frame 50 has status 0"),
        ([A, 200, BIG_A], [0, 0, 0], [TO, 200, BIG_TO], SLOW, "accepted", "page of frame 200 has status 0"),
        ([A, BIG_A + 1], [0, 0], [TO, BIG_TO], SLOW, "accepted", "page of frame 17 has status 0"),
        ([A], [0], [TO], SLOW, "leak", "frame 112 was free and has state 2 now: taken and not given back"),
    ],
)  # fmt: skip
def test_what_a_call_says_must_be_what_it_did(
    pfns: list[int], status: list[int], placed: list[int], node: int, kind: str, sentence: str
) -> None:
    verdict = said([Migration(pfns, status, placed, node)])
    assert verdict.kind == "wrong"
    found = [(finding.what, str(finding)) for finding in verdict.findings]
    assert any(what == kind and sentence in words for what, words in found), found


def test_a_page_that_flags_forbid_to_move_may_not_be_migrated() -> None:
    for pfn in (A, BIG_A + 5):
        toy = make()
        toy.raw.entries["flags"][pfn] |= np.uint64(NATIVE["hwpoison"])
        oracle = Oracle.before(toy, layout=LAYOUT)
        demote(toy)
        assert "accepted" in oracle.after_migrations([Migration(PFNS, STATUS, PLACED, SLOW)]).by_kind


def test_pages_follow_into_frames_that_an_earlier_call_has_left() -> None:
    def chain(toy: Toy) -> None:
        toy.migrate(BIG_A, BIG_TO)
        toy.migrate(B, BIG_A)
        toy.migrate(OTHER, B)

    calls = [
        Migration([BIG_A], [0], [BIG_TO], SLOW), Migration([B], [0], [BIG_A], FAST), Migration([OTHER], [0], [B], SLOW),
    ]  # fmt: skip
    assert said(calls, chain, taken=10).kind == "exact"
    for taken in (9, 11):
        assert said(calls, chain, taken=taken).by_kind == {"counter": 1}
    assert said(calls[1:] + calls[:1], chain).by_kind["placed"] == 2


def test_pages_that_traded_places_had_no_free_frame_to_go_to() -> None:
    def trade(toy: Toy) -> None:
        toy.exchange(A, B)

    verdict = said([Migration([A], [0], [B], SLOW), Migration([B], [0], [A], FAST)], trade)
    assert "which was not free, or has another one" in str(verdict)
    verdict = said([Migration([A, OTHER], [0, 0], [OTHER, A], FAST)], lambda toy: toy.exchange(A, OTHER))
    assert "was on node 0 and is said to lie in frame 5 now, must stay" in str(verdict)


def test_two_pages_cannot_lie_in_one_frame() -> None:
    verdict = said([Migration([A, OTHER], [0, 0], [TO, TO], SLOW)], lambda toy: toy.migrate(A, TO))
    assert (verdict.kind, verdict.by_kind) == ("wrong", {"placed": 1})


def test_a_page_that_moved_twice_is_followed_and_may_come_back() -> None:
    def there_and_back(toy: Toy) -> None:
        toy.migrate(A, TO)
        toy.migrate(BIG_A, BIG_TO)
        toy.migrate(TO, A)
        toy.migrate(BIG_TO, 48)

    calls = [Migration([A, BIG_A], [0, 0], [TO, BIG_TO], SLOW), Migration([BIG_TO, TO], [0, 0], [48, A], FAST)]
    assert said(calls, there_and_back).kind == "exact"
    for wrong in (calls[:1], calls[::-1], [*calls, calls[0]]):
        assert said(wrong, there_and_back).kind == "wrong"


@pytest.mark.parametrize("name", ["dirty", "uptodate"])
def test_a_flag_that_stays_behind_is_lost_by_name(name: str) -> None:
    verdict = judge(lose=flag(name))
    assert verdict.kind == "loses", str(verdict)
    assert verdict.lost == {name: 2 if name == "dirty" else 1}


def test_flags_of_a_free_frame_are_cleared_and_those_of_the_frame_stay() -> None:
    layout = NATIVE
    for pfn in (TO, BIG_TO, BIG_TO + 1):
        toy = make()
        toy.raw.entries["flags"][pfn] |= np.uint64(flag("young", "writeback"))
        toy.raw.entries["flags"][pfn] |= np.uint64(layout["waiters"])
        oracle = Oracle.before(toy, layout=LAYOUT)
        demote(toy)
        calls = [Migration(PFNS, STATUS, PLACED, SLOW)]
        assert oracle.after_migrations(calls).kind == "wrong"  # a page may not find what was left in its frame
        toy.raw.entries["flags"][pfn] &= ~np.uint64(flag("young", "writeback"))
        assert oracle.after_migrations(calls).kind == "exact"
        toy.raw.entries["flags"][pfn] &= ~np.uint64(layout["waiters"])
        assert oracle.after_migrations(calls).kind == "wrong"


def test_a_frame_that_was_taken_for_a_page_refused_late_may_have_been_written_to_and_no_other() -> None:
    def late(toy: Toy, written: int) -> None:
        demote(toy)
        toy.raw.nodes["got"][SLOW] += 1
        toy.raw.frames[FREE : FREE + written] = 1

    calls = [Migration(PFNS, STATUS, PLACED, SLOW)]
    assert said(calls, lambda toy: late(toy, 1), taken=FRAMES + 1).kind == "exact"
    verdict = said(calls, lambda toy: late(toy, 2), taken=FRAMES + 1)
    assert (verdict.kind, verdict.by_kind) == ("wrong", {"contents": 2})


@pytest.mark.parametrize("stamped", [False, True])
def test_a_starved_call_has_changed_nothing(stamped: bool) -> None:
    toy = make()
    oracle = Oracle.before(toy, stamped=stamped, layout=LAYOUT)
    call = Migration([A, BIG_A], [-12, -12], [A, BIG_A], SLOW)
    assert oracle.after_migrations([call]).kind == "exact"
    toy.raw.nodes["asked"][SLOW] += 9
    assert oracle.after_migrations([call], taken=0).kind == "exact"
    slot_busy(toy)
    assert oracle.after_migrations([call]).kind == "wrong"


def test_columns_of_another_length_and_nodes_that_are_not_there_are_refused() -> None:
    oracle = Oracle.before(make())
    with pytest.raises(ValueError, match="all of one length"):
        oracle.after_migrations([Migration([A, B], [0], [TO, B], SLOW)])
    with pytest.raises(ValueError, match="node 2: there are nodes 0 to 1"):
        oracle.after_migrations([Migration([A], [0], [TO], 2)])
