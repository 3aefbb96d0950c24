"""The face of an arena: sizes as people write them, layouts by name or file, frames as objects."""

import ctypes
import gc
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pagexchange
from pagexchange.arena.arena import Arena
from pagexchange.arena.frame import Frame
from pagexchange.errors import ArenaError, ArenaFullError, ConfigError, PagexchangeError
from pagexchange.model.layout import Layout
from pagexchange.oracle.format import read
from pagexchange.pages import fill

MIB = 1 << 20

OWN_LAYOUT = """
schema = 1
name = "own"
[flags]
locked = { bit = 3, policy = "stay", meaning = "the lock" }
dirty = { bit = 5, policy = "swap", meaning = "newer than its file" }
[fields]
node = { width = 4, policy = "stay", meaning = "the node" }
"""


@pytest.mark.parametrize(
    ("nodes", "page_size", "frames"),
    [
        ({"fast": "1 MiB", "slow": "2MiB"}, 4096, [256, 512]),
        ({"a": "64k", "b": 8192, "c": "1.5 MiB"}, "4 KiB", [16, 2, 384]),
        ({"a": "4M", "b": "2 MiB"}, "2 MiB", [2, 1]),
        ([("a", 3), ("b", 5)], "64K", [3, 5]),
        (iter([("a", 3)]), 8192, [3]),
    ],
)
def test_nodes_are_sized_in_bytes_by_name_or_in_frames_by_pairs(nodes: Any, page_size: Any, frames: list[int]) -> None:
    with Arena.create(nodes, page_size=page_size, workers=1) as arena:
        assert [node["frames"] for node in arena.nodes] == frames
        assert arena.nframes == sum(frames)


