"""The snapshot file gives back what was saved, and refuses everything else by saying what is wrong and where."""

import hashlib
import json
import os
import pickle
import random
import struct
import threading
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest

from pagexchange.errors import SnapshotError
from pagexchange.model import container
from pagexchange.model.container import MAX_HEADER
from pagexchange.pages.snapshot import Snapshot
from pagexchange.pages.snapshot import format as file_format
from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.snapshot.snapshot import ARRAYS, MAX_FRAMES, MAX_MAPPINGS
from pagexchange_native.arena import backing

PREFIX = 48


def small(content=False, n=200):
    rng = np.random.default_rng(1)
    m = 2 * n
    words = np.array([kpageflags.mask("LRU", "UPTODATE"), kpageflags.mask("ANON", "SWAPBACKED", "MMAP")])
    return Snapshot(
        pfn=np.cumsum(rng.integers(1, 99, n)).astype(np.uint64),
        flags=rng.choice(words, n),
        count=rng.integers(0, 9, n).astype(np.uint32),
        file=rng.integers(-1, min(n, 5), n).astype(np.int32),
        index=rng.integers(0, 1 << 40, n).astype(np.uint64),
        map_space=rng.integers(0, min(m, 3), m).astype(np.uint32),
        map_vpn=rng.integers(0, 1 << 50, m).astype(np.uint64),
        map_frame=rng.integers(0, n, m).astype(np.uint32),
        map_bits=rng.integers(0, 16, m).astype(np.uint8),
        facts={"page_size": 4096, "kernel": "6.18"},
        content=rng.integers(0, 256, (n, 4096)).astype(np.uint8) if content else None,
        content_known=rng.random(n) < 0.5 if content else None,
    )


@pytest.fixture
def data():
    return file_format.dumps(small())


def sections(data):
    """Where each section begins, and the end of the file."""
    length = struct.unpack_from("<I", data, 12)[0]
    at = [PREFIX + length]
    for section in json.loads(data[PREFIX : PREFIX + length])["sections"]:
        at.append(at[-1] + section["stored"])
    return at


def rewritten(data, change):
    """The file with its header changed and the header's digest made right."""
    length = struct.unpack_from("<I", data, 12)[0]
    header = json.loads(data[PREFIX : PREFIX + length])
    body = data[PREFIX + length :]
    changed = change(header, body)
    body = changed if isinstance(changed, bytes) else body
    raw = json.dumps(header).encode()
    return data[:12] + struct.pack("<I", len(raw)) + hashlib.sha256(raw).digest() + raw + body


@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("n", [0, 1, 200])
def test_a_saved_snapshot_comes_back_bit_by_bit(tmp_path, content, n):
    before = small(content=content, n=max(n, 1))
    if n == 0:
        before = before.select(np.zeros(0, np.int64))
    file_format.save(before, tmp_path / "s.pgxsnap")
    after = file_format.load(tmp_path / "s.pgxsnap")
    for name in ARRAYS:
        old, new = getattr(before, name), getattr(after, name)
        if old is None:
            assert new is None
        else:
            assert new.dtype == np.dtype(ARRAYS[name])
            np.testing.assert_array_equal(old, new)
    assert after.facts == before.facts


def test_a_file_cut_at_any_boundary_is_refused_as_cut_short(data):
    cuts = {0, 7, 8, 12, 47, 48, 49, *(at + d for at in sections(data) for d in (-1, 0, 1))}
    for cut in sorted(cut for cut in cuts if 0 < cut < len(data)):
        with pytest.raises(SnapshotError, match="cut short"):
            file_format.loads(data[:cut], "s")


def test_a_flipped_bit_anywhere_is_refused(data):
    chance = random.Random(3)
    for at in {*range(PREFIX), *(chance.randrange(len(data)) for _ in range(400))}:
        torn = bytearray(data)
        torn[at] ^= 1 << chance.randrange(8)
        with pytest.raises(SnapshotError, match=r"^s: "):
            file_format.loads(bytes(torn), "s")


