"""Where each part of an arena lies: checked and computed once, written to the header, read from there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index as as_int
from typing import Any, Final

from pagexchange_native.arena.backing import HUGE
from pagexchange_native.arena.places import Place, Span, border

_PAGE: Final = 4096
_ON_A_PAGE: Final = ("pieces", "entries")
"""Parts that begin at a multiple of `_PAGE` bytes; the others at one of 64, a cache line."""

_TEXT: Final = 16 << 20
"""Bytes of a layout's text at most, as of every configuration file."""


@dataclass(frozen=True, slots=True)
class Format:
    """What `arena.h` says of sizes; the compiled module knows them."""

    header: int
    """Bytes."""
    items: Mapping[str, int]
    """Part -> bytes of one item."""
    call_slots: int
    """Behind those of the workers: of processes and of calls."""
    slots: int
    """At most, in all."""
    pieces: int
    """Of one worker: half as many pairs of pieces fit into its whole-page log."""
    smallest: int
    """Bytes of a frame, at least."""
    nodes: int
    """At most."""


def is_page_size(size: int, smallest: int) -> bool:
    """Whether frames can have this size."""
    return smallest <= size <= HUGE and not size & (size - 1)


def check_page_size(page_size: int, smallest: int) -> None:
    """ValueError if frames cannot have this size."""
    if not is_page_size(page_size, smallest):
        raise ValueError(f"page_size {page_size}: want a power of two from {smallest} to {HUGE} bytes")


class Geometry:
    """What `Region.create` is asked for, checked: ValueError says what is wrong and what would be right.

    `names` and `sizes` (frames) of the nodes; `marks`, the (min, low, high) of every node, or None: from its size;
    `parts`, name -> (byte offset, count, bytes of one item); `metadata`, bytes before the frames; `total`, bytes of the
    whole region; `text`, the layout's; `huge`, as the header has it; `spans`, of the frames of each node.
    """

    def __init__(
        self,
        form: Format,
        *,
        page_size: int,
        nodes: Sequence[tuple[str, int]],
        places: Sequence[Place] = (),
        layout: Mapping[str, Any],
        hugetlb: bool,
        thp: bool,
        workers: int,
        mappings: int,
        spaces: int,
        xa_nodes: int | None,
        page_tables: int | None,
        watermarks: tuple[int, int, int] | None,
    ) -> None:
        self.page_size = as_int(page_size)
        check_page_size(self.page_size, form.smallest)
        self._check_nodes(nodes, form.nodes)
        nframes = sum(self.sizes)
        if nframes >= 1 << 31 or nframes * self.page_size > 1 << 46:
            raise ValueError(f"{nframes} frames of {self.page_size} bytes: at most 2^31 - 1 frames and 64 TiB")
        for name, value, top in (
            ("workers", workers, form.slots - 1 - form.call_slots),
            ("mappings", mappings, 1 << 24),
            ("spaces", spaces, 1 << 24),
            # An entry of a page table is a number of 32 bits, and so is a node's.
            ("xa_nodes", 1 if xa_nodes is None else xa_nodes, (1 << 32) - 2),
            ("page_tables", 1 if page_tables is None else page_tables, (1 << 26) - 1),
        ):
            if not 1 <= as_int(value) <= top:
                raise ValueError(f"{name} {value}: want 1 to {top}")
        self.marks = None if watermarks is None else tuple(as_int(mark) for mark in watermarks)
        if self.marks is not None and (
            len(self.marks) != 3 or not 0 <= self.marks[0] <= self.marks[1] <= self.marks[2] < 1 << 31
        ):
            raise ValueError(f"watermarks {watermarks}: want min <= low <= high, three numbers of frames")
        most = 1 << layout["node_width"]
        if layout["node_width"] and len(self.names) > most:
            raise ValueError(f"layout {layout['name']!r} has {layout['node_width']} node bits: at most {most} nodes")
        # Dense arrays need a node for 64 pages; one tenth more, and some for each small mapping.
        if xa_nodes is None:
            xa_nodes = nframes // 58 + 2 * int(mappings) + 2 * int(spaces) + 64
        if page_tables is None:
            page_tables = nframes // 58 + 2 * int(spaces) + 16
        nslots = 1 + int(workers) + form.call_slots  # slot 0 marks nothing
        counts = {
            "nodes": len(self.names),
            "slots": nslots,
            "pins": form.call_slots,
            "pieces": int(workers) * form.pieces,
            "mappings": int(mappings),
            "spaces": int(spaces),
            "entries": nframes,
            "xanodes": int(xa_nodes),
            "tables": int(page_tables),
        }
        # Names and meanings of the bits, which masks do not tell: whoever attaches makes its layout of them.
        self.text = str(layout.get("text", "")).encode()
        if len(self.text) > _TEXT:
            raise ValueError(f"layout {layout['name']!r}: {len(self.text)} bytes of text; want at most {_TEXT}")
        counts["text"] = len(self.text)
        self.huge = 2 if hugetlb else 1 if thp else 0
        at = _align(form.header, _PAGE)
        self.parts = {}
        for part, count in counts.items():
            at = _align(at, _PAGE if part in _ON_A_PAGE else 64)
            self.parts[part] = (at, count, form.items[part])
            at += count * form.items[part]
        whole = border(places, self.page_size, huge=hugetlb or thp)
        # Frames smaller than that do not share a page with the metadata: where it breaks, only what they hold is lost.
        self.metadata = _align(at, HUGE if hugetlb or thp else max(whole, _PAGE))
        self.parts["frames"] = (self.metadata, nframes, self.page_size)
        # A huge page lies in the file as a whole, so the last block is made full.
        self.total = _align(self.metadata + nframes * self.page_size, HUGE if hugetlb or thp else self.page_size)
        self.spans = self._spans(places, whole)

    def _spans(self, places: Sequence[Place], whole: int) -> list[Span]:
        """Where each node's frames are. ValueError: a place is wrong, or two nodes would share what lies in one."""
        if places and len(places) != len(self.names):
            raise ValueError(f"{len(places)} places for {len(self.names)} nodes: want one for each, or none")
        spans: list[Span] = []
        wrong: list[str] = []
        at = self.metadata
        for name, frames, place in zip(self.names, self.sizes, places or [Place()] * len(self.names), strict=True):
            size = frames * self.page_size
            wrong += [f"node {name!r}: {problem}" for problem in place.problems()]
            if any(places) and size % whole:
                wrong.append(f"node {name!r}: {size} bytes; want a multiple of {whole}: two nodes cannot share a page")
            spans.append(Span(name, at, size, place))
            at += size
        if wrong:
            raise ValueError("; ".join(wrong))
        return spans

    def _check_nodes(self, nodes: Sequence[tuple[str, int]], most: int) -> None:
        if not 1 <= len(nodes) <= most:
            raise ValueError(f"{len(nodes)} nodes: want 1 to {most}")
        try:
            self.names = [str(name) for name, _ in nodes]
            self.sizes = [as_int(frames) for _, frames in nodes]
        except (TypeError, ValueError):
            raise ValueError(f"nodes {nodes!r:.80}: want (name, number of frames) for each") from None
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"node names are not unique: {', '.join(self.names)}")
        for name, frames in zip(self.names, self.sizes, strict=True):
            if not 0 < len(name.encode()) < 32 or "\0" in name:
                raise ValueError(f"node name {name!r}: want 1 to 31 bytes, none of them 0")
            if frames < 1:
                raise ValueError(f"node {name!r}: {frames} frames; want at least 1")


def _align(value: int, to: int) -> int:
    return -(-value // to) * to
