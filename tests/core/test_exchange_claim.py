"""What happens to a pair between the claim of its first page and that of its second one is seen; it is let go."""

import errno
import json
import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pagexchange.arena.arena import Arena
from pagexchange.model.layout import Layout
from pagexchange.oracle import format as f
from tests.stepping import Stepped

CHILD = Path(__file__).with_name("recovered_child.py")
POISON = np.uint64(Layout.load("linux-6.18").word("hwpoison"))


@dataclass
class Mapped:
    """The arena of another process."""

    memory: NDArray[np.uint8]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    folder = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else tmp_path
    path = folder / f"pagexchange-claimed-{os.getpid()}"
    yield path
    path.unlink(missing_ok=True)


def claimed(child: Stepped, path: Path) -> tuple[f.Raw, list[int], f.Table]:
    """The arena of a child whose exchange has claimed the first page of its pair; the pair, and its entries at rest."""
    pair = sorted(json.loads(child.line())[0])
    with path.open("r+b") as file:
        raw = f.read(Mapped(np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8)))
    rest = raw.entries[pair].copy()
    while not raw.entries["refs"][pair[0]] & f.FROZEN:
        assert child.step()
    assert not raw.entries["refs"][pair[1]] & f.FROZEN
    return raw, pair, rest


def lock(entry: f.Table) -> None:
    entry["owner"] = f.OWNER_CALL | 40  # a slot that the child has not


def poison(entry: f.Table) -> None:
    entry["flags"] |= POISON


def grow(entry: f.Table) -> None:
    entry["order"] = 1


@pytest.mark.plain_build
@pytest.mark.parametrize(
    ("change", "side"), [(lock, 1), (poison, 0), (poison, 1), (grow, 0)],
    ids=["the second is locked", "the first is broken", "the second is broken", "the first is another folio"],
)  # fmt: skip
def test_a_pair_that_changes_while_it_is_claimed_is_let_go(
    path: Path, change: Callable[[f.Table], None], side: int
) -> None:
    with Stepped(CHILD, str(path), "list-exchange", "0", "file-anon") as child:
        raw, pair, rest = claimed(child, path)
        change(raw.entries[pair[side] : pair[side] + 1])
        change(rest[side : side + 1])
        assert json.loads(child.end()) == [-errno.EAGAIN]
        np.testing.assert_array_equal(raw.entries[pair], rest)


@pytest.mark.plain_build
def test_a_pin_that_came_before_the_freeze_keeps_the_page(path: Path) -> None:
    """Who pins stores the pin first and looks whether the page is frozen second: this one has seen that it is not."""
    with Stepped(CHILD, str(path), "list-exchange", "0", "file-anon") as child:
        raw, pair, rest = claimed(child, path)
        raw.pin_tops[5] = 1
        raw.pins[5, 0] = np.uint64(f.PIN_LONG | 1 << 32 | pair[1] + 1)
        assert json.loads(child.end()) == [-errno.EBUSY]
        np.testing.assert_array_equal(raw.entries[pair], rest)


def test_a_page_is_not_moved_between_two_steps_of_its_put() -> None:
    """It has lost its last user; its put has dropped the reference, and is about to free what is in its frame."""
    with Arena.create([("fast", 64), ("slow", 64)], watermarks=(0, 0, 0)) as arena:
        (mine,), (other,), mapping = arena.alloc("fast"), arena.alloc("slow"), arena.new_mapping()
        arena.cache_add(mapping, 0, mine)
        assert arena.get(mine)
        arena.cache_remove(mapping, 0)
        f.read(arena).pins[:] = 0
        rest = arena.entries.copy()
        assert arena.exchange([(mine, other)]).status.tolist() == [-errno.EAGAIN]
        np.testing.assert_array_equal(arena.entries, rest)
        arena.put(mine)
        assert arena.entries["state"][[mine, other]].tolist() == [f.FREE, f.USED]
