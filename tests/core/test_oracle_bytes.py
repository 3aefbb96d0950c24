"""Every byte of an arena: each one that is changed behind an exchange is seen, but for those that are named here."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.errors import ArenaFormatError
from pagexchange.oracle import Oracle, idle
from pagexchange.oracle import format as f
from tests.core.test_oracle import BIG_A, REFUSED, A, B, make
from tests.core.toy_arena import LAYOUT, SELF, Page, Toy

FREE, TAIL, RESERVED, USED = 2, BIG_A + 7, 40, 72
ITEMS: dict[str, tuple[np.dtype[Any], dict[str, int]]] = {
    "nodes": (f.NODE, {"fast": 0, "slow": 1}),
    "mappings": (f.MAPPING, {"file": 0, "unused": 5}),
    "spaces": (f.SPACE, {"process": 0, "unused": 3}),
    "entries": (
        f.ENTRY,
        {"moved": A, "refused": REFUSED[0], "used": USED, "tail": TAIL, "free": FREE, "reserved": RESERVED},
    ),
    "xanodes": (f.XANODE, {"used": 0, "spare": 399}),
    "tables": (f.PAGE_TABLE, {"used": 0, "spare": 199}),
}


def fields_of(dtype: np.dtype[Any], at: int = 0, name: str = "") -> Iterator[tuple[str, int]]:
    """Every field with its byte, also those of structs inside; of an array the first and the last item."""
    if dtype.subdtype:
        item, shape = dtype.subdtype
        yield from fields_of(item, at, f"{name}[0]")
        yield from fields_of(item, at + (shape[0] - 1) * item.itemsize, f"{name}[-1]")
    elif dtype.fields:
        for inner, (kind, offset, *_) in dtype.fields.items():
            yield from fields_of(kind, at + offset, f"{name}.{inner}".lstrip("."))
    else:
        yield name, at
        if dtype.kind in "SV":
            yield f"{name}, last byte", at + dtype.itemsize - 1


OWN = {
    name for name, _ in fields_of(f.SLOT)
    if name.startswith(("log", "saved", "pair", "n", "parent", "lo", "hi", "target")) and name != "node_saves"
}  # fmt: skip
"""What a worker may leave in its slot when it has done."""
UNSEEN = {f"nodes.{node}.{name}" for node in ("fast", "slow") for name in ("asked", "got", "below_low", "below_min")}
"""The allocator's statistics: who may count what is the engine's matter, see `taken` of `Oracle.after`."""
UNSEEN |= {f"slots.working.{name}" for name in OWN} | {"pieces.of 1", "pins.first top"}


def places(toy: Toy) -> Iterator[tuple[str, int]]:
    """What each byte is called, and where it lies."""
    offset = toy.raw.offset
    yield from ((f"header.{name}", at) for name, at in fields_of(f.HEADER))
    yield "behind the header", f.HEADER.itemsize + 5
    for part, (dtype, items) in ITEMS.items():
        for which, number in items.items():
            for name, at in fields_of(dtype):
                yield f"{part}.{which}.{name}", offset[part] + number * dtype.itemsize + at
    for which, number in {"nobody's": 0, "working": 1, "resting": 2, "process": SELF}.items():
        for name, at in fields_of(f.SLOT):
            yield f"slots.{which}.{name}", offset["slots"] + number * f.SLOT.itemsize + at
    yield "pins.first top", offset["pins"]
    yield "pins.first", offset["pins"] + 4 * f.CALL_SLOTS
    yield "pins.last", offset["pins"] + (4 + 8 * f.PINS) * f.CALL_SLOTS - 1
    for worker in (1, 2):
        yield f"pieces.of {worker}", offset["pieces"] + (worker - 1) * 2 * f.PIECES * f.PIECE
    yield "text", offset["text"]
    for name, pfn in (("used", USED), ("tail", TAIL), ("free", FREE), ("reserved", RESERVED)):
        yield f"frames.{name}", offset["frames"] + pfn * 128 + 127


NONE = np.zeros((0, 2), np.int64)
PLACES = dict(places(make()))


@pytest.mark.parametrize("name", PLACES)
def test_a_byte_that_is_changed_is_seen(name: str) -> None:
    toy = make()
    oracle = Oracle.before(toy, layout=LAYOUT, seed=7)
    toy.exchange(A, B)
    toy.memory[PLACES[name]] ^= 1
    try:
        verdict = oracle.after([(A, B), REFUSED], [0, -11])
    except ArenaFormatError:  # a header that cannot be read is seen as well
        return
    assert (verdict.kind == "exact") == (name in UNSEEN), str(verdict)


def test_what_movers_say_they_took_must_be_what_the_nodes_count() -> None:
    toy = make()
    oracle = Oracle.before(toy)
    toy.raw.nodes["got"][0] += 2
    assert oracle.after(NONE, [], taken=2).kind == "exact"
    verdict = oracle.after(NONE, [], taken=0)
    assert verdict.by_kind == {"counter": 1}
    assert str(verdict).endswith("the nodes count 2 frames handed out meanwhile, 0 are said to have been taken")


def test_a_mover_may_write_to_as_many_free_frames_as_it_took_and_to_no_other() -> None:
    toy = make()
    oracle = Oracle.before(toy)
    toy.raw.nodes["got"][0] += 2
    toy.raw.frames[[FREE, FREE + 2], 0] = 1
    assert oracle.after(NONE, []).kind == "exact"
    toy.raw.frames[RESERVED, 3] = 1
    assert [str(finding) for finding in oracle.after(NONE, []).findings] == ["frame 40 is reserved and was written to"]
    toy.raw.frames[RESERVED, 3] = 0
    toy.raw.frames[FREE + 5, 15] = 1
    verdict = oracle.after(NONE, [])
    assert [finding.pfn for finding in verdict.findings] == [FREE, FREE + 2, FREE + 5]
    assert "frame 2 is free and was written to: 3 were, and movers have taken 2 meanwhile" in str(verdict)


def test_frames_without_memory_are_not_read_and_still_checked() -> None:
    file = Path(f"/dev/shm/pagexchange-test-{os.getpid()}")
    with Arena.create({"fast": "32 MiB", "slow": "32 MiB"}, path=file, reserve=False) as arena:
        arena.alloc("fast", 20)
        oracle = Oracle.before(arena)
        before = file.stat().st_blocks
        assert oracle.idle.holes.sum() == arena.nframes - 20
        verdict = oracle.after(NONE, [])
        assert (verdict.kind, verdict.checked["idle"]) == ("exact", arena.nframes - 20)
        assert file.stat().st_blocks == before
        assert not arena.frames[9000].any()  # whoever reads takes memory as well, and writes nothing
        assert oracle.after(NONE, []).kind == "exact"
        arena.frames[9000, 511] = 1
        assert [finding.pfn for finding in oracle.after(NONE, []).findings] == [9000]


def test_of_many_free_frames_with_memory_a_sample_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "AT_LEAST", 10)
    toy = Toy([Page(A, held=1)])
    samples = [Oracle.before(toy, seed=seed).idle for seed in (1, 1, 2)]
    assert [len(sample.summed) for sample in samples] == [10, 10, 10]
    assert np.array_equal(samples[0].summed, samples[1].summed)
    assert not np.array_equal(samples[0].summed, samples[2].summed)


def test_two_words_exchanged_in_a_free_frame_are_seen() -> None:
    toy = make()
    toy.raw.frames[FREE, :2] = 1, 2
    oracle = Oracle.before(toy)
    toy.raw.frames[FREE, :2] = 2, 1
    assert [finding.pfn for finding in oracle.after(NONE, []).findings] == [FREE]