def test_a_damaged_section_is_named_with_its_bytes(data):
    at = sections(data)
    torn = bytearray(data)
    torn[at[1]] ^= 1
    with pytest.raises(SnapshotError, match=rf"section flags, bytes {at[1]} to {at[2]}, is damaged"):
        file_format.loads(bytes(torn), "s")


def test_random_bytes_after_a_good_beginning_are_refused(data):
    chance = random.Random(4)
    for keep in (0, 8, 12, 16, 48, sections(data)[0], len(data)):
        with pytest.raises(SnapshotError):
            file_format.loads(data[:keep] + chance.randbytes(500), "s")


def test_another_version_is_refused_before_anything_else_is_read(data):
    newer = data[:8] + struct.pack("<I", file_format.VERSION + 1) + data[12:]
    with pytest.raises(
        SnapshotError, match="version 2; this pagexchange reads version 1: a newer pagexchange wrote it"
    ):
        file_format.loads(newer[:60], "s")
    with pytest.raises(SnapshotError, match="version 0"):
        file_format.loads(data[:8] + bytes(4) + data[12:], "s")


@pytest.mark.parametrize("foreign", [b"", b"PK\3\4 a zip file with some more bytes in it, so that it is long enough"])
def test_a_foreign_file_is_refused_by_its_first_bytes(tmp_path, foreign):
    (tmp_path / "x").write_bytes(foreign)
    with pytest.raises(SnapshotError, match="not a pagexchange snapshot"):
        file_format.load(tmp_path / "x")


def test_a_missing_file_and_a_folder_are_refused_with_the_reason(tmp_path):
    with pytest.raises(SnapshotError, match="No such file"):
        file_format.load(tmp_path / "none")
    with pytest.raises(SnapshotError, match="Is a directory"):
        file_format.load(tmp_path)


def test_a_pickle_is_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    (tmp_path / "x").write_bytes(file_format.MAGIC + pickle.dumps(Trap()) + bytes(100))
    with pytest.raises(SnapshotError):
        file_format.load(tmp_path / "x")


@pytest.mark.parametrize(
    "change",
    [
        lambda h, b: h["sections"][0].update(shape=[1 << 60]),
        lambda h, b: h["sections"][0].update(shape=[1 << 26]),
        lambda h, b: h["sections"][0].update(shape=[-1]),
        lambda h, b: h["sections"][0].update(shape=[1.5]),
        lambda h, b: h["sections"][0].update(shape=[True]),
        lambda h, b: h["sections"][0].update(shape=[[2]]),
        lambda h, b: h["sections"][0].update(shape="2"),
        lambda h, b: h["sections"][0].update(shape=[]),
        lambda h, b: h["sections"][0].update(shape=[199]),
        lambda h, b: h["sections"][0].update(shape=[201]),
        lambda h, b: h["sections"][0].update(stored=1 << 62),
        lambda h, b: h["sections"][0].update(stored=-5),
        lambda h, b: h["sections"][0].update(dtype="|O"),
        lambda h, b: h["sections"][0].update(name="other"),
        lambda h, b: h["sections"][0].update(name=["pfn"]),
        lambda h, b: h["sections"][1].update(name="pfn"),
        lambda h, b: h["sections"][0].update(sha256=None),
        lambda h, b: h["sections"].pop(),
        lambda h, b: h["sections"].insert(0, 7),
        lambda h, b: h.update(sections={}),
        lambda h, b: h.update(facts=[]),
        lambda h, b: h.update(facts={"page_size": 100}),
        lambda h, b: h.update(facts={"page_size": "many"}),
        lambda h, b: h.update(facts={"page_size": float("inf")}),
        lambda h, b: h.pop("facts"),
        lambda h, b: b + b"x",
    ],
)
def test_a_header_that_claims_what_cannot_be_is_refused(data, change):
    with pytest.raises(SnapshotError, match=r"^s: "):
        file_format.loads(rewritten(data, change), "s")


