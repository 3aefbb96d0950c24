"""What an arena must look like after migrations: each page in the frame that it was placed in, the one it left free."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pagexchange.oracle.capture import State
from pagexchange.oracle.expect import PAGE_FIELDS, Expected, forbidden, inverse
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import FREE, TAIL, USED, Bools, Ints, Words
from pagexchange.oracle.invariants import node_of
from pagexchange.oracle.stamp import within


@dataclass(frozen=True)
class Migration:
    """One call that migrates pages."""

    pfns: ArrayLike
    """(n,) first frames of folios, as handed to the call."""
    status: ArrayLike
    """(n,) 0 or -errno. A page that was refused must have changed nothing."""
    placed: ArrayLike
    """(n,) where each page lies after the call; its own frame where it was refused, or was on the node before."""
    node: int
    """Number, in the arena's table, of the node that they were to be moved to."""


@dataclass(frozen=True)
class _Moves:
    """The pages of one call that were moved and could be: a row each."""

    first: Ints
    placed: Ints
    size: Ints
    """Frames of each folio."""

    def frames(self) -> tuple[Ints, Ints]:
        """All frames that they left, and all that they came to."""
        step = within(self.size)
        return np.repeat(self.first, self.size) + step, np.repeat(self.placed, self.size) + step


def expect_migrations(before: State, calls: Sequence[Migration], findings: Collector) -> Expected:
    """Computes the state after calls that were done one after the other; a page that may not lie there is a finding."""
    numbers = np.arange(before.nframes)
    now = _Now(before)
    refused = np.zeros(before.nframes, bool)
    for call in calls:
        pfns, status, placed = (np.asarray(column, np.int64) for column in (call.pfns, call.status, call.placed))
        if pfns.ndim != 1 or not pfns.shape == status.shape == placed.shape:
            shapes = f"{pfns.shape}, {status.shape} and {placed.shape}"
            raise ValueError(f"pfns, status and placed must be (n,), all of one length; got {shapes}")
        if not 0 <= call.node < len(before.nodes):
            raise ValueError(f"node {call.node}: there are nodes 0 to {len(before.nodes) - 1}")
        _look_at_status(pfns, status, placed, findings)
        named = pfns[status != 0]
        refused[named[(named >= 0) & (named < before.nframes)]] = True
        now.move(_valid(now, pfns, status, placed, call.node, findings))
    now.moved |= now.source != numbers
    now.moved &= now.entries["state"] != FREE
    refused = refused[before.folio] & ~now.moved & (now.entries["state"] != FREE)
    return Expected(now.source, inverse(now.source), now.entries, now.ever, now.moved, refused)


class _Now:
    """What the arena is expected to be after the calls so far. Its arrays are as in `Expected`."""

    def __init__(self, before: State) -> None:
        self.layout = layout = before.layout
        self.entries = before.entries.copy()
        self.source = np.arange(before.nframes)
        self.ever: Words = self.entries["flags"].copy()
        self.moved: Bools = np.zeros(before.nframes, bool)
        self.node = node_of(before)
        bits = layout["swap"] | layout["refuse"] | layout["head"] | layout["tail_swap"] | layout["tail_refuse"]
        self.of_pages = bits & ~layout["hwpoison"]
        """Bits of a flags word that a free frame has no use for: the allocator clears them."""

    def folio(self) -> Ints:
        """First frame of each frame's folio; the frame itself when it is no tail."""
        return np.where(
            self.entries["state"] == TAIL, self.entries["head"].astype(np.int64) - 1, np.arange(len(self.node))
        )

    def move(self, moves: _Moves) -> None:
        """Moves pages to free frames."""
        e, layout = self.entries, self.layout
        was, came = moves.frames()
        first, placed, size = moves.first, moves.placed, moves.size
        pages, tails = e[first], e["flags"][was]
        for frames, state in ((was, FREE), (came, TAIL)):
            words = e["flags"][frames] & ~self.of_pages
            e[frames] = np.zeros(1, e.dtype)
            e["flags"][frames], e["state"][frames] = words, state
        e["head"][came] = np.repeat(placed, size) + 1
        e["flags"][came] |= tails & layout["tail_swap"]
        e["flags"][placed] &= ~layout["tail_swap"]
        e["head"][placed], e["state"][placed], e["order"][placed] = 0, USED, pages["order"]
        e["flags"][placed] |= (pages["flags"] & layout["swap"]) | np.where(size > 1, layout["head"], np.uint64(0))
        for name in PAGE_FIELDS:
            e[name][placed] = pages[name]
        self.source[came], self.source[was] = self.source[was], self.source[came]
        self.ever[came] = self.ever[was]
        self.moved[was] = False
        self.moved[came] = True


