"""Compares a whole real arena with the reference, through the public views and accessors; decodes them by itself."""

import struct
from operator import itemgetter

from pagexchange import Arena
from pagexchange.oracle import format as oracle_format
from pagexchange_native.arena.region import ENTRY, STATES
from pagexchange_native.pages import space as spaces
from pagexchange_native.xarray.array import XArray
from tests.model import reference as ref

PRESENT, WRITE, ACCESSED = 1, 4, 16
INNER = 255
"""Order of a free block's later frames."""
FIELDS = ("flags", "refs", "mapcount", "mapping", "index", "private", "owner", "head", "order", "state", "held")
COLUMNS = itemgetter(*(list(ENTRY.names or ()).index(name) for name in FIELDS))
RMAP = list(ENTRY.names or ()).index("rmap")
LONG = 1 << 63
PROCESS = 1
"""Process + 1 of the only one that has the arena."""

Row = tuple[int, ...]


def compare(arena: Arena, model: ref.Arena, seen: set[tuple[int, int]]) -> None:
    """Everything; `seen`: the (space, virtual page number) that were ever used."""
    entries(arena, model)
    contents(arena, model)
    files(arena, model)
    page_tables(arena, model, seen)
    nodes(arena, model)
    pins(arena, model)


def word_of(bits: set[int]) -> int:
    return sum([1 << bit for bit in bits]) if bits else 0


def owner(arena: Arena, frame: ref.Frame) -> int:
    """What the lock's word says: lock() keeps a page for the slot that the process has claimed for life."""
    return (arena.workers + 2) << 8 if frame.owned else 0


def expected_rows(arena: Arena, model: ref.Arena) -> list[Row]:
    """What each frame's entry must say, in the order of `FIELDS`."""
    node_bits = model.word.bits("node")
    shift = min(node_bits, default=0)
    block_order = {pfn: order for node in model.nodes for pfn, order in model.blocks(node)}
    rows: list[Row] = []
    for frame in model.frames:
        node = frame.node.number << shift if node_bits else 0
        state = STATES[frame.state]
        page = frame.page
        if page is None:
            order = 0 if frame.state == "tail" else block_order.get(frame.pfn, INNER)
            head = frame.head.pfn + 1 if frame.head else 0
            rows.append((word_of(frame.bits) | node, 0, 0, 0, 0, 0, owner(arena, frame), head, order, state, 0))
            continue
        mapping = 0
        if page.mapping:
            mapping = (model.mappings.index(page.mapping) + 1) << 2
        elif page.space is not None:
            mapping = (page.space + 1) << 2 | 1
        flags = word_of(frame.bits | page.bits) | node
        rows.append(
            (flags, model.refs(page), len(page.places), mapping, page.index, page.private, owner(arena, frame), 0,
             page.order, state, PROCESS * page.held | 0x8000 * page.by_get)
        )  # fmt: skip
    return rows


def entries(arena: Arena, model: ref.Arena) -> None:
    table = arena.entries.tolist()
    for pfn, (entry, want) in enumerate(zip(table, expected_rows(arena, model), strict=True)):
        got = COLUMNS(entry)
        if got != want:
            pairs = zip(FIELDS, got, want, strict=True)
            wrong = ", ".join(f"{name} {is_:#x}, must be {must:#x}" for name, is_, must in pairs if is_ != must)
            raise AssertionError(f"frame {pfn} ({model.frames[pfn].state}): {wrong}")
    with memoryview(arena) as raw:
        offset, _, size = arena.geometry()["tables"]
        for pfn, (entry, frame) in enumerate(zip(table, model.frames, strict=True)):
            if not (entry[RMAP] or (frame.page and frame.page.places)):
                continue
            want_places = sorted(frame.page.places) if frame.page else []
            places = reverse_map(raw, offset, size, entry[RMAP], len(want_places))
            assert places == want_places, f"frame {pfn}: its reverse map leads to {places}, must be {want_places}"