@pytest.mark.parametrize("rows", [1 << 60, 1 << 26, 1 << 22])
def test_more_than_the_stored_bytes_can_hold_is_not_even_unpacked(data, monkeypatch, rows):
    monkeypatch.setattr(file_format, "_unpack", lambda *_: pytest.fail("unpacked"))
    with pytest.raises(SnapshotError, match="not believed"):
        file_format.loads(rewritten(data, lambda h, b: h["sections"][0].update(shape=[rows])), "s")


@pytest.mark.parametrize(
    ("name", "shape", "stored", "believed"),
    [
        ("flags", [MAX_FRAMES], 1 << 40, True),
        ("flags", [MAX_FRAMES + 1], 1 << 40, False),
        ("map_vpn", [MAX_MAPPINGS], 1 << 40, True),
        ("map_vpn", [MAX_MAPPINGS + 1], 1 << 40, False),
        ("content", [8, 1 << 21], 1 << 40, True),
        ("content", [8, (1 << 21) + 1], 1 << 40, False),
        ("content", [file_format.MAX_CONTENT >> 20, 1 << 20], 1 << 40, True),
        ("content", [(file_format.MAX_CONTENT >> 20) + 1, 1 << 20], 1 << 40, False),
        ("flags", [file_format.MAX_RATIO], 8, True),
        ("flags", [file_format.MAX_RATIO + 1], 8, False),
    ],
)
def test_a_section_is_believed_up_to_each_of_its_limits(name, shape, stored, believed):
    section = {"name": name, "dtype": ARRAYS[name], "shape": shape, "stored": stored, "sha256": ""}
    if believed:
        assert file_format._section(section, {}, "s") == (name, tuple(shape), stored)
    else:
        with pytest.raises(
            SnapshotError, match=f"section {name} claims .* bytes from {stored} stored ones: not believed"
        ):
            file_format._section(section, {}, "s")


def test_what_memory_has_no_room_for_is_refused_before_a_section_is_read(data, monkeypatch):
    arrays = 200 * (8 + 8 + 4 + 4 + 8) + 400 * (4 + 8 + 4 + 1)
    largest = max(np.diff(sections(data)))
    monkeypatch.setattr(backing, "memory_available", lambda: arrays + largest)
    assert len(file_format.loads(data, "s")) == 200
    monkeypatch.setattr(backing, "memory_available", lambda: arrays + largest - 1)
    monkeypatch.setattr(file_format, "_unpack", lambda *_: pytest.fail("unpacked"))
    monkeypatch.setattr(hashlib, "sha256", counting := Counting(hashlib.sha256))
    with pytest.raises(SnapshotError, match=r"^s: cannot be unpacked: this takes .* want a smaller snapshot"):
        file_format.loads(data, "s")
    assert counting.calls == 1  # of the header


