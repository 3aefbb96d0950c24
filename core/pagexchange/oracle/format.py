"""The arena's bytes as the oracle reads them: its own dtypes, written from the format header, and checked views."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import ArenaFormatError

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
Bools = NDArray[np.bool_]
Table = NDArray[Any]

OFFLINE, FREE, USED, TAIL, RESERVED = range(5)
MAX_ORDER = 9
INNER = 255  # order of the later frames of a free block
FROZEN = 0x80000000
HELD_BY_GET = 0x8000
ANON = 1
BATCH = 128  # pairs in a slot
CHUNK = 256  # bytes of an undo chunk; a slot's log holds two
PIECE, PIECES = 4096, 16  # bytes of a place in the whole-page log, and pairs of them for each worker; see `piece_of`
PINS = 256  # words for each slot behind the workers'
PIN_LONG = 1 << 63
CALL_SLOTS = 16  # slots behind the workers'
SAVED, SAVED_NODE = 256, 128
OWNER_CALL, OWNER_SLOT, OWNER_KEEPER, OWNER_KEEPER_SHIFT = 0x80000000, 0xFF, 0xFF00, 8
XA_WRITER = 1 << 63
SLOT_HEAD = 0xFFFFFFFF  # a hint to the head of an array itself; else node * 64 + slot + 1
TABLE_SLOTS = 64
MARKS = 3
MAX_NODES = 16
PTE_PRESENT, PTE_MIGRATION, PTE_BITS = 1, 2, 0xFFF
COUNTERS = ("file", "shmem", "anonymous", "dirty")
PHASES = ("IDLE", "INTENT", "DATA", "META", "HELP", "BACK", "TAILS")

ROLES = (
    "locked",
    "writeback",
    "dirty",
    "swapbacked",
    "private",
    "swapcache",
    "hwpoison",
    "reserved",
    "head",
    "waiters",
)
PARTS = ("nodes", "slots", "pins", "pieces", "mappings", "spaces", "entries", "xanodes", "tables", "frames")
_SIZES = "header entry slot pair node mapping space xanode table"


# Written down once more, from the header's text, and not taken from the native module: where the two disagree, a test
# of either side fails, instead of both reading the same wrong bytes.
def _struct(text: str, **inner: np.dtype[Any]) -> np.dtype[Any]:
    """A packed struct from `type name name*count ...; type ...`; `inner` names structs that lie inside."""
    fields: list[Any] = []
    for line in text.split(";"):
        kind, *names = line.split()
        for name in names:
            name, _, count = name.partition("*")
            item = inner.get(kind) or np.dtype(f"<{kind}" if kind[0] in "ui" else kind)
            fields.append((name, item, int(count)) if count else (name, item))
    return np.dtype(fields)


ENTRY = _struct(  # of a page in use `next` is the hint to its word in its mapping's tree
    "u8 flags; u4 refs owner; u8 mapping index private; u4 mapcount rmap next prev head; u1 order state; u2 held"
)
XARRAY = _struct("u8 head lock; u4 seq flags")
XANODE = _struct(
    "u1 shift offset count used; u4 parent; u8 array; u4 next pad0; u8 marks*3 pad1*2 slot*64",
)
MAPPING = _struct("xarray pages; u4 used aops shmem generation; u8 nr_pages pad1*2; S64 name", xarray=XARRAY)
SPACE = _struct("xarray tables; u4 used pad0; u8 nr_ptes nr_anon; u4 generation pad1; u8 pad2; S64 name", xarray=XARRAY)
PTE = _struct("u8 pte; u4 next pad")
PAGE_TABLE = _struct("u4 space count; u8 base; u4 next pad0; u8 pad1*5; pte pte*64", pte=PTE)
NODE = _struct(
    "S32 name; u8 start frames; u4 lock number; u8 wm_min wm_low wm_high free asked got below_low below_min;"
    "u4 list*10 pad0*2; u8 pad1*11"
)
POOL = _struct("u4 pad free_head free fresh")
SIDE = _struct("u8 flags mapping index private; u4 pfn rmap mapcount slot refs; u2 held pad")
PAIR = _struct("side side*2; i4 status; u4 temp; u1 order kind pad*6", side=SIDE)
SAVE = _struct("u8 where old")
SLOT = _struct(
    f"u8 state claim; u4 n parent; u8 lo hi tree give drop; u1 log*{2 * CHUNK};"
    f"i8 counter*{MAX_NODES * len(COUNTERS)} target*{MAX_NODES * len(COUNTERS)}; u8 targets saves node_saves pad1*5;"
    f"save saved*{SAVED} saved_node*{SAVED_NODE}; pair pair*{BATCH}",
    save=SAVE,
    pair=PAIR,
)
LAYOUT = _struct(
    f"S32 name; u8 swap stay refuse {' '.join(ROLES)} tail_broken; u4 node_shift node_width zone_shift zone_width;"
    "u8 tail_swap tail_refuse"
)
HEADER = _struct(
    "S8 magic; u4 endian version;"
    f"u4 {' '.join(f'{name}_size' for name in _SIZES.split())} batch chunk pieces saved saved_node call_slots huge;"
    "u8 compat ro_compat incompat total page_size nframes;"
    "u4 page_shift nnodes nslots nmappings nspaces nxanodes ntables pid;"
    f"u8 {' '.join(f'off_{part}' for part in PARTS)} off_text; u4 text_size structure;"
    "V16 uuid boot_id; pool xanodes tables; layout layout; u8 ready",
    pool=POOL,
    layout=LAYOUT,
)
SIZE_OF = {
    "entry": 64, "slot": 24192, "pair": 128, "node": 256, "mapping": 128, "space": 128, "xanode": 576, "table": 1088,
}  # fmt: skip
LIMITS = {
    "batch": BATCH, "chunk": CHUNK, "pieces": PIECES, "saved": SAVED, "saved_node": SAVED_NODE,
    "call_slots": CALL_SLOTS,
}  # fmt: skip


class HasMemory(Protocol):
    """Whatever shows an arena's bytes: a `Region`, an `Arena`, a test's own array."""

    @property
    def memory(self) -> NDArray[np.uint8]:
        """The whole region, uint8[total], without a copy."""
        ...


@dataclass(frozen=True)
class Dump:
    """A copy of an arena's bytes, to be read as one."""

    memory: NDArray[np.uint8]


