"""The machine's nodes: which page was on which one, and which of them are the fast ones."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot.facts import Facts, Node
from pagexchange.pages.snapshot.proc import zoneinfo
from pagexchange.pages.snapshot.proc.tree import Tree

NOWHERE: Final = -1
"""The node of a frame that lies in no node's span, or in those of two."""


def read(tree: Tree, notes: list[str]) -> list[Node]:
    """The nodes as /proc/zoneinfo and /sys say them; none where they do not, with a note if what they say is wrong."""
    text = tree.text("zoneinfo")
    try:
        spans = zoneinfo.spans(text or "")
    except ValueError as error:
        notes.append(f"{tree.proc}/zoneinfo: {error}. On which node a page was is not known.")
        return []
    tiers = _tiers(tree)
    nodes: list[Node] = []
    for number, own in sorted(spans.items()):
        node: Node = {"number": number, "spans": own}
        cpus = tree.sys_text(f"devices/system/node/node{number}/cpulist")
        if cpus is not None:
            node["cpus"] = bool(cpus)
        if number in tiers:
            node["tier"] = tiers[number]
        nodes.append(node)
    return nodes


def of_frames(nodes: list[Node], pfn: NDArray[np.uint64]) -> NDArray[np.int32]:
    """int32[n]: number of the node of each frame, or NOWHERE.

    Nodes may lie inside each other: then a frame is on the inner one, where the outer one has a hole.
    """
    spans = [(start, end, node["number"]) for node in nodes for start, end in node["spans"]]
    spans.sort(key=lambda span: span[0] - span[1])  # the longest first: inner ones are written over it
    number = np.full(len(pfn), NOWHERE, dtype=np.int32)
    for start, end, node in spans:
        number[(pfn >= start) & (pfn < end)] = node
    for k, (start, end, node) in enumerate(spans):
        for other_start, other_end, other in spans[k + 1 :]:
            overlap = start < other_end and other_start < end
            inside = start <= other_start < other_end <= end and (start, end) != (other_start, other_end)
            if other != node and overlap and not inside:
                number[(pfn >= max(start, other_start)) & (pfn < min(end, other_end))] = NOWHERE
    return number


def pages(facts: Facts, pfn: NDArray[np.uint64]) -> dict[str, int]:
    """Node -> how many of these frames are on it; "none" where there are such; empty where no node is known."""
    known = facts.get("nodes", [])
    if not known or facts.get("partial"):
        return {}
    numbers, often = np.unique(of_frames(known, pfn), return_counts=True)
    return {
        "none" if number == NOWHERE else str(number): count
        for number, count in zip(numbers.tolist(), often.tolist(), strict=True)
    }


def sides(facts: Facts) -> tuple[list[int], list[int], str]:
    """The fast nodes, the slow ones, and by what they are told apart; both empty where there are no two with memory."""
    nodes = [node for node in facts.get("nodes", []) if node["spans"]]
    numbers = [node["number"] for node in nodes]
    if len(nodes) < 2:
        return [], [], ""
    tiers = {node["number"]: node["tier"] for node in nodes if "tier" in node}
    if len(tiers) == len(nodes) and len(set(tiers.values())) > 1:
        best = min(tiers.values())
        fast, why = [number for number in numbers if tiers[number] == best], "by memory tier"
    else:
        fast = [node["number"] for node in nodes if node.get("cpus", True)]
        why = "those with CPUs are fast"
        if not 0 < len(fast) < len(nodes):
            fast, why = numbers[:1], "by number, as nothing else tells them apart"
    return fast, [number for number in numbers if number not in fast], why


def _tiers(tree: Tree) -> dict[int, int]:
    """Node -> its memory tier as Linux numbers them: the lower, the faster."""
    tiers: dict[int, int] = {}
    folder = None if tree.sys is None else tree.sys / "devices/virtual/memory_tiering"
    for path in [] if folder is None else sorted(folder.glob("memory_tier*/nodelist")):
        number = re.fullmatch(r"memory_tier(\d+)", path.parent.name)
        for node in _listed(tree.sys_text(f"devices/virtual/memory_tiering/{path.parent.name}/nodelist") or ""):
            if number:
                tiers[node] = int(number.group(1))
    return tiers


def _listed(text: str) -> list[int]:
    """The numbers of a list as Linux writes them: `0-1,4`; none of what is no such list."""
    found: list[int] = []
    for part in text.split(","):
        ends = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part.strip())
        if ends:
            found += range(int(ends.group(1)), int(ends.group(2) or ends.group(1)) + 1)
    return found
