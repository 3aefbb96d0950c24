"""Reads /proc/zoneinfo: which frames belong to which node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone of a node that has memory."""

    node: int
    start: int
    """First frame number."""
    spanned: int
    """Frames from the first to the last one; holes are counted."""
    managed: int
    """Frames that the allocator has."""


def zones(text: str) -> Iterator[Zone]:
    """The zones in the order of the file, those without memory too.

    Raises
    ------
    ValueError
        A zone with memory does not say where it begins.
    """
    for part in re.split(r"^(?=Node \d+, zone)", text, flags=re.M):
        head = re.match(r"Node (\d+), zone\s+(\S+)", part)
        if not head:
            continue
        spanned, managed, start = (_number(name, part) for name in ("spanned", "managed", "start_pfn:"))
        if spanned and start is None:
            raise ValueError(f"node {head.group(1)}, zone {head.group(2)}: {spanned} frames and no start_pfn")
        yield Zone(int(head.group(1)), start or 0, spanned or 0, managed or 0)


def managed(text: str) -> int:
    """Frames that all allocators together have; 0 where the text does not say."""
    try:
        return sum(zone.managed for zone in zones(text))
    except ValueError:
        return 0


def spans(text: str) -> dict[int, list[tuple[int, int]]]:
    """Node -> its stretches of frames, (first, last + 1), ascending; none for a node without memory.

    Raises
    ------
    ValueError
        As `zones`.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    for zone in sorted(zones(text), key=lambda zone: (zone.node, zone.start)):
        own = found.setdefault(zone.node, [])
        if not zone.spanned:
            continue
        end = zone.start + zone.spanned
        if own and zone.start <= own[-1][1]:  # zones lie side by side; of a node that is all there is to know
            own[-1] = (own[-1][0], max(end, own[-1][1]))
        else:
            own.append((zone.start, end))
    return found


def active(text: str) -> list[int]:
    """Pages that Linux counts as active, for each node and kind; of those that are on lists."""
    return [int(count) for count in re.findall(r"^\s+nr_active_(?:anon|file)\s+(\d+)\s*$", text, re.M)]


def _number(name: str, part: str) -> int | None:
    found = re.search(rf"^\s+{name}\s+(\d+)\s*$", part, re.M)
    return int(found.group(1)) if found else None
