"""The allocator's side of an arena: every free frame is in one block of one list, and the counts say so."""

import numpy as np

from pagexchange.oracle.capture import State
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import FREE, INNER, MAX_ORDER, Ints


def _walk_list(start: int, limit: int, lo: int, hi: int, links: memoryview) -> tuple[list[int], int]:
    """The frames of one list, and the link (pfn + 1) at which it leaves its node or grows past `limit`; else 0."""
    frames: list[int] = []
    link = start
    while link:
        pfn = link - 1
        if not lo <= pfn < hi or len(frames) > limit:
            return frames, link
        frames.append(pfn)
        link = links[pfn]
    return frames, 0


def check_free_lists(state: State, findings: Collector) -> None:
    """Follows each list of each node; checks links, states, orders, overlap, lost frames and free counts."""
    e, n = state.entries, state.nframes
    # How many free blocks lie over each frame, as a difference: +1 at a block's first frame, -1 behind its last.
    cover = np.zeros(n + 1, np.int64)
    # Lists are followed link by link in Python; a memoryview gives plain ints, an array NumPy scalars.
    links = np.ascontiguousarray(e["next"]).data
    for number, node in enumerate(state.nodes):
        lo = int(node["start"])
        hi = min(lo + int(node["frames"]), n)
        total = 0
        for order in range(MAX_ORDER + 1):
            frames, left = _walk_list(int(node["list"][order]), hi - lo, lo, hi, links)
            if left:
                ring = lo <= left - 1 < hi
                why = "runs in a ring" if ring else f"goes to frame {left - 1}, outside the node"
                findings.add("free-list", left - 1, 0, left, f"free list of node {number}, order {order}, {why}")
            # After a ring or a stray link the frames before it are still looked at, each once.
            blocks = np.unique(np.asarray(frames, np.int64)) if left else np.asarray(frames, np.int64)
            if not len(blocks):
                continue
            total += len(blocks) << order
            _check_blocks(state, blocks, order, hi, findings)
            np.add.at(cover, blocks, 1)
            np.add.at(cover, np.minimum(blocks + (1 << order), n), -1)
        if total != int(node["free"]):
            sentence = f"node {number} counts {node['free']} free frames, its lists hold {total}"
            findings.add("free-count", number, total, int(node["free"]), sentence)
    listed = np.cumsum(cover[:-1])
    pfns = np.arange(n)
    free = e["state"] == FREE
    findings.add_where(
        "leak",
        free & (listed == 0),
        pfns,
        1,
        0,
        lambda p, *_: f"frame {p} is free and on no free list: leaked or the list was cut",
    )
    findings.add_where("free-list", listed > 1, pfns, 1, listed, lambda p, _, g: f"frame {p} lies in {g} free blocks")
    findings.add_where(
        "free-list",
        ~free & (listed > 0),
        pfns,
        FREE,
        e["state"],
        lambda p, _, g: f"frame {p} is on a free list and has state {g}",
    )
    kept = free & ((e["refs"] != 0) | (e["mapcount"] != 0) | (e["mapping"] != 0) | (e["held"] != 0))
    findings.add_where(
        "free-page", kept, pfns, 0, e["refs"], lambda p, *_: f"frame {p} is free and still has references or a mapping"
    )


def _check_blocks(state: State, blocks: Ints, order: int, hi: int, findings: Collector) -> None:
    """The blocks of one list, in its order: orders, back links, alignment, and the frames inside."""
    e = state.entries
    rows = e[blocks]
    findings.add_where(
        "free-list", rows["order"] != order, blocks, order, rows["order"],
        lambda p, w, g: f"free block {p} is on the list of order {w} and says order {g}",
    )  # fmt: skip
    prev = np.concatenate([[0], blocks[:-1] + 1])
    findings.add_where(
        "free-list", rows["prev"] != prev, blocks, prev, rows["prev"],
        lambda p, w, g: f"free block {p}: its back link is {g}, must be {w} (pfn + 1)",
    )  # fmt: skip
    odd = (blocks & ((1 << order) - 1) != 0) | (blocks + (1 << order) > hi)
    findings.add_where(
        "free-list",
        odd,
        blocks,
        order,
        blocks,
        lambda p, w, _: f"free block {p} of order {w} is not aligned or leaves its node",
    )
    if order:
        inner = (blocks[:, None] + np.arange(1, 1 << order))[~odd].ravel()
        wrong = (e["order"][inner] != INNER) & (e["state"][inner] == FREE)
        findings.add_where(
            "free-list",
            wrong,
            inner,
            INNER,
            e["order"][inner],
            lambda p, _, g: f"frame {p} lies inside a free block and says order {g}",
        )
