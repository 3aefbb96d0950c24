"""Views of an arena: no copies, never of memory that is gone, and the same bytes wherever the region is mapped."""

import gc
import mmap
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange_native.arena.region import ENTRY, Region
from pagexchange_native.errors import ArenaError
from tests.native.arena_state import open_files, run_python

CREATE = """
import gc
from pagexchange_native.arena.region import Region
from tests.native.conftest import LAYOUT
arena = Region.create(nodes=[("fast", 64)], layout=LAYOUT)
"""


def test_each_view_is_the_memory_itself(small_region: Region) -> None:
    region = small_region
    memory, frames, entries, flags = region.memory, region.frames, region.entries, region.flags
    assert (str(memory.dtype), memory.shape) == ("uint8", (region.total_bytes,))
    assert (str(frames.dtype), frames.shape) == ("uint64", (128, 512))
    assert entries.dtype == ENTRY
    assert (entries.shape, entries.strides) == ((128,), (64,))
    assert (str(flags.dtype), flags.shape, flags.strides) == ("uint64", (128,), (64,))
    for view in (frames, entries, flags):
        assert np.shares_memory(view, memory)
        assert view.flags.writeable
    assert not np.shares_memory(frames, entries)
    place = region.geometry()
    frames[127, 511] = 0x0102030405060708
    assert bytes(memory[-8:]) == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    memory[place["frames"][0]] = 9
    assert region.frames[0, 0] == 9
    flags[5] = 0xF0
    assert entries["flags"][5] == memory[place["entries"][0] + 5 * 64] == 0xF0
    assert len(memoryview(region)) == region.total_bytes


def test_nodes_and_geometry_are_answers_not_handles(small_region: Region) -> None:
    small_region.nodes[0]["free"] = 1
    small_region.geometry().clear()
    assert small_region.nodes[0]["free"] == 64
    assert small_region.geometry()["frames"][1] == 128


@pytest.mark.parametrize("view", ["memory", "frames", "entries", "flags"])
def test_close_waits_for_views_and_changes_nothing(make_region: Callable[..., Region], view: str) -> None:
    region = make_region()
    alive = getattr(region, view)[1:3]
    with pytest.raises(BufferError, match="1 views of the arena are still alive; drop them"):
        region.close()
    assert not region.closed
    assert region.nframes == 128
    assert alive[0] is not None
    del alive
    region.close()
    region.close()
    assert "closed" in str(Arena.__repr__(region))  # type: ignore[arg-type]


def test_a_view_keeps_the_memory_though_the_arena_is_forgotten() -> None:
    code = """
view = arena.frames[3:5]
page = arena.entries
del arena
gc.collect()
view[:] = 7
page["index"][:] = 5
print(int(view.sum()), int(page["index"].sum()))
"""
    assert run_python(CREATE + code).split() == [str(7 * 1024), str(5 * 64)]


def test_an_arena_that_was_exchanged_on_is_collected_with_its_memory() -> None:
    gc.collect()  # what earlier tests left, in two steps as below
    gc.collect()
    before = open_files()
    arena = Arena.create([("fast", 64), ("slow", 64)])
    pair = np.concatenate([arena.alloc("fast"), arena.alloc("slow")])[None]
    for strategy in ("list-exchange", "copy-page", "numpy"):
        assert not arena.exchange(pair, strategy).status.any()
    circle: list[Any] = [arena.frames]
    circle.append(circle)
    del arena, circle
    gc.collect()  # the circle with the view, and with the next look what the view kept
    gc.collect()
    assert open_files() == before


def test_with_closes_and_lets_the_error_of_its_body_out(make_region: Callable[..., Region]) -> None:
    with make_region() as region:
        region.alloc("fast")
    assert region.closed
    with pytest.raises(KeyError, match="body"), make_region() as region:
        raise KeyError("body")
    assert region.closed