def test_an_arena_without_a_word_is_fast_and_slow_of_64_mib() -> None:
    with Arena.create() as arena:
        assert [(node["name"], node["frames"] * arena.page_size) for node in arena.nodes] == [
            ("fast", 64 * MIB), ("slow", 64 * MIB)
        ]  # fmt: skip
        assert (arena.page_size, arena.layout.name, arena.backing, arena.path) == (4096, "linux-6.18", "memfd", None)
        assert (arena.workers, arena.max_order) == (8, 9)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no multiple": ({"nodes": {"fast": "1 MiB", "slow": 5000}}, "node 'slow': 5000 is not a multiple of the page size"),
    "no size": ({"nodes": {"fast": "much"}}, "size 'much': want bytes or text such as '64 MiB'"),
    "half a byte": ({"nodes": {"fast": "0.3"}}, "want a whole number of bytes"),
    "zero": ({"nodes": {"fast": 0}}, "node 'fast': 0 frames; want at least 1"),
    "negative": ({"nodes": {"fast": -4096}}, "from 0 to 2\\^60"),
    "negative text": ({"nodes": {"fast": "-4 KiB"}}, "want bytes or text"),
    "2^60": ({"nodes": {"fast": 1 << 60}}, "from 0 to 2\\^60"),
    "almost 2^60": ({"nodes": {"fast": (1 << 60) - 4096}}, "at most 2\\^31 - 1 frames"),
    "a page of 0": ({"page_size": 0}, "page_size 0: want a power of two"),
    "a page of 4 MiB": ({"page_size": "4 MiB", "nodes": {"fast": "8 MiB"}}, "page_size 4194304: want a power of two"),
    "a page of 12 KiB": ({"page_size": "12 KiB", "nodes": {"fast": "12 KiB"}}, "want a power of two"),
    "a page of 512": ({"page_size": 512}, "page_size 512: want a power of two from 1024 to 2097152 bytes"),
    "a page of 3000": ({"page_size": 3000}, "page_size 3000: want a power of two from 1024"),
    "true": ({"nodes": {"fast": True}}, "want bytes or text"),
    "huge": ({"huge": "hugetbl"}, "choose '', 'thp' or 'hugetlb'"),
    "no nodes": ({"nodes": {}}, "0 nodes: want 1 to 16"),
    "names only": ({"nodes": ["fast", "slow"]}, "want \\(name, number of frames\\)"),
    "an unknown layout": ({"layout": "linux-6.8"}, "unknown layout 'linux-6.8'; did you mean 'linux-6.18'\\?"),
    "no layout file": ({"layout": "missing/own.toml"}, "own.toml"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_makes_no_file_and_is_answered(case: str, tmp_path: Path) -> None:
    options, said = WRONG[case]
    with pytest.raises(ValueError, match=said):
        Arena.create(path=tmp_path / "arena", **options)
    assert not list(tmp_path.iterdir())


def test_a_layout_comes_by_name_by_file_or_as_an_object(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN_LAYOUT)
    for given in (file, str(file), Layout.load(file)):
        with Arena.create([("a", 4), ("b", 4)], layout=given, workers=1) as arena:
            assert arena.layout.name == "own"
            (pfn,) = arena.alloc("b")
            arena.set_flags(pfn, arena.layout.word("dirty"))
            assert arena.flags[pfn] == 1 << 60 | 1 << 5
            assert arena.lock(pfn)
            assert arena.flags[pfn] == 1 << 60 | 1 << 5 | 1 << 3
    with Arena.create([("a", 4)], layout="linux-5.0", workers=1) as arena:
        assert arena.layout.name == "linux-5.0"


def test_all_that_is_wrong_with_a_layout_is_said_at_once(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        OWN_LAYOUT.replace('"swap"', '"swop"').replace("bit = 3", "bit = 64").replace("width = 4", "width = -1")
    )
    with pytest.raises(ConfigError) as caught:
        Arena.create([("a", 4)], layout=file)
    assert [problem.where for problem in caught.value.problems] == [
        "flags.locked.bit", "flags.dirty.policy", "fields.node.width"
    ]  # fmt: skip
    assert "did you mean 'swap'" in str(caught.value)


def test_a_layout_without_private_data_takes_none(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN_LAYOUT)
    with Arena.create([("a", 4)], layout=file, workers=1) as arena:
        pfns = arena.alloc("a", 1)
        arena.cache_add(arena.new_mapping(), 0, pfns)
        with pytest.raises(ValueError, match="no flag 'private'"):
            arena.set_private(pfns, 1)
        assert arena.frame(int(pfns[0])).refs == arena.expected_refs(int(pfns[0])) == 1


def test_a_frame_shows_what_lies_in_it_now() -> None:
    with pagexchange.Arena.create([("fast", 16), ("slow", 16)], workers=1) as arena:
        (large,) = arena.alloc("slow", 1, 2)
        (held,) = arena.alloc("slow")
        reserved = arena.alloc("slow")
        arena.reserve_frames(reserved)
        arena.cache_add(arena.new_mapping(), 8, large)
        frame = arena.frame(int(large))
        seen = (frame.node, frame.state, frame.kind, frame.order, frame.head, frame.mapping, frame.index, frame.refs)
        assert seen == ("slow", "used", "file", 2, large, 0, 8, 4)
        tail = arena.frame(int(large) + 3)
        assert (tail.state, tail.kind, tail.head, tail.order) == ("tail", "none", large, 0)
        assert [arena.frame(int(pfn)).state for pfn in (0, held, reserved[0])] == ["free", "used", "reserved"]
        assert str(arena.frame(int(held))).startswith(f"frame {held} on slow: no mapping, order 0, refs 1, mapcount 0")
        assert str(arena.frame(0)) == "frame 0 on fast: free"
        assert str(tail) == f"frame {int(large) + 3} on slow: tail"
        frame.data[:] = 5
        assert np.shares_memory(frame.data, arena.frames)
        arena.cache_remove(0, 8)
        assert (frame.state, frame.kind) == ("free", "none")
        assert frame == Frame(arena, int(large))
        for pfn in (-1, 32, 1 << 70):
            with pytest.raises(IndexError, match="the arena has frames 0 to 31"):
                arena.frame(pfn)
            with pytest.raises(LookupError, match=f"frame {pfn}: in no node"):
                Frame(arena, pfn).node  # noqa: B018


def test_an_arena_introduces_itself() -> None:
    arena = Arena.create([("fast", 16), ("slow", 8)], workers=1)
    assert repr(arena) == "<Arena 24 frames of 4096 bytes (fast 16, slow 8), linux-6.18, memfd>"
    arena.close()
    assert repr(arena) == "<Arena closed>"
    for use in (lambda: fill(arena), lambda: arena.frame(0), lambda: arena.exchange([[0, 1]])):
        with pytest.raises(ArenaError, match="the arena is closed"):
            use()


def test_the_classes_of_errors_are_those_of_python_too() -> None:
    with Arena.create([("a", 4)], workers=1) as arena:
        with pytest.raises(OSError, match="5 folios"):
            arena.alloc("a", 5)
        with pytest.raises(PagexchangeError):
            arena.alloc("a", 5)
    assert issubclass(ArenaFullError, ArenaError)


def used_arena(path: Path | None = None) -> Arena:
    """One that knows a strategy which knows it, as after the first exchange: a cycle."""
    arena = Arena.create([("fast", 16), ("slow", 16)], path=path)
    pairs = np.column_stack([arena.alloc("fast", 2), arena.alloc("slow", 2)])
    assert arena.exchange(pairs).ok
    return arena


def test_an_arena_that_nobody_closed_leaves_no_file(tmp_path: Path) -> None:
    used_arena(tmp_path / "arena")
    gc.collect()
    assert not list(tmp_path.iterdir())


UNTIL_THE_END = """
import sys
from pagexchange.arena.arena import Arena
arena = Arena.create([("fast", 16), ("slow", 16)], path=sys.argv[1])
assert arena.exchange([[arena.alloc("fast")[0], arena.alloc("slow")[0]]]).ok
"""


def test_an_arena_that_lives_until_python_ends_leaves_no_file_and_no_message(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", UNTIL_THE_END, str(tmp_path / "arena")], capture_output=True, text=True, timeout=60
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


class Mallinfo(ctypes.Structure):
    _fields_ = (("fields", ctypes.c_size_t * 10),)


def test_an_arena_that_nobody_closed_leaves_no_memory() -> None:
    """The workers' own memory is given back, in whatever order a cycle is taken apart."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        pytest.skip("needs mallinfo2() of the C library, to see its heap")
    mallinfo.restype = Mallinfo

    def held() -> int:
        gc.collect()
        return int(mallinfo().fields[7])  # uordblks

    grown = []
    for _ in range(3):
        before = held()
        for _ in range(20):
            used_arena()
        grown.append(held() - before)
    assert min(grown) < 20 * 4096  # a worker has 30 KiB


@pytest.mark.parametrize("layout", ["linux-6.18", "linux-5.0", OWN_LAYOUT])
def test_the_bytes_of_an_arena_say_its_layout_in_full(layout: str) -> None:
    chosen = Layout.parse(layout, "own") if "\n" in layout else Layout.load(layout)
    with Arena.create([("a", 8)], layout=chosen) as arena:
        raw = read(arena)
        again = Layout.parse(raw.text.tobytes(), "the arena's text")
        assert again == arena.layout
        names = (raw.layout.dtype.names or ())[1:]
        assert names
        assert {name: again.native()[name] for name in names} == {name: raw.layout[name] for name in names}
        del raw


@pytest.mark.parametrize(("huge", "number"), [("", 0), ("thp", 1)])
def test_the_bytes_of_an_arena_say_which_pages_were_asked_for(huge: Any, number: int) -> None:
    with Arena.create([("a", 8)], huge=huge) as arena:
        assert [int(read(arena).header[name]) for name in ("huge", "ready")] == [number, 1]
