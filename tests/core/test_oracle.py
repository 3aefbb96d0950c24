"""The oracle must be silent about an exact exchange and must name each fault that is planted."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest

from pagexchange.errors import ArenaFormatError
from pagexchange.model.layout import Field, Flag
from pagexchange.oracle import Oracle, Stamps, Verdict, check, stamp
from pagexchange.oracle import format as f
from pagexchange.oracle.findings import Collector, Finding
from tests.core.toy_arena import LAYOUT, NATIVE, SELF, Page, Toy

A, B = 3, 70  # the usual pair: a file page on the fast node, an anonymous one on the slow node
OTHER = 5
BIG_A, BIG_B = 16, 80  # folios of order 3, both in files
REFUSED = (6, 73)


def flag(*names: str) -> int:
    return LAYOUT.word(*names)


def make() -> Toy:
    """Files, anonymous pages, shared ones, folios, marks, private data, a reserved frame, free frames between."""
    return Toy(
        [
            Page(A, mapping=0, index=7, marks=1, flags=flag("uptodate", "dirty", "lru"), maps=[(0, 300), (2, 9)]),
            Page(B, maps=[(0, 64), (1, 64), (2, 64)], flags=flag("swapbacked", "uptodate", "active", "young")),
            Page(OTHER, mapping=0, index=8, flags=flag("uptodate", "referenced")),
            Page(REFUSED[0], mapping=1, index=0, flags=flag("swapbacked", "dirty"), marks=5),
            Page(REFUSED[1], mapping=1, index=70, flags=flag("swapbacked"), maps=[(1, 6)]),
            Page(9, mapping=2, index=0, marks=3, flags=flag("private"), private=0xABCD),
            Page(72, held=1),
            Page(BIG_A, order=3, mapping=3, index=8, marks=1, flags=flag("dirty")),
            Page(
                BIG_B, order=3, mapping=3, index=512 + 64, maps=[(0, 1024), (1, 2048)], flags=flag("uptodate", "idle")
            ),
            Page(96, order=3, maps=[(0, 4096)], flags=flag("swapbacked")),
            Page(32, order=1, mapping=4, index=100_000),
            Page(40, held=1, reserved=True),
        ]
    )


STATUS = [0, -11, 0]
PAIRS = [(A, B), REFUSED, (BIG_B, BIG_A)]


def judge(fault: Callable[[Toy], None] | None = None, lose: int = 0, stick: int = 0) -> Verdict:
    """The usual exchange with a fault planted after it."""
    toy = make()
    oracle = Oracle.before(toy, layout=LAYOUT, seed=7)
    assert not oracle.unsound.kept
    toy.exchange(A, B, lose, stick)
    toy.exchange(BIG_A, BIG_B, lose, stick)
    if fault:
        fault(toy)
    return oracle.after(PAIRS, STATUS)


def test_a_sound_arena_has_no_findings() -> None:
    assert check(make()) == []


def test_an_exact_exchange_is_exact_and_everything_was_looked_at() -> None:
    verdict = judge()
    assert verdict.findings == []
    assert verdict.kind == "exact"
    assert verdict
    toy = make()
    frames = sum(1 << page.order for page in toy.pages if not page.reserved)
    expected = {"frames": frames, "idle": 128 - frames, "bytes": 128 * 128, "pairs": 3, "exchanged": 2}
    expected |= {"places": 8, "ptes": 30}
    assert verdict.checked == expected


def word(toy: Toy, name: str, pfn: int, value: int, add: bool = False) -> None:
    toy.raw.entries[name][pfn] = value + (int(toy.raw.entries[name][pfn]) if add else 0)


def toggle(pfn: int, mask: int) -> Callable[[Toy], None]:
    def fault(toy: Toy) -> None:
        toy.raw.entries["flags"][pfn] ^= np.uint64(mask)

    return fault


def swap_words(toy: Toy) -> None:
    toy.raw.frames[A, [2, 9]] = toy.raw.frames[A, [9, 2]]


def contents_back(toy: Toy) -> None:
    toy.raw.frames[[A, B]] = toy.raw.frames[[B, A]]


def one_of_a_pair_not_moved(toy: Toy) -> None:
    toy.raw.frames[A] = toy.raw.frames[B]


def to_the_wrong_frame(toy: Toy) -> None:
    toy.raw.frames[[A, OTHER]] = toy.raw.frames[[OTHER, A]]


def tail_contents(toy: Toy) -> None:
    toy.raw.frames[BIG_A + 7, 15] ^= np.uint64(1 << 63)


def again(toy: Toy) -> None:
    toy.exchange(A, B)


def another_pair(toy: Toy) -> None:
    toy.exchange(OTHER, 9)


def node_bits(toy: Toy) -> None:
    toy.raw.entries["flags"][A] ^= np.uint64(1 << NATIVE["node_shift"])


def mark_moved(toy: Toy) -> None:
    toy.raw.xanodes["marks"][0, 0] = 1 << 8  # from index 7 to 8


def slot_not_updated(toy: Toy) -> None:
    array, at = toy.slot_word(0, 7)
    array[at] = (A + 1) << 2


def pte_not_crossed(toy: Toy) -> None:
    t, s = toy.pte_words(B)[0]
    toy.raw.tables["pte"]["pte"][t, s] = A << 12 | int(toy.raw.tables["pte"]["pte"][t, s]) & 0xFFF


def pte_bits(toy: Toy) -> None:
    t, s = toy.pte_words(B)[0]
    toy.raw.tables["pte"]["pte"][t, s] ^= np.uint64(4)


def pte_lost(toy: Toy) -> None:
    t, s = toy.pte_words(B)[0]
    toy.raw.tables["pte"]["pte"][t, s] = 0


def migration_left(toy: Toy) -> None:
    t, s = toy.pte_words(A)[0]
    toy.raw.tables["pte"]["pte"][t, s] ^= np.uint64(3)


def rmap_cut(toy: Toy) -> None:
    toy.raw.entries["rmap"][A] = 0


def rmap_ring(toy: Toy) -> None:
    link = int(toy.raw.entries["rmap"][A]) - 1
    toy.raw.tables["pte"]["next"][link // 64, link % 64] = link + 1


def rmap_not_swapped(toy: Toy) -> None:
    e = toy.raw.entries
    e["rmap"][[A, B]] = e["rmap"][[B, A]]


def free_list_cut(toy: Toy) -> None:
    order = next(
        o
        for o in range(10)
        if toy.raw.nodes["list"][0, o] and toy.raw.entries["next"][int(toy.raw.nodes["list"][0, o]) - 1]
    )
    toy.raw.entries["next"][int(toy.raw.nodes["list"][0, order]) - 1] = 0


def free_list_ring(toy: Toy) -> None:
    first = int(toy.raw.nodes["list"][0, 0])
    toy.raw.entries["next"][first - 1] = first


def frame_taken(toy: Toy) -> None:
    order = next(o for o in range(10) if toy.raw.nodes["list"][1, o])
    pfn = int(toy.raw.nodes["list"][1, order]) - 1
    e, node = toy.raw.entries, toy.raw.nodes[1]
    node["list"][order], node["free"] = e["next"][pfn], node["free"] - (1 << order)
    if node["list"][order]:
        e["prev"][int(node["list"][order]) - 1] = 0
    e["state"][pfn], e["order"][pfn], e["refs"][pfn], e["held"][pfn], e["next"][pfn] = f.USED, order, 1, 1, 0
    e["state"][pfn + 1 : pfn + (1 << order)] = f.TAIL
    e["head"][pfn + 1 : pfn + (1 << order)] = pfn + 1
    e["order"][pfn + 1 : pfn + (1 << order)] = 0
    e["flags"][pfn] |= np.uint64(NATIVE["head"] if order else 0)


def page_freed(toy: Toy) -> None:
    e = toy.raw.entries
    for name in ("refs", "held"):
        e[name][72] = 0
    e["state"][72], e["order"][72], e["next"][72], e["prev"][72] = f.FREE, 0, toy.raw.nodes["list"][1, 0], 0
    if e["next"][72]:
        e["prev"][int(e["next"][72]) - 1] = 73
    toy.raw.nodes["list"][1, 0], toy.raw.nodes["free"][1] = 73, toy.raw.nodes["free"][1] + 1


def locked(toy: Toy) -> None:
    toy.raw.entries["flags"][A] |= np.uint64(NATIVE["locked"])
    toy.raw.entries["owner"][A] = (SELF + 1) << f.OWNER_KEEPER_SHIFT


def slot_busy(toy: Toy) -> None:
    toy.raw.slots["state"][1] = 5 << 8 | 2


def pinned(toy: Toy) -> None:
    toy.raw.pins[2, 3], toy.raw.pin_tops[2] = OTHER + 1 | 1 << 32, 4


def node_counter(toy: Toy) -> None:
    toy.raw.slots["counter"][1, 4] += 1


def nr_pages(toy: Toy) -> None:
    toy.raw.mappings["nr_pages"][0] += 1


def watermark(toy: Toy) -> None:
    toy.raw.nodes["wm_low"][0] = 1


def tree_node_leaked(toy: Toy) -> None:
    toy.raw.xanodes["used"][toy.fresh], toy.raw.header["xanodes"]["fresh"] = 1, toy.fresh + 1


def tree_count(toy: Toy) -> None:
    toy.raw.xanodes["count"][0] += 1


def siblings_cut(toy: Toy) -> None:
    array, at = toy.slot_word(3, 8)
    array[at + 4 : at + 8] = 0


def tree_locked(toy: Toy) -> None:
    toy.raw.mappings["pages"]["lock"][0] = 1


def order_changed(toy: Toy) -> None:
    toy.raw.entries["order"][BIG_A] = 2


def tail_astray(toy: Toy) -> None:
    toy.raw.entries["head"][BIG_A + 3] = BIG_B + 1


# Fault, the finding (what, number, expected, got), and how many findings there are in all.
FAULTS: list[tuple[Callable[[Toy], None], str, int, Any, Any, int]] = [
    (swap_words, "contents", A, 70, None, 1),
    (contents_back, "contents", A, 70, None, 2),
    (one_of_a_pair_not_moved, "contents", A, 70, None, 1),
    (to_the_wrong_frame, "contents", OTHER, 5, None, 2),
    (tail_contents, "contents", BIG_A + 7, 87, None, 1),
    (again, "contents", B, 3, None, 14),
    (again, "mapping", A, 5, 4, 14),
    (again, "slot-entry", 70, 70, 3, 14),
    (again, "pte", A, 3, 70, 14),
    (another_pair, "contents", 9, 9, None, 18),
    (node_bits, "node-bits", A, 0, 1, 2),
    (node_bits, "flag", A, 0, 18014398509481984, 2),
    (mark_moved, "marks", 3, 1, 0, 2),
    (slot_not_updated, "slot-entry", B, 70, 3, 3),
    (slot_not_updated, "identity", B, 7, -1, 3),
    (pte_not_crossed, "pte", B, 70, 3, 6),
    (pte_not_crossed, "mapcount", B, 1, 2, 6),
    (pte_bits, "pte-bits", B, 5, 1, 1),
    (pte_lost, "pte", A, 0, 1, 5),
    (migration_left, "migration", A, 1, 2, 2),
    (rmap_cut, "rmap", A, 1, 0, 1),
    (rmap_ring, "rmap", A, 1, 0, 3),
    (rmap_not_swapped, "rmap", A, 0, 73, 4),
    (free_list_cut, "leak", 2, 1, 0, 5),
    (free_list_ring, "free-list", 41, 0, 42, 6),
    (frame_taken, "leak", 71, 1, 2, 1),
    (page_freed, "freed", 72, 2, 1, 1),
    (locked, "lock", A, 0, (SELF + 1) << 8, 3),
    (slot_busy, "slot", 1, 0, 2, 1),
    (pinned, "pin", OTHER, 0, 6 | 1 << 32, 1),
    (node_counter, "counter", 1, 10, 11, 1),
    (nr_pages, "nr-pages", 0, 2, 3, 2),
    (watermark, "node", 0, 0, 1, 1),
    (tree_node_leaked, "pool", 15, 0, 1, 1),
    (tree_count, "xarray", 0, 2, 3, 1),
    (siblings_cut, "slot-order", 16, 3, 2, 5),
    (tree_locked, "mapping-lock", 0, 0, 1, 1),
    (order_changed, "order", BIG_A, 3, 2, 17),
    (tail_astray, "tail", BIG_A + 3, 16, 80, 5),
    (lambda toy: word(toy, "refs", A, 1, add=True), "references", A, 3, 4, 2),
    (lambda toy: word(toy, "refs", A, f.FROZEN | 1), "frozen", A, 0, 2147483649, 1),
    (lambda toy: word(toy, "mapcount", B, 1, add=True), "mapcount", B, 2, 3, 3),
    (lambda toy: word(toy, "mapping", A, 0), "mapping", A, 5, 0, 3),
    (lambda toy: word(toy, "index", B, 1, add=True), "index", B, 7, 8, 3),
    (lambda toy: word(toy, "private", 9, 1), "private", 9, 43981, 1, 1),
    (lambda toy: word(toy, "held", 72, 0), "held", 72, 1, 0, 2),
    (lambda toy: word(toy, "owner", A, 2), "lock", A, 0, 2, 2),
    (lambda toy: word(toy, "state", 40, f.OFFLINE), "state", 40, 4, 0, 1),
    (lambda toy: word(toy, "flags", REFUSED[0], flag("young"), add=True), "refused", REFUSED[0], 0, 4194304, 1),
    (lambda toy: word(toy, "private", REFUSED[0], 1), "refused", REFUSED[0], 0, 1, 1),
    (lambda toy: toy.exchange(*REFUSED), "refused", REFUSED[1], 73, None, 13),
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
    assert all(len(sentence) > 10 for sentence in sentences)
    assert verdict.total == sum(verdict.by_kind.values()) == total >= len(verdict.findings), sentences


def of_tails(fault: Callable[[Toy], None] | None = None, status: int = 0) -> Verdict:
    """An exchange of two folios whose tails have words of their own, with a fault planted after it."""
    toy = make()
    words = toy.raw.entries["flags"]
    words[BIG_A + 2] |= np.uint64(flag("anon_exclusive", "dirty"))
    words[BIG_B + 5] |= np.uint64(flag("anon_exclusive", "young"))
    oracle = Oracle.before(toy, layout=LAYOUT, seed=7)
    if status == 0:
        toy.exchange(BIG_A, BIG_B)
    if fault:
        fault(toy)
    return oracle.after([(BIG_A, BIG_B)], [status])


def test_what_tails_say_of_a_page_must_have_gone_with_it_and_all_else_stayed() -> None:
    assert of_tails().kind == of_tails(status=-11).kind == "exact"
    exclusive = flag("anon_exclusive")
    for pfn, mask, name, kind, value in (
        (BIG_A + 2, exclusive, "owner_2", "swap", 1),
        (BIG_B + 2, exclusive, "owner_2", "swap", 0),
        (BIG_A + 2, flag("dirty"), "dirty", "stay", 0),
        (BIG_B + 1, flag("reclaim"), "reclaim", "refuse", 1),
    ):
        verdict = of_tails(toggle(pfn, mask))
        (finding,) = verdict.findings
        assert (verdict.kind, verdict.lost, finding.what, finding.pfn) == ("wrong", {}, "flag", pfn)
        assert f"tail frame {pfn}: `{name}` (policy {kind}) is {value * mask:#x}" in str(finding)
    (finding,) = of_tails(toggle(BIG_B + 3, exclusive), status=-11).findings
    assert "refused: tail frame" in str(finding)


@pytest.mark.parametrize("name", ["hwpoison", "reserved", "reclaim", "active"])
def test_a_folio_with_a_tail_that_forbids_it_may_not_be_exchanged(name: str) -> None:
    toy = make()
    toy.raw.entries["flags"][BIG_B + 6] |= np.uint64(flag(name))
    oracle = Oracle.before(toy, layout=LAYOUT, seed=7)
    assert oracle.after([(BIG_A, BIG_B)], [-11]).kind == "exact"
    toy.exchange(BIG_A, BIG_B)
    verdict = oracle.after([(BIG_A, BIG_B)], [0])
    assert (verdict.kind, verdict.findings[0].what) == ("wrong", "accepted")


def test_a_wrong_word_is_traced_to_where_it_came_from() -> None:
    assert "page 70 with 2 of 16 words wrong: word 2 holds its word 9" in str(judge(swap_words))
    assert "must hold page 70 and holds all of page 3" in str(judge(contents_back))


PARTS: list[Flag | Field] = [*LAYOUT.flags, *LAYOUT.fields]
SWAP = [part for part in PARTS if part.policy == "swap" and part.mask]
STAY = [part for part in PARTS if part.policy != "swap" and part.mask]


@pytest.mark.parametrize("part", SWAP, ids=lambda part: part.name)
@pytest.mark.parametrize("way", ["stays behind", "lost on both", "sticks to both"])
def test_a_flag_that_does_not_go_along_is_lost_by_name(part: Flag | Field, way: str) -> None:
    name, mask = part.name, part.mask
    toy = make()
    for page in (A, OTHER):
        toy.raw.entries["flags"][page] &= ~np.uint64(mask)
    toy.raw.entries["flags"][9] |= np.uint64(mask)
    if name == "private":
        toy.raw.entries["refs"][[A, OTHER]] = [3, 1]
        toy.raw.entries["private"][9] = 1
    toy.count()
    oracle = Oracle.before(toy, layout=LAYOUT)
    assert not oracle.unsound.kept
    refs = toy.raw.entries["refs"].copy()
    toy.exchange(9, OTHER, lose=mask if way == "stays behind" else 0, stick=mask if way == "sticks to both" else 0)
    if way == "lost on both":
        toy.raw.entries["flags"][[9, OTHER]] &= ~np.uint64(mask)
    assert sorted(refs) == sorted(toy.raw.entries["refs"])
    verdict = oracle.after([(9, OTHER)], [0])
    assert verdict.kind == "loses", str(verdict)
    assert verdict.lost == {name: 1}


@pytest.mark.parametrize("part", SWAP, ids=lambda part: part.name)
def test_a_flag_out_of_nowhere_is_wrong(part: Flag | Field) -> None:
    mask = part.mask & -part.mask
    toy = make()
    toy.raw.entries["flags"][[OTHER, 72]] &= ~np.uint64(mask)
    oracle = Oracle.before(toy, layout=LAYOUT)
    toy.exchange(OTHER, 72)
    toy.raw.entries["flags"][OTHER] |= np.uint64(mask)
    verdict = oracle.after([(OTHER, 72)], [0])
    assert verdict.kind == "wrong"
    assert f"`{part.name}` (policy swap)" in str(verdict)


@pytest.mark.parametrize("part", [part for part in STAY if part.name != "waiters"], ids=lambda part: part.name)
def test_a_flag_that_moves_though_it_stays_is_wrong(part: Flag | Field) -> None:
    verdict = judge(toggle(A, part.mask & -part.mask))
    assert verdict.kind == "wrong"
    assert any(f"`{part.name}`" in str(finding) for finding in verdict.findings)


def test_waiters_may_appear_and_may_not_vanish() -> None:
    assert judge(toggle(A, NATIVE["waiters"])).kind == "exact"
    toy = make()
    toy.raw.entries["flags"][A] |= np.uint64(NATIVE["waiters"])
    oracle = Oracle.before(toy, layout=LAYOUT)
    toy.raw.entries["flags"][A] &= ~np.uint64(NATIVE["waiters"])
    assert oracle.after(np.empty((0, 2), np.int64), []).kind == "wrong"


def test_a_reset_cpupid_is_a_loss_and_not_wrong() -> None:
    field = LAYOUT.field("last_cpupid")

    def reset(toy: Toy) -> None:
        toy.raw.entries["flags"][[A, B]] |= np.uint64(field.mask)

    assert judge(reset).lost == {"last_cpupid": 2}


def test_a_loss_and_a_fault_together_are_wrong_and_the_loss_is_still_named() -> None:
    verdict = judge(swap_words, lose=flag("young"))
    assert verdict.kind == "wrong"
    assert verdict.lost == {"young": 1}


@pytest.mark.parametrize(
    "pairs",
    [
        [(A, B), (B, OTHER), (OTHER, 72), (A, 9), (A, B), (A, B)],
        [(A, B), (B, OTHER)],
        [(A, B), (B, A)],
        [(BIG_A, BIG_B), (BIG_B, 96)],
    ],
)
def test_pairs_done_one_after_the_other_are_followed_through_a_chain(pairs: list[tuple[int, int]]) -> None:
    for order, kind in (("sequential", "exact"), ("independent", "wrong")):
        toy = make()
        oracle = Oracle.before(toy, layout=LAYOUT)
        for a, b in pairs:
            toy.exchange(a, b)
        verdict = oracle.after(pairs, [0] * len(pairs), order)  # type: ignore[arg-type]
        assert verdict.kind == kind
        assert set(verdict.by_kind) <= {"pair-twice"}


@pytest.mark.parametrize(
    "pair", [(A, A), (A, 1000), (-1, A), (A, BIG_A), (A, 50), (BIG_A + 1, BIG_B + 1), (40, A), (A, 2**40)]
)
def test_a_pair_that_may_not_be_exchanged_must_be_refused(pair: tuple[int, int]) -> None:
    oracle = Oracle.before(make())
    assert oracle.after([pair], [-22]).kind == "exact"
    verdict = oracle.after([pair], [0])
    assert verdict.kind == "wrong"
    assert verdict.findings[0].what == "accepted"
    assert oracle.after([pair], [5]).findings[0].what == "status"


def test_poisoned_frames_must_be_refused() -> None:
    toy = make()
    toy.raw.entries["flags"][B] |= np.uint64(NATIVE["hwpoison"])
    oracle = Oracle.before(toy)
    toy.exchange(A, B)
    assert "accepted" in oracle.after([(A, B)], [0]).by_kind


def test_what_was_taken_down_cannot_be_changed() -> None:
    toy = make()
    oracle = Oracle.before(toy)
    copies = Oracle.before(toy, stamped=False).copies
    for value in (
        f.read(toy), oracle.state, oracle.state.ptes, oracle.state.places, oracle.stamps, copies,
        Finding("contents", 7, 1, 2, "frame 7 is empty"), Verdict("exact"),
    ):  # fmt: skip
        with pytest.raises(FrozenInstanceError):
            setattr(value, fields(value)[0].name, None)


def test_a_verdict_in_one_line() -> None:
    assert str(Verdict("exact")) == "exact: 0 frames compared in full, nothing lost"
    assert str(judge()) == f"exact: {judge().checked['frames']} frames compared in full, nothing lost"
    assert str(Verdict("loses", {"young": 1, "lru": 20})) == "loses: young (1 pages), lru (20 pages)"
    findings = [Finding("contents", 7, 1, 2, "frame 7 is empty"), Finding("lock", 8, 0, 1, "frame 8 is locked")]
    wrong = Verdict("wrong", {}, findings, 12)
    assert str(wrong) == "wrong: 12 findings; the first: frame 7 is empty"
    assert str(replace(wrong, lost={"young": 3})) == f"{wrong}; also loses young (3 pages)"
    assert str(Verdict("wrong")) == "wrong: 0 findings; the first: "
    assert [bool(Verdict(kind)) for kind in ("exact", "loses", "wrong")] == [True, False, False]


def test_findings_are_kept_up_to_a_limit_of_each_kind_and_in_all_and_counted_beyond() -> None:
    findings = Collector(cap=5, cap_per_kind=3)
    findings.add_where(
        "a",
        np.array([True, False, True, True, True]),
        np.arange(5),
        1,
        np.arange(5) + 10,
        lambda p, w, g: f"{p} {w} {g}",
    )
    findings.add("b", 7, 0, 1, "b")
    findings.add_where("b", np.zeros(2, bool), 1, 1, 1, lambda *_: "never")
    findings.add_where("c", np.ones(2, bool), [8, 9], 0, 1, lambda p, *_: f"c {p}")
    assert [(finding.what, finding.pfn, finding.got, str(finding)) for finding in findings.kept] == [
        ("a", 0, 10, "0 1 10"), ("a", 2, 12, "2 1 12"), ("a", 3, 13, "3 1 13"), ("b", 7, 1, "b"), ("c", 8, 1, "c 8")
    ]  # fmt: skip
    assert (findings.by_kind, findings.total) == ({"a": 4, "b": 1, "c": 2}, 7)
    again = Collector(known=findings.reported)
    again.add("b", 7, 0, 1, "known")
    again.add("b", 7, 0, 2, "another value")
    again.add_where("a", np.ones(5, bool), np.arange(5), 1, np.arange(5) + 10, lambda p, *_: f"a {p}")
    assert [str(finding) for finding in again.kept] == ["another value", "a 1"]


def test_of_any_number_of_findings_all_are_counted() -> None:
    findings = Collector()
    for total in (100_001, 200_002):
        findings.add_where("a", np.ones(100_001, bool), np.arange(100_001), 1, 0, lambda p, *_: f"a {p}")
        assert (findings.by_kind, findings.total) == ({"a": total}, total)
    assert len(findings.kept) == findings.cap_per_kind


def test_what_was_held_before_is_not_held_against_the_exchange() -> None:
    toy = make()
    toy.raw.pins[0, 0], toy.raw.pin_tops[0] = REFUSED[0] + 1 | 1 << 32 | 1 << 63, 1
    toy.raw.entries["refs"][REFUSED[1]] += 1
    locked(toy)
    toy.raw.entries["owner"][A], toy.raw.entries["owner"][OTHER] = 0, 0
    oracle = Oracle.before(toy)
    verdict = oracle.after([REFUSED], [-16])
    assert verdict.kind == "exact"
    assert {finding.what for finding in verdict.unsound_before} == {"pin", "references", "lock"}
    assert "; in use or not sound before, and no fault of it: frame " in str(verdict)
    assert {finding.what for finding in check(toy)} == {"pin", "references", "lock"}
    assert {finding.what for finding in check(toy, at_rest=False)} == {"references"}
    toy.raw.pins[0, 0] = 0
    assert oracle.after([REFUSED], [-16]).kind == "wrong"


def test_a_frame_that_a_mover_keeps_can_be_allowed() -> None:
    toy = make()
    oracle = Oracle.before(toy)
    before = toy.raw.entries["state"].copy()
    frame_taken(toy)
    taken = np.flatnonzero(before != toy.raw.entries["state"])
    assert oracle.after(np.empty((0, 2), np.int64), []).kind == "wrong"
    assert oracle.after(np.empty((0, 2), np.int64), [], kept=taken).kind == "exact"


@pytest.mark.parametrize("stamped", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_real_contents_are_kept_and_compared_in_full(stamped: bool, threads: int) -> None:
    toy = make()
    toy.raw.frames[:] = np.random.default_rng(1).integers(0, 2**63, toy.raw.frames.shape)
    contents = toy.raw.frames.copy()
    stamps: Stamps | bool = stamp(toy, [A, BIG_A], seed=3, threads=threads) if stamped else False
    assert (contents == toy.raw.frames).all(axis=1).sum() == len(contents) - (9 if stamped else 0)
    oracle = Oracle.before(toy, stamped=stamps, threads=threads)
    toy.exchange(A, B)
    assert oracle.after([(A, B)], [0]).kind == "exact"
    toy.raw.frames[[A, B], 15] = toy.raw.frames[[B, A], 15]
    verdict = oracle.after([(A, B)], [0])
    assert verdict.by_kind == {"contents": 2}
    assert verdict.checked["frames"] == len(np.flatnonzero(np.isin(toy.raw.entries["state"], (f.USED, f.TAIL))))


def test_stamps_follow_an_exchange_without_being_written_again() -> None:
    toy = make()
    oracle = Oracle.before(toy)
    toy.exchange(A, B)
    oracle = Oracle.before(toy, stamped=oracle.stamps_after([(A, B)], [0]))
    toy.exchange(B, A)
    assert oracle.after([(B, A)], [0]).kind == "exact"
    contents_back(toy)
    assert oracle.after([(B, A)], [0]).kind == "wrong"


def test_many_findings_are_counted_and_few_are_made() -> None:
    def fault(toy: Toy) -> None:
        toy.raw.frames[:] = 0

    verdict = judge(fault)
    assert verdict.by_kind["contents"] + verdict.by_kind["refused"] == verdict.checked["frames"]
    assert len(verdict.findings) <= 100
    assert "of no page" in str(verdict)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"magic": b"PGXARENb"}, "magic is b'PGXARENb'"),
        ({"version": 1}, "version is 1, the oracle reads 2"),
        ({"ready": 0}, "ready is 0: the arena is not complete; who makes it is still at work, or died"),
        ({"slot_size": 25152}, "slot_size is 25152"),
        ({"saved": 255}, "saved is 255, the oracle reads 256"),
        ({"nslots": 17}, "17 slots; from 18 to 63"),
        ({"text_size": 1 << 31}, "text at"),
        ({"entry_size": 32}, "entry_size is 32"),
        ({"off_frames": 1 << 40}, "frames at 1099511627776"),
        ({"off_entries": 0}, "entries at 0"),
        ({"page_shift": 2**32 - 1}, "page size 128 is not 2"),
        ({"page_shift": 6}, "page size 128 is not 2"),
        ({"page_size": 127}, "page size 127 is not 2"),
        ({"page_size": 4, "page_shift": 2}, "page size 4 is not 2"),
    ],
)
def test_bytes_that_are_no_arena_are_refused(changes: dict[str, object], sentence: str) -> None:
    toy = make()
    for name, value in changes.items():
        toy.memory[: f.HEADER.itemsize].view(f.HEADER)[0][name] = value
    with pytest.raises(ArenaFormatError, match=f"^arena header: {sentence}"):
        check(toy)


def test_what_ends_before_the_header_does_is_no_arena() -> None:
    toy = make()
    toy.memory = toy.memory[: f.HEADER.itemsize - 8]
    with pytest.raises(ArenaFormatError, match=f"has {f.HEADER.itemsize - 8} bytes"):
        check(toy)


def test_stamps_of_an_arena_of_another_size_are_refused() -> None:
    toy = make()
    with pytest.raises(ValueError, match=f"arena with 7 frames; this one has {toy.raw.nframes}"):
        Oracle.before(toy, stamped=Stamps(1, np.full(7, -1, np.int64)))


def test_pairs_and_statuses_of_another_shape_are_refused() -> None:
    oracle = Oracle.before(make())
    with pytest.raises(ValueError, match=r"pairs must be \(n, 2\)"):
        oracle.after([1, 2, 3], [0])
    with pytest.raises(ValueError, match="order must be"):
        oracle.after([(1, 2)], [-1], "random")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not the first frame"):
        stamp(make(), [BIG_A + 1])
    with pytest.raises(IndexError):
        stamp(make(), [128])