@dataclass(frozen=True)
class Raw:
    """Views on the parts of one arena (no copy)."""

    metadata: NDArray[np.uint8]
    """All bytes in front of the frames."""
    header: Table
    entries: Table
    nodes: Table
    mappings: Table
    spaces: Table
    xanodes: Table
    tables: Table
    pin_tops: NDArray[np.uint32]
    """Of each slot behind the workers': its pins lie below this place."""
    pins: Words
    """(16, 256): the pins of these slots."""
    slots: Table
    pieces: NDArray[np.uint8]
    """(workers, 32, 4096): the whole-page log of slot 1 and the next ones, a piece in each place; see `piece_of`."""
    frames: Words
    text: NDArray[np.uint8]
    """The layout as a layout file says it, in UTF-8; empty where a region was made of masks alone."""
    offset: dict[str, int]

    @property
    def nframes(self) -> int:
        """Number of frames."""
        return len(self.entries)

    @property
    def workers(self) -> int:
        """Slots 1 to this one exchange; those behind them are processes' and calls'."""
        return len(self.slots) - 1 - CALL_SLOTS

    @property
    def layout(self) -> Table:
        """The header's own masks over the flags word."""
        return self.header["layout"]


def read(arena: HasMemory) -> Raw:
    """Parses the header and cuts the region into its parts.

    Raises
    ------
    ArenaFormatError
        A magic, version, size or offset is not what version 2 of the format has.
    """
    memory = arena.memory
    if len(memory) < HEADER.itemsize:
        raise ArenaFormatError(f"an arena has a header of {HEADER.itemsize} bytes; this region has {len(memory)} bytes")
    header = memory[: HEADER.itemsize].view(HEADER)[0]
    # All of it before the first view is taken: an arena of another version must be refused, not misread.
    want = {"magic": b"PGXARENA", "endian": 0x01020304, "version": 2, "total": len(memory)}
    want |= {f"{part}_size": size for part, size in SIZE_OF.items()} | LIMITS
    for name, value in want.items():
        got = header[name].item()
        if got != value:
            raise ArenaFormatError(
                f"arena header: {name} is {got!r}, the oracle reads {value!r}", expected=value, got=got
            )
    if header["ready"] != 1:
        said = "the arena is not complete; who makes it is still at work, or died"
        raise ArenaFormatError(
            f"arena header: ready is {header['ready']}: {said}", expected=1, got=int(header["ready"])
        )
    page_size, shift, nframes, nslots = (int(header[n]) for n in ("page_size", "page_shift", "nframes", "nslots"))
    if not 3 <= shift < 64 or page_size != 1 << shift:
        raise ArenaFormatError(f"arena header: page size {page_size} is not 2^page_shift")
    if not CALL_SLOTS + 2 <= nslots <= 63:
        raise ArenaFormatError(f"arena header: {nslots} slots; from {CALL_SLOTS + 2} to 63 there may be")
    offset = {part: int(header[f"off_{part}"]) for part in PARTS}

    def part(name: str, dtype: np.dtype[Any], count: int) -> Table:
        # The header comes from a file or from a damaged arena: a view beyond the region would be a crash.
        start, end = offset[name], offset[name] + count * dtype.itemsize
        if start < HEADER.itemsize or end > len(memory):
            raise ArenaFormatError(
                f"arena header: {name} at {start}..{end} is outside the region of {len(memory)} bytes"
            )
        if name != "frames" and end > offset["frames"]:
            raise ArenaFormatError(
                f"arena header: {name} at {start}..{end} reaches into the frames at {offset['frames']}"
            )
        return memory[start:end].view(dtype)

    word, byte, workers = np.dtype("<u8"), np.dtype(np.uint8), nslots - 1 - CALL_SLOTS
    # The pins' part has a number of 32 bits for each of its rows in front of them.
    tops = CALL_SLOTS * 4
    pins = part("pins", byte, tops + CALL_SLOTS * PINS * 8)
    offset["text"] = int(header["off_text"])
    text = part("text", byte, int(header["text_size"]))
    return Raw(
        metadata=memory[: offset["frames"]],
        header=header,
        entries=part("entries", ENTRY, nframes),
        nodes=part("nodes", NODE, int(header["nnodes"])),
        mappings=part("mappings", MAPPING, int(header["nmappings"])),
        spaces=part("spaces", SPACE, int(header["nspaces"])),
        xanodes=part("xanodes", XANODE, int(header["nxanodes"])),
        tables=part("tables", PAGE_TABLE, int(header["ntables"])),
        pin_tops=pins[:tops].view(np.uint32),
        pins=pins[tops:].view(word).reshape(CALL_SLOTS, PINS),
        slots=part("slots", SLOT, nslots),
        text=text,
        pieces=part("pieces", byte, workers * 2 * PIECES * PIECE).reshape(workers, 2 * PIECES, PIECE),
        frames=part("frames", word, nframes * page_size // 8).reshape(nframes, page_size // 8),
        offset=offset,
    )


def piece_of(page_size: int) -> int:
    """Bytes of a piece of the whole-page log: a smaller page is one, and the rest of its place is not used."""
    return min(page_size, PIECE)


def counters_of(slots: Table, nnodes: int) -> Ints:
    """What each node holds, (nnodes, 4): the sum over all slots."""
    rows: Ints = slots["counter"].reshape(len(slots), MAX_NODES, len(COUNTERS)).sum(axis=0)[:nnodes]
    return rows