class Counting:
    def __init__(self, function):
        self.function, self.calls = function, 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def test_unpacking_takes_no_more_than_the_arrays_and_the_largest_section():
    n, rng = 1 << 18, np.random.default_rng(1)
    none = np.zeros(0)
    before = Snapshot(
        pfn=np.cumsum(rng.integers(1, 1 << 30, n)).astype(np.uint64), flags=rng.integers(0, 99, n).astype(np.uint64),
        count=np.zeros(n, np.uint32), file=np.full(n, -1, np.int32), index=rng.integers(0, 99, n).astype(np.uint64),
        map_space=none.astype(np.uint32), map_vpn=none.astype(np.uint64), map_frame=none.astype(np.uint32),
        map_bits=none.astype(np.uint8),
    )  # fmt: skip
    data = file_format.dumps(before)
    tracemalloc.start()
    try:
        after = file_format.loads(data, "s")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    for name in ("pfn", "flags", "index"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    assert peak < 32 * n + max(np.diff(sections(data))) + (8 << 20)


@pytest.mark.parametrize("piece", [1, 7, 64, 200, 1600])
def test_a_snapshot_comes_back_however_large_the_pieces_are_that_it_is_read_in(monkeypatch, piece):
    before = small(content=piece > 7, n=100)
    data = file_format.dumps(before)
    monkeypatch.setattr(container, "PIECE", piece)
    after = file_format.loads(data, "s")
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    for more in (b"x", bytes(3000)):
        with pytest.raises(SnapshotError, match="section flags unpacks to another size"):
            file_format.loads(rewritten(data, exchanged("flags", lambda blob, more=more: blob + more)), "s")
    with pytest.raises(SnapshotError, match="section flags unpacks to another size"):
        file_format.loads(rewritten(data, exchanged("flags", lambda blob: blob[:-1])), "s")


def test_a_pipe_is_read_once_and_what_is_wrong_with_it_is_said(tmp_path, data):
    def load(stream_of):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        writer = threading.Thread(target=lambda: broken_pipes(path, stream_of))
        writer.start()
        try:
            return file_format.load(path)
        finally:
            writer.join()
            path.unlink()

    def broken_pipes(path, stream_of):
        with suppress(BrokenPipeError), path.open("wb") as stream:
            stream.write(stream_of)

    assert load(data).facts == small().facts
    with pytest.raises(SnapshotError, match="more bytes follow"):
        load(data + b"x")
    with pytest.raises(SnapshotError, match="cut short in section map_bits"):
        load(data[:-1])
    with pytest.raises(SnapshotError, match=r"cut short in section map_bits: .* of 16777216 bytes"):
        load(rewritten(data, lambda h, b: h["sections"][-1].update(stored=1 << 24)))


def test_all_that_the_header_claims_is_checked_before_anything_is_unpacked(data, monkeypatch):
    monkeypatch.setattr(file_format, "_unpack", lambda *_: pytest.fail("unpacked"))
    for change in (
        lambda h, b: h["sections"][-1].update(stored=1 << 60),
        lambda h, b: h["sections"][-1].update(name="other"),
        lambda h, b: h["facts"].update(notes=5),
        lambda h, b: b[: -h["sections"].pop()["stored"]],
        lambda h, b: b + b"x",
        lambda h, b: b[:-1],
    ):
        with pytest.raises(SnapshotError, match=r"^s: "):
            file_format.loads(rewritten(data, change), "s")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"facts": {}, "sections": [], "sections": []}',
        b'{"facts": {"notes": [], "notes": []}, "sections": []}',
        '{"facts": {}, "sections": []}'.encode("utf-16"),
        b'{"facts": {}, "sections": [}',
        b'{"facts": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b'}, "sections": []}',
        b"\xff",
    ],
    ids=["sections twice", "a fact twice", "utf-16", "no json", "deep", "no utf-8"],
)
def test_a_header_that_is_not_the_json_of_a_snapshot_is_refused(data, raw):
    head = data[:12] + struct.pack("<I", len(raw)) + hashlib.sha256(raw).digest() + raw
    with pytest.raises(SnapshotError, match=r"^s: the header is not the JSON of a snapshot"):
        file_format.loads(head, "s")


def test_a_huge_header_is_not_read(data):
    with pytest.raises(SnapshotError, match="claims 4294967295 bytes"):
        file_format.loads(data[:12] + b"\xff" * 4 + data[16:], "s")


def test_a_section_that_unpacks_to_more_than_it_says_is_stopped(data):
    def bomb(header, body):
        blob = zlib.compress(bytes(1 << 24))
        first = header["sections"][0]
        rest = body[first["stored"] :]
        first.update(stored=len(blob), sha256=hashlib.sha256(blob).hexdigest())
        return blob + rest

    with pytest.raises(SnapshotError, match="unpacks to another size"):
        file_format.loads(rewritten(data, bomb), "s")


def exchanged(name, make):
    """A change of a file: other bytes for a section, with their length and digest."""

    def change(header, body):
        at = 0
        for section in header["sections"]:
            end = at + section["stored"]
            if section["name"] == name:
                blob = make(body[at:end])
                section.update(stored=len(blob), sha256=hashlib.sha256(blob).hexdigest())
                return body[:at] + blob + body[end:]
            at = end
        raise LookupError(name)

    return change


