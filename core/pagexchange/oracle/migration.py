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

_SHOWN = 1000


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
    """The pages of one call that were moved and could be: a row each, in the order in which they may have moved."""

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
        """Moves pages to frames that are free, or become so with the pages that these moves take from there."""
        e, layout = self.entries, self.layout
        was, came = moves.frames()
        first, placed, size = moves.first, moves.placed, moves.size
        pages, tails, came_from = e[first], e["flags"][was], self.source[was]
        nobody = self.source[np.setdiff1d(came, was)]
        left = np.setdiff1d(was, came)
        ever = self.ever[was]
        # Every frame that a page leaves becomes free, and each page then finds its own among the free ones.
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
        self.source[came], self.source[left] = came_from, nobody
        self.ever[left] = 0
        self.ever[came] = ever
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
    """The rows that were moved and could be, each to frames that were free by then."""
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
    stays = to == first
    findings.add_where(
        "placed", good & stays & (now.node[first] != node), first, node, now.node[first],
        lambda p, w, g: f"page of frame {p} has status 0 and stays on node {g}, must go to node {w}",
    )  # fmt: skip
    size = np.left_shift(1, np.minimum(e["order"][first], 9).astype(np.int64))
    fits = (to >= 0) & (to + size <= nframes)
    last = np.where(fits, to + size - 1, 0)
    here = np.where(fits, to, 0)
    fits &= (now.node[here] == node) & (now.node[last] == node) & (here & (size - 1) == 0)
    findings.add_where(
        "placed", good & ~stays & ~fits, first, node, to,
        lambda p, w, g: f"page of frame {p} is said to lie in frame {g}: no place for it on node {w}",
    )  # fmt: skip
    rows = np.flatnonzero(good & ~stays & fits)
    return _in_turn(now, _Moves(first[rows], to[rows], size[rows]), findings)


def _in_turn(now: _Now, moves: _Moves, findings: Collector) -> _Moves:
    """The moves that some order makes possible: a frame is free before, or a page of the same call has left it first.

    Which order the call took does not matter: a page moves once in it, so that all orders end alike.
    """
    free: Bools = now.entries["state"] == FREE
    left = np.arange(len(moves.first))
    order: list[Ints] = []
    while len(left):
        some = _Moves(moves.first[left], moves.placed[left], moves.size[left])
        was, came = some.frames()
        row = np.repeat(np.arange(len(left)), some.size)
        able = np.bincount(row[free[came]], minlength=len(left)) == some.size
        # Two pages in one frame: the first one has it.
        owner = np.full(len(free), len(left), np.int64)
        np.minimum.at(owner, came[able[row]], row[able[row]])
        able &= np.bincount(row[owner[came] != row], minlength=len(left)) == 0
        if not able.any():
            break
        free[came[able[row]]] = False
        free[was[able[row]]] = True
        order.append(left[able])
        left = left[~able]
    for i in left[:_SHOWN].tolist():
        p, to = int(moves.first[i]), int(moves.placed[i])
        sentence = f"page of frame {p} is said to lie in frame {to}, which was not free at any time of the call"
        findings.add("placed", p, "a free frame", to, sentence)
    rows = np.concatenate([left[:0], *order])
    return _Moves(moves.first[rows], moves.placed[rows], moves.size[rows])
