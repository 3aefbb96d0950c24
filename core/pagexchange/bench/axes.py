"""The points of the axes: what is the same for all cells that are compared with each other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, Final

from pagexchange.model.config import AXES, CACHES, Backing, BenchConfig, Load, Population, Sorting
from pagexchange.model.sizes import format_size, parse_size
from pagexchange.model.words import counted

DRAM: Final = 256 << 20
"""Bytes of pages that no cache holds, at least."""
USUAL: Final[dict[str, int]] = {"l1": 32 << 10, "l2": 1 << 20, "l3": 16 << 20}
"""Bytes of caches on a machine that does not say."""
_NAMES: Final = {"l1": "L1d", "l2": "L2", "l3": "L3"}
PAGES: Final[dict[Population, str]] = {
    "half": "half file, half anonymous", "anon": "anonymous pages", "file": "file pages",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """One value of each axis."""

    size: int
    """Bytes of pages in pairs, both nodes together."""
    page_size: int = 4096
    order: int = 0
    batch: int = 128
    """Pairs of one call at most."""
    threads: int = 1
    backing: Backing = "base"
    sorting: Sorting = "random"
    pages: Population = "half"
    load: Load = "idle"

    @property
    def folio(self) -> int:
        """Bytes of a folio."""
        return self.page_size << self.order

    @property
    def pairs(self) -> int:
        """Pairs of the whole set."""
        return self.size // 2 // self.folio

    @property
    def frames(self) -> int:
        """Frames of each node that are in pairs."""
        return self.pairs << self.order

    def values(self) -> dict[str, Any]:
        """Axis -> value, as in a run folder."""
        return {axis: getattr(self, axis) for axis in AXES}

    def words(self, axes: tuple[str, ...] | list[str] = AXES) -> str:
        """Some axes of the point, for people."""
        said = {
            "size": format_size(self.size),
            "page_size": f"frames of {format_size(self.page_size)}",
            "order": f"folios of {format_size(self.folio)}",
            "batch": f"{counted(self.batch, 'pair')} per call",
            "threads": counted(self.threads, "thread"),
            "backing": {"base": "base pages", "thp": "huge pages asked for", "hugetlb": "hugetlb"}[self.backing],
            "sorting": f"{self.sorting} lists",
            "pages": PAGES[self.pages],
            "load": "idle" if self.load == "idle" else "another process copies memory",
        }
        return ", ".join(said[axis] for axis in AXES if axis in axes)


@dataclass(frozen=True, slots=True)
class Points:
    """All points of a plan, and those that there are not."""

    points: tuple[Point, ...]
    left_out: tuple[str, ...]
    """Why others are missing, a sentence each."""


def sizes(given: tuple[int | str, ...], caches: dict[str, int] | None) -> list[int]:
    """Return bytes for each size, those of caches by what the machine has: `environment.collect()["cpu"]["caches"]`."""
    known = {name: (caches or {}).get(_NAMES[name], usual) for name, usual in USUAL.items()}
    last = max(known.values())
    # Half of a cache: the other half is for entries, tables and lists, and for everybody else.
    meant = {name: size // 2 for name, size in known.items()} | {"dram": max(DRAM, 8 * last)}
    return [meant[text] if text in CACHES else parse_size(text) for text in given]


def points(config: BenchConfig, caches: dict[str, int] | None, cpus: int) -> Points:
    """Return every combination of the axes that this machine can have.

    Parameters
    ----------
    caches
        Bytes by name, None where the machine does not say.
    cpus
        How many may be used.
    """
    axes = {axis: getattr(config, axis) for axis in AXES}
    axes["size"] = sizes(config.size, caches)
    axes["page_size"] = [parse_size(text) for text in config.page_size]
    found: dict[Point, None] = {}
    left_out: dict[str, None] = {}
    for values in itertools.product(*axes.values()):
        point = Point(*values)
        if why := _impossible(point, cpus):
            left_out[why] = None
            continue
        fit = min(point.batch, point.pairs)
        if fit < point.batch:
            small = f"{format_size(point.size)} of {format_size(point.folio)} folios"
            left_out[f"{small}: lists have {counted(fit, 'pair')}, all that there are"] = None
        found[_trimmed(point, fit)] = None
    return Points(tuple(found), tuple(left_out))


def _trimmed(point: Point, fit: int) -> Point:
    """A point whose lists have as many pairs as there are, and whose size is that of whole pairs."""
    return replace(point, size=2 * point.pairs * point.folio, batch=fit)


def _impossible(point: Point, cpus: int) -> str:
    if point.pairs < point.threads:
        size, folio = format_size(point.size), format_size(point.folio)
        return f"{size}: less than one pair of {folio} folios for each of {counted(point.threads, 'thread')}"
    if point.threads > cpus:
        return f"{counted(point.threads, 'thread')}: {counted(cpus, 'CPU')} can be used"
    if point.load == "busy" and point.threads >= cpus:
        return f"load beside {counted(point.threads, 'thread')}: takes one CPU more than the {cpus} that can be used"
    if (point.folio << 1) > 2 << 40:
        return f"order {point.order} of {format_size(point.page_size)}: a folio of {format_size(point.folio)}"
    return ""
