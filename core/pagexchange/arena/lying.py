"""Where the frames of an arena really lie: Linux is asked page by page, since what was asked for is no proof."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from pagexchange.arena.frame import LaidOutRegion
from pagexchange_native.arena import real_nodes
from pagexchange_native.arena.places import Place
from pagexchange_native.arena.real_nodes import several

MOST: Final = 1 << 16
"""Frames of a node that are looked at, spread evenly."""


@dataclass(frozen=True, slots=True)
class Lying:
    """Where the frames of one node of an arena lie. Of each frame its first page is looked at."""

    name: str
    asked: tuple[int, ...]
    """Real nodes that it was bound to; empty: to none."""
    place: str
    """The same in words, or the device or folder that the frames are in."""
    looked_at: int = 0
    """Frames."""
    on: dict[int, int] = field(default_factory=dict)
    """Real node -> how many of them."""
    untouched: int = 0
    """How many this process has not touched yet."""
    why: str = ""
    """Why Linux does not say; empty: it does."""

    @property
    def elsewhere(self) -> int:
        """Frames that are on another node than they were bound to."""
        return sum(count for node, count in self.on.items() if self.asked and node not in self.asked)

    def values(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {
            "asked": list(self.asked), "place": self.place, "looked_at": self.looked_at,
            "on": {str(node): count for node, count in self.on.items()}, "elsewhere": self.elsewhere,
            "untouched": self.untouched, "why": self.why,
        }  # fmt: skip


def lie(arena: LaidOutRegion) -> list[Lying]:
    """Return where the frames of each node lie, in the order of the nodes; at most `MOST` of each are looked at."""
    places = arena.places or (Place(),) * len(arena.nodes)
    offset, _, page = arena.geometry()["frames"]
    first = arena.memory.__array_interface__["data"][0] + offset
    return [
        _lying(place, str(node["name"]), first + int(node["start"]) * page, int(node["frames"]), page)
        for node, place in zip(arena.nodes, places, strict=True)
    ]


def _lying(place: Place, name: str, first: int, frames: int, page: int) -> Lying:
    said, looked_at = str(place) if place else "", min(frames, MOST)
    chosen = np.arange(looked_at, dtype=np.uint64) * np.uint64(frames) // np.uint64(looked_at)
    try:
        status = real_nodes.HERE.where(np.uint64(first) + chosen * np.uint64(page))
    except OSError as error:
        return Lying(name, place.numa, said, why=error.strerror or str(error))
    untouched = int(np.count_nonzero(status == -errno.ENOENT))
    nodes, counts = np.unique(status[status >= 0], return_counts=True)
    unsaid = looked_at - untouched - int(counts.sum())
    why = f"Linux does not say it of {unsaid} frames, as of memory that it has no pages for" if unsaid else ""
    on = dict(zip(nodes.tolist(), counts.tolist(), strict=True))
    return Lying(name, place.numa, said, looked_at, on, untouched, why)


def words(lying: Sequence[Lying]) -> str:
    """Return it on a line: `fast on node 0, slow on node 1`; empty on a machine of one node, unless asked."""
    if not any(one.place for one in lying) and len(real_nodes.HERE.with_memory()) < 2:
        return ""
    return ", ".join(f"{one.name} {_where(one)}" for one in lying)


def _where(one: Lying) -> str:
    seen = sum(one.on.values())
    inside = f"in {one.place}" if one.place and not one.asked else ""
    if not seen:
        return inside or ("where Linux does not say" if one.why else "nowhere yet")
    if len(one.on) == 1:
        where = f"on node {next(iter(one.on))}"
    else:
        where = "on " + " and ".join(f"node {node} ({count / seen:.0%})" for node, count in one.on.items())
    return f"{inside} {where}".strip()


def remarks(lying: Sequence[Lying]) -> list[str]:
    """Return what there is to say of it, in sentences: what is not where it should be, and two nodes that are one."""
    found: list[str] = []
    for one in lying:
        if one.elsewhere:
            found.append(
                f"Node {one.name!r} is bound to {one.place}, and {one.elsewhere:,} of the {sum(one.on.values()):,} "
                "frames that were looked at lie elsewhere: Linux has moved them, as it demotes pages of full nodes."
            )
        elif one.asked and one.why:
            found.append(f"Whether node {one.name!r} lies on {one.place} is not known: {one.why}.")
    there = real_nodes.HERE.with_memory()
    on = {node for one in lying for node in one.on}
    if any(one.asked for one in lying) and len(lying) > 1 and len(on) == 1:
        found.append(f"All nodes of the arena lie on {several(sorted(on))}: one memory, and one speed.")
    elif len(there) > 1 and on and not any(one.place for one in lying):
        found.append(
            f"This machine has memory on {several(there)}, and the arena's nodes are not bound to them: "
            "see numa in [arena] nodes."
        )
    return found
