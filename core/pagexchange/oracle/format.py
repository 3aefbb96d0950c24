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
ANON = 1
PINS = 8
TABLE_SLOTS = 64
MARKS = 3
SLOT_LOG = 64  # byte offset of a slot's log
PTE_PRESENT, PTE_MIGRATION, PTE_BITS = 1, 2, 0xFFF
COUNTERS = ("file", "shmem", "anonymous", "dirty")

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
            item = inner.get(kind) or np.dtype(f"<{kind}" if kind[0] == "u" else kind)
            fields.append((name, item, int(count)) if count else (name, item))
    return np.dtype(fields)


ENTRY = _struct(
    "u8 flags; u4 refs mapcount; u8 mapping index private; u4 rmap owner next prev head; u1 order state held pad"
)
XARRAY = _struct("u8 head; u4 lock seq flags pad")
XANODE = _struct(
    "u1 shift offset count used; u4 parent; u8 array; u4 next pad0; u8 marks*3 pad1*2 slot*64",
)
MAPPING = _struct("xarray pages; u4 used aops shmem generation; u8 nr_pages pad1*2; S64 name", xarray=XARRAY)
SPACE = _struct("xarray tables; u4 used lock; u8 nr_ptes nr_anon; u4 generation pad0; u8 pad1; S64 name", xarray=XARRAY)
PTE = _struct("u8 pte; u4 next pad")
PAGE_TABLE = _struct("u4 space count; u8 base; u4 next pad0; u8 pad1*5; pte pte*64", pte=PTE)
NODE = _struct(
    "S32 name; u8 start frames; u4 lock number; u8 wm_min wm_low wm_high free asked got below_low below_min counter*4;"
    "u4 list*10 pad0*2; u8 pad1*7"
)
POOL = _struct("u4 lock free_head free fresh")
LAYOUT = _struct(
    f"S32 name; u8 swap stay refuse {' '.join(ROLES)} tail_broken; u4 node_shift node_width zone_shift zone_width;"
    "u8 tail_swap tail_refuse"
)
HEADER = _struct(
    "S8 magic; u4 endian version;"
    f"u4 {' '.join(f'{name}_size' for name in _SIZES.split())} batch chunk pieces;"
    "u8 compat ro_compat incompat total page_size nframes;"
    "u4 page_shift nnodes nslots nmappings nspaces nxanodes ntables pid;"
    f"u8 {' '.join(f'off_{part}' for part in PARTS)};"
    "V16 uuid boot_id; pool xanodes tables; layout layout",
    pool=POOL,
    layout=LAYOUT,
)
SIZE_OF = {"entry": 64, "pair": 192, "node": 256, "mapping": 128, "space": 128, "xanode": 576, "table": 1088}


class HasMemory(Protocol):
    """Whatever shows an arena's bytes: a `Region`, an `Arena`, a test's own array."""

    @property
    def memory(self) -> NDArray[np.uint8]:
        """The whole region, uint8[total], without a copy."""
        ...


@dataclass(frozen=True)
class Raw:
    """Views on the parts of one arena (no copy). `slots` shows each slot's first 64 bytes as words."""

    metadata: NDArray[np.uint8]
    """All bytes in front of the frames."""
    header: Table
    entries: Table
    nodes: Table
    mappings: Table
    spaces: Table
    xanodes: Table
    tables: Table
    pins: Words
    slots: Words
    frames: Words
    offset: dict[str, int]

    @property
    def nframes(self) -> int:
        """Number of frames."""
        return len(self.entries)

    @property
    def layout(self) -> Table:
        """The header's own masks over the flags word."""
        return self.header["layout"]


def read(arena: HasMemory) -> Raw:
    """Parses the header and cuts the region into its parts.

    Raises
    ------
    ArenaFormatError
        A magic, version, size or offset is not what version 1 of the format has.
    """
    memory = arena.memory
    if len(memory) < HEADER.itemsize:
        raise ArenaFormatError(f"an arena has a header of {HEADER.itemsize} bytes; this region has {len(memory)} bytes")
    header = memory[: HEADER.itemsize].view(HEADER)[0]
    # All of it before the first view is taken: an arena of another version must be refused, not misread.
    want = {"magic": b"PGXARENA", "endian": 0x01020304, "version": 1, "total": len(memory)}
    want |= {f"{part}_size": size for part, size in SIZE_OF.items()}
    for name, value in want.items():
        got = header[name].item()
        if got != value:
            raise ArenaFormatError(
                f"arena header: {name} is {got!r}, the oracle reads {value!r}", expected=value, got=got
            )
    page_size, shift, nframes, slot_size = (int(header[n]) for n in ("page_size", "page_shift", "nframes", "slot_size"))
    if not 3 <= shift < 64 or page_size != 1 << shift:
        raise ArenaFormatError(f"arena header: page size {page_size} is not 2^page_shift")
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

    word = np.dtype("<u8")
    nslots = int(header["nslots"])
    slots = part("slots", word, nslots * slot_size // 8).reshape(nslots, slot_size // 8)
    return Raw(
        metadata=memory[: offset["frames"]],
        header=header,
        entries=part("entries", ENTRY, nframes),
        nodes=part("nodes", NODE, int(header["nnodes"])),
        mappings=part("mappings", MAPPING, int(header["nmappings"])),
        spaces=part("spaces", SPACE, int(header["nspaces"])),
        xanodes=part("xanodes", XANODE, int(header["nxanodes"])),
        tables=part("tables", PAGE_TABLE, int(header["ntables"])),
        pins=part("pins", word, nslots * PINS).reshape(nslots, PINS),
        slots=slots[:, : SLOT_LOG // 8],
        frames=part("frames", word, nframes * page_size // 8).reshape(nframes, page_size // 8),
        offset=offset,
    )