USES: dict[str, Callable[[Region], object]] = {
    "page_size": lambda r: r.page_size,
    "nframes": lambda r: r.nframes,
    "workers": lambda r: r.workers,
    "total_bytes": lambda r: r.total_bytes,
    "metadata_bytes": lambda r: r.metadata_bytes,
    "nodes": lambda r: r.nodes,
    "node_number": lambda r: r.node_number("fast"),
    "geometry": lambda r: r.geometry(),
    "published": lambda r: r.published(),
    "memory": lambda r: r.memory,
    "memoryview": memoryview,
    "frames": lambda r: r.frames,
    "entries": lambda r: r.entries,
    "flags": lambda r: r.flags,
    "alloc": lambda r: r.alloc("fast"),
    "free": lambda r: r.free([1]),
    "free nothing": lambda r: r.free([]),
    "reserve_frames": lambda r: r.reserve_frames([1]),
    "get": lambda r: r.get(1),
    "put": lambda r: r.put(1),
    "expected_refs": lambda r: r.expected_refs(1),
    "pin": lambda r: r.pin(1),
    "unpin": lambda r: r.unpin(1),
    "lock": lambda r: r.lock(1),
    "unlock": lambda r: r.unlock(1),
    "set_flags": lambda r: r.set_flags([1], 2),
    "clear_flags": lambda r: r.clear_flags([1], 2),
    "new_mapping": lambda r: r.new_mapping(),
    "new_space": lambda r: r.new_space(),
    "fail_alloc": lambda r: r.fail_alloc,
    "cache_add": lambda r: Arena.cache_add(r, 0, [0], [0]),  # type: ignore[arg-type]
    "cache_load": lambda r: Arena.cache_load(r, 0, 0),  # type: ignore[call-overload]
    "cache_remove": lambda r: Arena.cache_remove(r, 0, 0),  # type: ignore[arg-type]
    "set_private": lambda r: Arena.set_private(r, [0], [0]),  # type: ignore[arg-type]
    "map": lambda r: Arena.map(r, 0, [0], [0]),  # type: ignore[arg-type]
    "unmap": lambda r: Arena.unmap(r, 0, 0),  # type: ignore[arg-type]
    "translate": lambda r: Arena.translate(r, 0, 0),  # type: ignore[call-overload]
}


@pytest.mark.parametrize("name", USES)
def test_a_closed_arena_says_so(make_region: Callable[..., Region], name: str) -> None:
    region = make_region()
    region.close()
    with pytest.raises(ArenaError, match="the arena is closed"):
        USES[name](region)


def test_every_public_name_of_a_region_is_tried_when_closed() -> None:
    quiet = {"create", "close", "closed", "forked", "path", "backing", "collapsed"}
    assert {name for name in dir(Region) if not name.startswith("_")} - quiet <= USES.keys()


# ---- by hand, from arena.h -------------------------------------------------------------------------------------------

HEADER = struct.Struct("<8s 2I 9I 6I 4x 3Q 3Q 7I I 10Q")
PARTS = ("nodes", "slots", "pins", "pieces", "mappings", "spaces", "entries", "xanodes", "tables", "frames")


class SecondMapping:
    """The same bytes at another address, read with nothing but the header's numbers."""

    def __init__(self, fd: int, size: int) -> None:
        self.map = mmap.mmap(fd, size)
        fields = HEADER.unpack_from(self.map)
        self.magic, self.endian, self.version = fields[:3]
        self.sizes = fields[3:12]  # header entry slot pair node mapping space xanode table
        self.total, self.page_size, self.nframes = fields[21:24]
        self.nnodes = fields[25]
        self.offset = dict(zip(PARTS, fields[32:42], strict=True))

    def word(self, at: int, size: int = 8) -> int:
        return int.from_bytes(self.map[at : at + size], "little")

    def text(self, at: int, size: int) -> str:
        return self.map[at : at + size].split(b"\0")[0].decode()

    def entry(self, pfn: int) -> dict[str, int]:
        fields = struct.unpack_from("<QIIQQQIIIIIBBH", self.map, self.offset["entries"] + 64 * pfn)
        return dict(zip(ENTRY.names or (), fields, strict=True))

    def in_tree(self, head: int, index: int) -> int:
        """Value at an index of the tree whose head is this word, or -1."""
        entry = self.word(head)
        while entry & 3 == 2:
            # a node, named by its number + 4097: smaller ones are siblings and errors, as in Linux
            node = self.offset["xanodes"] + 576 * ((entry >> 2) - 4097)
            shift = self.map[node]
            slot = index >> shift & 63
            entry = self.word(node + 64 + 8 * slot)
            if entry & 3 == 2 and entry >> 2 < 63:  # a sibling: names its slot
                entry = self.word(node + 64 + 8 * (entry >> 2))
        return (entry >> 2) - 1


