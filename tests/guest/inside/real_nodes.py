"""An arena whose nodes are bound to real nodes, one of them without a processor: where its frames lie.

Linux is asked with move_pages(2) through calls of our own, and not through those that the arena was bound with.
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

import pagexchange
from pagexchange.arena.given_nodes import NodeTable
from pagexchange.arena.lying import lie
from tests.guest.inside import calls

PAGES = 512
SIZE = "4 MiB"


def main() -> int:
    """Return how many things are not as they should be."""
    return sum((_pair(0, 1), _pair(1, 0), _pair(0, 2), _interleaved(), _refused()))


def _pair(first: int, second: int) -> int:
    """Exchange pages between two real nodes: contents trade places, frames stay where they are."""
    with pagexchange.Arena.create({"fast": _node(first), "slow": _node(second)}) as arena:
        fast, slow = arena.alloc("fast", PAGES), arena.alloc("slow", PAGES)
        arena.frames[slow] = slow[:, None]
        before = _places(arena)
        done = bool(arena.exchange(np.column_stack([slow, fast]), "list-exchange"))
        swapped = bool((arena.frames[fast] == slow[:, None]).all())
        good = done and swapped and before == _places(arena) == [{first: 1024}, {second: 1024}]
        agrees = [one.on for one in lie(arena)] == before
    return _said(f"fast bound to node {first}, slow to node {second}; {PAGES} pairs exchanged", before, good and agrees)


def _interleaved() -> int:
    """Every other page on another node."""
    with pagexchange.Arena.create({"both": _node([0, 1])}) as arena:
        places = _places(arena)[0]
    return _said("interleaved over nodes 0 and 1", [places], places == {0: 512, 1: 512})


def _refused() -> int:
    """A node that there is not, in words, and no arena."""
    try:
        pagexchange.Arena.create({"fast": _node(0), "slow": _node(7)}).close()
    except pagexchange.PagexchangeError as error:
        return _said("bound to node 7", str(error), "7" in str(error))
    return _said("bound to node 7", "an arena", False)


def _node(numa: int | list[int]) -> NodeTable:
    return {"size": SIZE, "numa": numa}


def _places(arena: pagexchange.Arena) -> list[dict[int, int]]:
    """Node of the arena by node: real node -> how many frames lie there. Reading maps a frame here."""
    arena.frames[:, 0].sum()
    start = arena.frames.__array_interface__["data"][0]
    found = []
    for node in arena.nodes:
        pfns = range(node["start"], node["start"] + node["frames"])
        found.append(dict(sorted(Counter(calls.nodes([start + pfn * arena.page_size for pfn in pfns])).items())))
    return found


def _said(what: str, seen: object, good: bool) -> int:
    print(f"{what}: {seen}: {'as it should be' if good else 'WRONG'}", flush=True)
    return not good


if __name__ == "__main__":
    sys.exit(main())