def test_a_section_that_was_never_packed_is_refused(data):
    spoilt = rewritten(data, exchanged("flags", lambda blob: b"no" + blob))
    with pytest.raises(SnapshotError, match=r"^s: section flags cannot be unpacked: "):
        file_format.loads(spoilt, "s")


@pytest.mark.parametrize("value", [2, 255])
def test_what_is_neither_true_nor_false_is_refused(value):
    data = file_format.dumps(small(content=True))
    known = file_format.loads(data, "s").content_known
    assert known is not None
    wrong = bytes([*known.view(np.uint8)[:-1], value])
    with pytest.raises(SnapshotError, match="section content_known holds values that are neither true nor false"):
        file_format.loads(rewritten(data, exchanged("content_known", lambda _: zlib.compress(wrong))), "s")


def test_a_file_without_one_of_its_sections_says_which(data):
    def change(header, body):
        return body[: -header["sections"].pop()["stored"]]

    with pytest.raises(SnapshotError, match=r"^s: sections missing: map_bits$"):
        file_format.loads(rewritten(data, change), "s")


def test_more_names_than_a_header_holds_are_refused_when_written(tmp_path):
    snapshot = small()
    snapshot.facts["file_names"] = ["x" * (MAX_HEADER // snapshot.nfiles)] * snapshot.nfiles
    with pytest.raises(SnapshotError, match=f"at most {MAX_HEADER}: record without names"):
        file_format.save(snapshot, tmp_path / "s")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("pfn", 1 << 60, "not ascending"),
        ("map_frame", 200, "a mapping of a frame that is not there"),
        ("map_space", 1 << 31, "more spaces"),
        ("file", 1 << 30, "more files"),
        ("file", -2, "more files"),
        ("index", 1 << 63, "out of range"),
        ("map_vpn", 1 << 63, "out of range"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path, name, value, why):
    snapshot = small()
    getattr(snapshot, name)[0] = value
    with pytest.raises(SnapshotError, match=why):
        file_format.loads(file_format.dumps(snapshot), "s")
    with pytest.raises(SnapshotError, match=why):
        file_format.save(snapshot, tmp_path / "s")
    assert not list(tmp_path.iterdir())


def test_only_its_owner_may_read_a_snapshot_with_contents_or_names(tmp_path):
    file_format.save(small(content=True), tmp_path / "contents")
    named = small()
    named.facts["file_names"] = ["a"] * named.nfiles
    file_format.save(named, tmp_path / "names")
    file_format.save(small(), tmp_path / "plain")
    modes = {path.name: path.stat().st_mode & 0o077 for path in tmp_path.iterdir()}
    assert modes["contents"] == modes["names"] == 0
    assert modes["plain"] & 0o044


def test_a_selection_keeps_what_it_can_and_numbers_anew():
    snapshot = small()
    snapshot.facts["file_names"] = [f"f{k}" for k in range(snapshot.nfiles)]
    snapshot.facts["space_names"] = [f"s{k}" for k in range(snapshot.nspaces)]
    rows = np.flatnonzero(np.isin(snapshot.file, [-1, 2, 4]))
    part = snapshot.select(rows, spaces=[1])
    part.check()
    assert part.facts["space_names"] == ["s1"]
    assert part.facts["file_names"] == ["f2", "f4"]
    np.testing.assert_array_equal(
        part.file, np.select([snapshot.file[rows] == 2, snapshot.file[rows] == 4], [0, 1], -1)
    )
    keep = (snapshot.map_space == 1) & np.isin(snapshot.map_frame, rows)
    np.testing.assert_array_equal(part.pfn[part.map_frame], snapshot.pfn[snapshot.map_frame[keep]])
    assert set(part.map_space.tolist()) == {0}


def test_the_packaged_snapshot_is_sound_small_and_anonymous():
    snapshot = file_format.packaged()
    snapshot.check()
    text = json.dumps(snapshot.facts)
    assert "/" not in text.replace("/proc", "")
    assert snapshot.content is None
    assert not {"file_names", "space_names"} & set(snapshot.facts)
    counts = snapshot.summary()
    assert 30_000 <= counts["pages"] <= 60_000
    for kind in ("anonymous", "file", "shared_memory", "mapped_more_than_once", "in_large_folios", "hot"):
        assert counts[kind] > 500, kind


def test_a_frame_number_from_two_to_the_52_on_is_refused():
    snapshot = small()
    snapshot.pfn[-1] = (1 << 52) - 1
    snapshot.check()
    for number in (1 << 52, (1 << 52) + 1):
        snapshot.pfn[-1] = number
        with pytest.raises(SnapshotError, match="pfn: a frame number is out of range"):
            snapshot.check()


def test_a_file_without_contents_or_names_has_the_mode_of_any_new_file(tmp_path):
    before = os.umask(0o022)
    try:
        file_format.save(small(), tmp_path / "s.pgxsnap")
    finally:
        os.umask(before)
    assert (tmp_path / "s.pgxsnap").stat().st_mode & 0o777 == 0o644


def test_the_summary_counts_each_kind_of_page():
    mask = kpageflags.mask
    cache, anon = mask("LRU", "UPTODATE"), mask("ANON", "SWAPBACKED", "MMAP", "LRU")
    words = [
        cache | mask("REFERENCED"),  # not quite hot
        anon,
        anon | mask("ACTIVE", "IDLE"),  # just hot
        anon | mask("ACTIVE", "REFERENCED"),  # hot
        mask("SWAPBACKED", "LRU"),  # shared memory
        cache | mask("COMPOUND_HEAD"),  # a folio of two frames, of a file
        cache | mask("COMPOUND_TAIL"),
        mask("SLAB", "ACTIVE"),  # no page: it counts as a frame only
        mask("SLAB"),
    ]
    n = len(words)
    summary = Snapshot(
        pfn=np.arange(8, 8 + n, dtype=np.uint64), flags=np.array(words, dtype=np.uint64),
        count=np.array([0, 1, 2, 3, 0, 0, 0, 0, 1], dtype=np.uint32),
        file=np.array([0, -1, -1, -1, -1, 1, 1, -1, -1], dtype=np.int32), index=np.zeros(n, dtype=np.uint64),
        map_space=np.array([0, 0, 1, 2, 2], dtype=np.uint32), map_vpn=np.arange(5, dtype=np.uint64),
        map_frame=np.array([1, 2, 2, 3, 5], dtype=np.uint32), map_bits=np.zeros(5, dtype=np.uint8),
        facts={"kernel": "6"},
    ).summary()  # fmt: skip
    commonest = summary.pop("commonest")
    assert summary == {
        "frames": 9, "pages": 7, "anonymous": 3, "shared_memory": 1, "file": 3, "identified": 3, "mapped": 4,
        "mapped_more_than_once": 1, "mapped_elsewhere": 2, "mappings": 5, "large_folios": 1, "in_large_folios": 2,
        "hot": 2, "files": 2, "spaces": 3, "flag_words": 9, "facts": {"kernel": "6"},
    }  # fmt: skip
    assert set(commonest) == {kpageflags.describe(int(word)) for word in words}
    assert set(commonest.values()) == {1}


def test_the_ten_commonest_flag_words_come_first_in_the_summary():
    often = [3, 9, 1, 12, 5, 5, 2, 7, 1, 4, 6, 8]
    words = np.repeat(np.array([1 << bit for bit in range(len(often))], dtype=np.uint64), often)
    n, none = len(words), np.zeros(0, dtype=np.uint32)
    summary = Snapshot(
        pfn=np.arange(n, dtype=np.uint64), flags=words, count=np.zeros(n, dtype=np.uint32),
        file=np.full(n, -1, dtype=np.int32), index=np.zeros(n, dtype=np.uint64), map_space=none,
        map_vpn=none.astype(np.uint64), map_frame=none, map_bits=none.astype(np.uint8),
    ).summary()  # fmt: skip
    assert list(summary["commonest"].values()) == [12, 9, 8, 7, 6, 5, 5, 4, 3, 2]
    assert summary["flag_words"] == len(often)
    assert (summary["files"], summary["spaces"], summary["mappings"]) == (0, 0, 0)