def test_at_another_address_the_bytes_mean_the_same() -> None:
    before = open_files()
    arena = Arena.create([("fast", 600), ("slow", 40)], page_size=8192, mappings=3, spaces=2, workers=2)
    (fd,) = {int(fd) for fd, target in open_files().items() - before.items() if "memfd:pagexchange" in target}
    file, space = arena.new_mapping("a file", shmem=True), [arena.new_space("one"), arena.new_space("two")]
    single, large = arena.alloc("slow", 5), arena.alloc("fast", 2, 3)
    arena.cache_add(file, [0, 1, 2, 3, 5000], single)
    arena.cache_add(file, [4096], large[:1])
    arena.map(space[1], [1 << 40], large[1:])
    arena.map(space[0], [77], single[4:])
    arena.set_private(single[:1], [0xABCDEF])
    arena.frames[single] = single[:, None].astype(np.uint64) + 1
    other = SecondMapping(fd, arena.total_bytes)
    try:
        assert np.frombuffer(other.map, np.uint8).ctypes.data != arena.memory.ctypes.data
        assert (other.magic, other.endian, other.version) == (b"PGXARENA", 0x01020304, 2)
        assert other.sizes[1] == 64
        assert other.sizes[4:] == (256, 128, 128, 576, 1088)
        assert (other.total, other.page_size, other.nframes, other.nnodes) == (arena.total_bytes, 8192, 640, 2)
        assert other.offset == {name: place[0] for name, place in arena.geometry().items()}
        nodes = [(other.text(at, 32), other.word(at + 32), other.word(at + 40)) for at in
                 (other.offset["nodes"], other.offset["nodes"] + 256)]  # fmt: skip
        assert nodes == [("fast", 0, 600), ("slow", 600, 40)]
        assert other.word(other.offset["nodes"] + 32 + 8 + 8 + 8 + 24) == arena.nodes[0]["free"] == 600 - 16
        mapping = other.offset["mappings"] + 128 * file
        assert (other.text(mapping + 64, 64), other.word(mapping + 40)) == ("a file", 5 + 8)
        for index, pfn in zip([0, 1, 2, 3, 5000], single.tolist(), strict=True):
            assert other.in_tree(mapping, index) == pfn
            assert other.word(other.offset["frames"] + pfn * 8192 + 8184) == pfn + 1
            seen = other.entry(pfn)
            assert (seen["mapping"], seen["index"], seen["state"]) == ((file + 1) << 2, index, 2)
            assert seen["flags"] >> arena.layout.native()["node_shift"] == 1
            if index:  # the first was added while it was all of the tree: its hint leads to the head, and is stale
                node, slot = divmod(seen["next"] - 1, 64)  # of a page in use it is the hint to its word in the tree
                assert other.word(other.offset["xanodes"] + 576 * node + 64 + 8 * slot) == (pfn + 1) << 2
        assert [other.in_tree(mapping, index) for index in (4, 4095, 4096, 4103, 4104)] == [
            -1, -1, int(large[0]), int(large[0]), -1
        ]  # fmt: skip
        assert other.entry(int(single[0])) | {"flags": 0, "next": 0} == {
            "flags": 0, "refs": 2, "mapcount": 0, "mapping": 4, "index": 0, "private": 0xABCDEF, "rmap": 0, "owner": 0,
            "next": 0, "prev": 0, "head": 0, "order": 0, "state": 2, "held": 0,
        }  # fmt: skip
        assert [other.entry(int(large[1]) + k)["head"] for k in range(8)] == [0] + [int(large[1]) + 1] * 7
        for number, vpn, pfn, folio in ((1, 1 << 40, int(large[1]), 8), (0, 77, int(single[4]), 1)):
            head = other.offset["spaces"] + 128 * number
            table = other.offset["tables"] + 1088 * other.in_tree(head, vpn >> 6)
            assert (other.word(table, 4), other.word(table + 4, 4)) == (number + 1, folio)
            assert other.word(table + 8) == vpn & ~63
            for k in range(folio):
                pte = other.word(table + 64 + 16 * (vpn % 64 + k))
                assert (pte >> 12, pte & 3) == (pfn + k, 1)
            chain = other.entry(pfn)["rmap"] - 1
            assert other.offset["tables"] + 1088 * (chain // 64) == table
            assert chain % 64 == vpn % 64
        other.map[other.offset["frames"] + 3] = 9  # and writes there are seen here
        assert arena.memory[arena.geometry()["frames"][0] + 3] == 9
    finally:
        gc.collect()
        other.map.close()
    arena.close()