def reverse_map(raw: memoryview, tables: int, size: int, number: int, most: int) -> list[tuple[int, int]]:
    """Where a page's chain of page-table entries leads to; of one that is too long, one step more than `most`."""
    places: list[tuple[int, int]] = []
    while number and len(places) <= most:
        at = tables + (number - 1) // 64 * size
        slot = (number - 1) % 64
        owner, _, base = struct.unpack_from("<IIQ", raw, at)
        places.append((owner - 1, base + slot))
        (number,) = struct.unpack_from("<I", raw, at + 64 + slot * 16 + 8)
    return sorted(places)


def contents(arena: Arena, model: ref.Arena) -> None:
    frames = arena.frames
    for page in model.pages():
        for k, want in enumerate(page.data):
            pfn = page.frame.pfn + k
            assert frames[pfn].tobytes() == want, f"frame {pfn} has foreign or mixed contents"


def files(arena: Arena, model: ref.Arena) -> None:
    for number, file in enumerate(model.mappings):
        tree = XArray(arena, number)
        want = [(index, file.pages[index].frame.pfn) for index in sorted(file.pages)]
        got = list(tree.items())
        assert got == want, f"mapping {number}: holds (index, frame) {got}, must be {want}"
        for index, page in file.pages.items():
            last = index + page.size - 1
            assert arena.cache_load(number, index) == arena.cache_load(number, last) == page.frame.pfn
            assert tree.get_order(index) == page.order
            marks = {mark for mark in range(3) if tree.get_mark(last, mark)}
            assert marks == file.marks[index], f"mapping {number}, index {index}: marks {marks}"


def page_tables(arena: Arena, model: ref.Arena, seen: set[tuple[int, int]]) -> None:
    for space, vpn in seen:
        found = model.entry_at(space, vpn)
        want = 0
        if found:
            first, entry = found
            pfn = entry.page.frame.pfn + vpn - first
            want = pfn << 12 | PRESENT | ACCESSED | (WRITE if entry.write else 0)
            assert arena.translate(space, vpn) == pfn
        got = spaces.entry(arena, space, vpn)
        assert got == want, f"space {space}, virtual page {vpn}: entry {got:#x}, must be {want:#x}"


def nodes(arena: Arena, model: ref.Arena) -> None:
    for real, node in zip(arena.nodes, model.nodes, strict=True):
        for name in ("asked", "got", "below_low", "below_min"):
            assert real[name] == getattr(node, name), f"node {node.name}: {name} {real[name]}, {getattr(node, name)}"
        free = model.free_frames(node)
        assert real["free"] == free, f"node {node.name}: {real['free']} frames free, must be {free}"
        counters = model.counters(node)
        assert real["counters"] == counters, f"node {node.name}: {real['counters']}, must be {counters}"


def pins(arena: Arena, model: ref.Arena) -> None:
    """The first rows: of this process, and of another one's as the tests write it."""
    raw = oracle_format.read(arena)
    mine, others = raw.pins[0].tolist(), raw.pins[1].tolist()
    want = [(pin.pfn + 1) | pin.times << 32 | (LONG if pin.long else 0) if pin else 0 for pin in model.pins]
    assert mine == want + [0] * (ref.PINS - len(want))
    assert raw.pin_tops[0] >= len(want)
    assert [(word & 0xFFFFFFFF) - 1 for word in others if word] == model.short_pins


def faces(arena: Arena, model: ref.Arena) -> None:
    """Each frame as an object: slower, for the end of a program."""
    for frame in model.frames:
        face, page = arena.frame(frame.pfn), frame.page
        assert (face.node, face.state) == (frame.node.name, frame.state)
        assert face.head == (frame.head.pfn if frame.head else frame.pfn)
        if page is None or frame.state != "used":
            assert (face.kind, face.order) == ("none", 0)
            continue
        kind = "file" if page.mapping else "anon" if page.space is not None else "raw"
        number = model.mappings.index(page.mapping) if page.mapping else -1 if page.space is None else page.space
        assert (face.kind, face.mapping, face.index) == (kind, number, page.index)
        assert (face.refs, face.mapcount, face.private) == (model.refs(page), len(page.places), page.private)
        assert (face.order, face.data.tobytes()) == (page.order, page.data[0])
        assert arena.expected_refs(frame.pfn) == model.structural(page) + page.held
