"""Layouts to judge under: both that ship, one with flags that no plug-in knows, and the file's own."""

import dataclasses
from functools import cache
from typing import Final

from pagexchange.model.layout import Flag, Layout

SHIPPED: Final = tuple(Layout.available())
UNKNOWN: Final = "unknown-flag"
"""A layout with two flags that no plug-in can have heard of: one moves, one stays."""
NEW_FLAGS: Final = ("added_later", "frame_later")
"""Their names."""
OWN: Final = "own-layout"
"""The layout that the strategies file brings along."""


@cache
def layout_named(name: str) -> Layout:
    """Return a layout by the name that stands in test ids."""
    return _with_unknown_flags() if name == UNKNOWN else Layout.load(name)


def _with_unknown_flags() -> Layout:
    """The first shipped layout with room for two more flags, with them."""
    layout, free = next((shipped, bits) for shipped in map(Layout.load, SHIPPED) if len(bits := _free(shipped)) >= 2)
    new = (
        Flag(NEW_FLAGS[0], free[0], "swap", "belongs to the page; newer than every plug-in"),
        Flag(NEW_FLAGS[1], free[1], "stay", "belongs to the frame; newer than every plug-in"),
    )
    flags = tuple(sorted((*layout.flags, *new), key=lambda flag: flag.bit))
    return dataclasses.replace(layout, name=UNKNOWN, flags=flags)


def _free(layout: Layout) -> list[int]:
    taken = sum(flag.mask for flag in layout.flags) | sum(field.mask for field in layout.fields)
    return [bit for bit in range(64) if not taken >> bit & 1]
