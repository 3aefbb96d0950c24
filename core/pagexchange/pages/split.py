"""Puts a snapshot's folios on the arena's two nodes: as they were on the machine's, or drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.folios import Folios
from pagexchange.pages.placement import Split
from pagexchange.pages.snapshot import Snapshot, nodes


def on_nodes(
    snapshot: Snapshot, recorded: Folios, split: float | str | None, random: np.random.Generator
) -> tuple[NDArray[np.uint8], Split]:
    """0 for the pages of the first node, 1 for the others; and what was done."""
    n = len(recorded.row)
    if split == "interleave":
        return (np.arange(n) % 2).astype(np.uint8), Split("interleave", "nodes: every other folio is on the first one")
    if split == "halves":
        upper: NDArray[np.bool_] = np.cumsum(recorded.size) > recorded.size.sum() // 2
        return upper.astype(np.uint8), Split("halves", "nodes: the lower half of the frames is on the first one")
    if split in (None, "real"):
        side, why_not = _real_sides(snapshot, recorded)
        if not why_not:
            return _real(snapshot, side, random)
        if split == "real":
            raise SnapshotError(f"split = 'real': {why_not}")
        sentence = f"nodes are drawn by the seed: {why_not}"
    else:
        sentence = f"nodes are drawn by the seed, as split = {split} says"
    share = 0.5 if split is None else split
    if isinstance(share, str) or not 0 <= share <= 1:
        raise ValueError(f"split {split!r}: a share from 0 to 1, 'real', 'interleave' or 'halves' is expected")
    return (random.random(n) >= share).astype(np.uint8), Split("drawn", sentence)


def _real_sides(snapshot: Snapshot, recorded: Folios) -> tuple[NDArray[np.int8], str]:
    """0 for folios that were on the machine's fast nodes, 1 on the slow ones, -1 on none; and why that cannot be kept.

    The reason is empty where it can.
    """
    none = np.zeros(0, np.int8)
    if snapshot.partial:
        return none, "the snapshot's frame numbers are made up, so it does not say on which node a page was"
    if not snapshot.facts.get("nodes"):
        return none, "the snapshot does not say on which node a page was"
    fast, slow, _ = nodes.sides(snapshot.facts)
    if not fast:
        return none, "the machine of the snapshot has one node with memory"
    number = nodes.of_frames(snapshot.facts["nodes"], snapshot.pfn[recorded.row])
    side = np.where(np.isin(number, fast), 0, np.where(np.isin(number, slow), 1, -1)).astype(np.int8)
    for which, those, what in ((0, fast, "fast"), (1, slow, "slow")):
        if not (side == which).any():
            return none, f"no page of the snapshot was on a {what} node ({_listed(those)})"
    return side, ""


def _real(snapshot: Snapshot, side: NDArray[np.int8], random: np.random.Generator) -> tuple[NDArray[np.uint8], Split]:
    fast, slow, why = nodes.sides(snapshot.facts)
    nowhere = int((side < 0).sum())
    drawn = random.random(len(side)) >= 0.5
    sentence = f"nodes as they were: fast {_listed(fast)}, slow {_listed(slow)} ({why})"
    if nowhere:
        sentence += f"; {nowhere} folios were on none of them and are drawn by the seed"
    return np.where(side < 0, drawn, side == 1).astype(np.uint8), Split("real", sentence, nowhere)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
