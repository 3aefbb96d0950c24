"""Two recorded machines, Linux 6.1 and 6.12: a snapshot has every page of them, with what their kernels said of it."""

import numpy as np
import pytest

from pagexchange.pages.folios import ANON, FILE, SHMEM, folios
from pagexchange.pages.snapshot import take
from pagexchange.pages.snapshot.proc import kpageflags
from tests.core.zoo import VERSIONS, Zoo, lay_out

PAGES = {"6.1": 21_374, "6.12": 20_954}
ORDERS = {  # counted in the raw files; two folios of each machine are mapped in part
    "6.1": {"anon": {0: 2630, 9: 12}, "file": {0: 6092}, "shmem": {0: 2412, 9: 8}},
    "6.12": {"anon": {0: 1883, 4: 32, 9: 12}, "file": {0: 1495, 4: 256}, "shmem": {0: 2728, 9: 8}},
}
HOT = {"6.1": 6303, "6.12": 28}


@pytest.fixture(scope="module", params=VERSIONS)
def zoo(request, tmp_path_factory):
    return request.param, Zoo(lay_out(request.param, tmp_path_factory.mktemp("zoo")))


@pytest.fixture(scope="module")
def snapshot(zoo):
    return take(proc=zoo[1].root / "proc")


def test_every_page_of_a_user_is_in_the_snapshot(zoo, snapshot):
    version, raw = zoo
    assert len(snapshot) == PAGES[version] == raw.user.sum()
    np.testing.assert_array_equal(snapshot.pfn, np.flatnonzero(raw.user))
    np.testing.assert_array_equal(snapshot.count, raw.counts[raw.user])
    assert snapshot.is_page().all()


def test_folios_by_order_and_kind(zoo, snapshot):
    version, raw = zoo
    assert {kind: raw.orders(kind=kind) for kind in ("anon", "file", "shmem")} == ORDERS[version]
    made = folios(snapshot)
    assert made.counts["broken_folios"] == 0
    assert made.counts["split_folios"] == 2
    for kind, number in (("anon", ANON), ("file", FILE), ("shmem", SHMEM)):
        orders, often = np.unique(made.order[made.kind == number], return_counts=True)
        expected = dict(ORDERS[version][kind])
        if kind == "anon":
            expected = expected | {0: expected[0] + 2 * 512, 9: expected[9] - 2}
        assert dict(zip(orders.tolist(), often.tolist(), strict=True)) == expected


def test_a_tail_has_the_state_of_its_folio_and_its_own_of_what_is_a_pages(zoo, snapshot):
    version, raw = zoo
    head = raw.words[raw.head[raw.user]]
    tail = raw.bit(16)[raw.user]
    differ = snapshot.flags ^ head
    assert tail.sum() == {"6.1": 20 * 511, "6.12": 20 * 511 + 288 * 15}[version]
    exclusive = np.uint64(1 << 34)  # of an anonymous page, before 6.10
    assert set(np.unique(differ[tail] & ~exclusive).tolist()) == {1 << 15 | 1 << 16}
    assert ((differ[tail] & exclusive) != 0).sum() == {"6.1": 512, "6.12": 0}[version]
    assert not differ[~tail].any()
    if version == "6.12":  # since 6.10 Linux shows the folio's flags of its own accord
        np.testing.assert_array_equal(snapshot.flags, raw.words[raw.user])


def test_heat_is_that_of_the_folio(zoo, snapshot):
    version, raw = zoo
    active = raw.bit(6)[raw.head[raw.user]]
    assert active.sum() == HOT[version]
    np.testing.assert_array_equal(snapshot.heat() >= 4, active)
    # with the multi-generational LRU the flag is on pages alone that are on no list yet: it says nothing
    assert (active & raw.bit(5)[raw.head][raw.user]).sum() == {"6.1": 6303, "6.12": 0}[version]
    assert snapshot.facts["lru_gen"] == (version == "6.12")
    assert snapshot.summary()["hot"] == {"6.1": 6303, "6.12": None}[version]
    said = [note for note in snapshot.notes if "multi-generational LRU is on" in note]
    assert len(said) == (version == "6.12")
    assert all("Of 15225 pages Linux says that they are young, and not which they are." in note for note in said)


def test_every_mapping_of_a_page_is_in_the_snapshot_and_the_others_are_said(zoo, snapshot):
    _, raw = zoo
    frames = np.array([frame for _, _, frame in raw.mapped])
    assert len(frames) == 40_042
    assert snapshot.facts["mappings"] == {"not_a_page": 7, "changed": 0} == {
        "not_a_page": (~raw.user[frames]).sum(), "changed": 0,
    }  # fmt: skip
    assert snapshot.notes[0].startswith("7 mappings of a frame that is no page of a user")
    kept = np.bincount(frames[raw.user[frames]], minlength=len(raw.user))
    np.testing.assert_array_equal(snapshot.mapcount(), kept[raw.user])
    assert snapshot.nspaces == len({pid for pid, _, _ in raw.mapped}) == 6


def test_every_frame_that_is_not_taken_has_a_reason(zoo, snapshot):
    version, raw = zoo
    uses, others = snapshot.facts["uses"], snapshot.facts["others"]
    assert uses["looked_at"] == len(raw.words) == 1 << 19
    assert uses["pages"] + uses["free"] + sum(others.values()) == len(raw.words)
    assert uses["free"] == (raw.bit(10)).sum()
    assert others == {
        "6.1": {
            "no_flags": 10_417, "slab": 5_182, "reserved": 16_819, "page_tables": 165, "zero_page": 1,
            "large_of_linux": 536, "on_no_list": 5,
        },
        "6.12": {
            "no_flags": 16_305, "slab": 2_452, "reserved": 18_140, "page_tables": 257, "zero_page": 1,
            "large_of_linux": 548,
        },
    }[version]  # fmt: skip
    assert others["slab"] == raw.bit(7).sum()
    assert others["no_flags"] == (raw.words == 0).sum()


def test_words_are_completed_stretch_by_stretch_as_at_once(zoo):
    _, raw = zoo
    at_once = kpageflags.with_heads(raw.words)
    part: list[np.ndarray] = []
    for first in range(0, len(raw.words), 4000):  # cuts many folios
        before = int(part[-1][-1]) if part else 0
        part.append(kpageflags.with_heads(raw.words[first : first + 4000], before))
    np.testing.assert_array_equal(np.concatenate(part), at_once)