def _look_at_status(pfns: Ints, status: Ints, placed: Ints, findings: Collector) -> None:
    rows = np.arange(len(pfns))
    findings.add_where(
        "status", status > 0, rows, 0, status, lambda i, _, g: f"page {i}: status {g}, must be 0 or -errno"
    )
    findings.add_where(
        "placed", (status != 0) & (placed != pfns), pfns, pfns, placed,
        lambda p, _, g: f"page of frame {p} was refused and is said to lie in frame {g}, must be {p}",
    )  # fmt: skip


def _valid(now: _Now, pfns: Ints, status: Ints, placed: Ints, node: int, findings: Collector) -> _Moves:
    """The rows that were moved and could be, each to frames that were free."""
    e, nframes = now.entries, len(now.entries)
    done = np.flatnonzero(status == 0)
    first, to = pfns[done], placed[done]
    inside = (first >= 0) & (first < nframes)
    first = np.where(inside, first, 0)
    once = np.zeros(len(done), bool)
    once[np.unique(first, return_index=True)[1]] = True
    good = inside & once & (e["state"][first] == USED)
    bad = ~good | forbidden(e, now.layout, now.folio())[first]
    findings.add_where(
        "accepted", bad, pfns[done], "-errno", 0,
        lambda p, *_: f"page of frame {p} has status 0 and is none that may be migrated, or was named before",
    )  # fmt: skip
    there = now.node[first] == node
    findings.add_where(
        "placed", good & ~there & (to == first), first, node, now.node[first],
        lambda p, w, g: f"page of frame {p} has status 0 and stays on node {g}, must go to node {w}",
    )  # fmt: skip
    findings.add_where(
        "placed", good & there & (to != first), first, first, to,
        lambda p, _, g: f"page of frame {p} was on node {node} and is said to lie in frame {g} now, must stay",
    )  # fmt: skip
    size = np.left_shift(1, np.minimum(e["order"][first], 9).astype(np.int64))
    fits = (to >= 0) & (to + size <= nframes)
    last = np.where(fits, to + size - 1, 0)
    here = np.where(fits, to, 0)
    fits &= (now.node[here] == node) & (now.node[last] == node) & (here & (size - 1) == 0)
    findings.add_where(
        "placed", good & (to != first) & ~fits, first, node, to,
        lambda p, w, g: f"page of frame {p} is said to lie in frame {g}: no place for it on node {w}",
    )  # fmt: skip
    rows = np.flatnonzero(good & ~there & fits)
    return _to_free_frames(now, _Moves(first[rows], to[rows], size[rows]), findings)


def _to_free_frames(now: _Now, moves: _Moves, findings: Collector) -> _Moves:
    """The moves to frames that were free before the call, each to its own.

    What a call frees is on other nodes than the one that it takes from: none of it can be taken within the call.
    """
    _, came = moves.frames()
    rows = len(moves.first)
    row = np.repeat(np.arange(rows), moves.size)
    first_to = np.full(len(now.entries), rows, np.int64)
    np.minimum.at(first_to, came, row)  # of two pages in one frame the first one has it
    wrong = (now.entries["state"][came] != FREE) | (first_to[came] != row)
    bad = np.bincount(row[wrong], minlength=rows) > 0
    findings.add_where(
        "placed", bad, moves.first, "a free frame", moves.placed,
        lambda p, _, g: f"page of frame {p} is said to lie in frame {g}, which was not free, or has another one",
    )  # fmt: skip
    return _Moves(moves.first[~bad], moves.placed[~bad], moves.size[~bad])
