"""What an arena must look like after an exchange: where each page went, and each frame's entry and flags word."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pagexchange.oracle.capture import State
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import TAIL, USED, Bools, Ints, Table, Words

Order = Literal["independent", "sequential"]
PAGE_FIELDS = ("mapping", "index", "private", "refs", "mapcount", "held")
FRAME_FIELDS = ("order", "state", "head", "prev", "owner")


@dataclass(frozen=True)
class Expected:
    """The state that the successful pairs must lead to. All arrays have one row per frame."""

    source: Ints
    """Frame in which the page that lies here now lay before; itself where nothing moved. Every frame is there once, so
    that a frame which a page has left for one without a page has that one's number."""
    target: Ints
    """Its inverse: where the page that lay here has gone."""
    entries: Table
    ever: Words
    """All flags of all pages that passed through this frame: what a flag that stayed behind may be."""
    moved: Bools
    """Frames that pages were moved to, even if one came back."""
    refused: Bools
    """Frames of which only refused pairs, or refused pages, were named."""


def expect(before: State, pairs: ArrayLike, status: ArrayLike, order: Order, findings: Collector) -> Expected:
    """Computes the state after the pairs whose status is 0; a pair that may not be exchanged is a finding."""
    pairs, status = np.asarray(pairs, np.int64), np.asarray(status, np.int64)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or status.shape != pairs.shape[:1]:
        raise ValueError(f"pairs must be (n, 2) and status (n,); got {pairs.shape} and {status.shape}")
    if order not in ("independent", "sequential"):
        raise ValueError(f"order must be 'independent' or 'sequential', not {order!r}")
    numbers = np.arange(len(pairs))
    findings.add_where(
        "status", status > 0, numbers, 0, status, lambda i, _, g: f"pair {i}: status {g}, must be 0 or -errno"
    )
    done = _valid(before, pairs, status, findings)
    first, second = pairs[done, 0], pairs[done, 1]
    if order == "independent":
        frames, times = np.unique(np.concatenate([first, second]), return_counts=True)
        findings.add_where(
            "pair-twice",
            times > 1,
            frames,
            1,
            times,
            lambda p, _, g: f"frame {p} was exchanged in {g} pairs of one call",
        )
        if (times > 1).any():  # wrong already; in sequence at least every page has one place
            order = "sequential"
    e = before.entries
    source = np.arange(before.nframes)
    ever = e["flags"].copy()
    if order == "independent":
        source[first], source[second] = second, first
        ever[first] = ever[second] = e["flags"][first] | e["flags"][second]
    else:
        # A chain is what its pairs do one after the other: no NumPy for that.
        lies, words = source.tolist(), ever.tolist()
        for a, b in zip(first.tolist(), second.tolist(), strict=True):
            lies[a], lies[b] = lies[b], lies[a]
            words[a] = words[b] = words[a] | words[b]
        source, ever = np.asarray(lies, np.int64), np.asarray(words, np.uint64)
    # Fields of a page stand in the entry of its first frame; so far `source` is right for first frames only.
    heads = np.union1d(first, second)
    entries = e.copy()
    for name in PAGE_FIELDS:
        entries[name][heads] = e[name][source[heads]]
    swap = before.layout["swap"]
    entries["flags"][heads] = (e["flags"][heads] & ~swap) | (e["flags"][source[heads]] & swap)
    # The tails of a folio go with its head. Of their own words some bits say something of the page in them.
    size = np.left_shift(1, e["order"][heads].astype(np.int64))
    for step in range(1, int(size.max(initial=1))):
        tails = heads[size > step]
        source[tails + step] = source[tails] + step
    tails = np.flatnonzero((source != np.arange(len(source))) & (e["state"] == TAIL))
    swap = before.layout["tail_swap"]
    entries["flags"][tails] = (e["flags"][tails] & ~swap) | (e["flags"][source[tails]] & swap)
    # A page that went away and came back was moved all the same: flags may have been lost on the way.
    moved = source != np.arange(len(source))
    moved[heads] = True
    # A frame of a refused pair that a successful one names, too, has moved: the others must be untouched.
    refused = np.zeros(len(source), bool)
    named = pairs[status != 0].ravel()
    refused[named[(named >= 0) & (named < len(source))]] = True
    return Expected(source, inverse(source), entries, ever, moved, refused[before.folio] & ~moved)


def inverse(source: Ints) -> Ints:
    """Where each page has gone, given where each has come from."""
    target = np.empty_like(source)
    target[source] = np.arange(len(source))
    return target


def forbidden(entries: Table, layout: Table, folio: Ints) -> Bools:
    """By frame: whether the flags of a folio that starts there, or of one of its tails, forbid to move it."""
    # Writeback is among the refused flags, but a call may wait for its end: it is no proof afterwards.
    forbids: Bools = (entries["flags"] & (layout["refuse"] & ~layout["writeback"])) != 0
    tails = ((entries["flags"] & layout["tail_refuse"]) != 0) & (entries["state"] == TAIL)
    forbids[folio[tails]] = True
    return forbids


def _valid(before: State, pairs: Ints, status: Ints, findings: Collector) -> Ints:
    """Rows of the pairs that were exchanged and could be."""
    done = np.flatnonzero(status == 0)
    inside = np.all((pairs[done] >= 0) & (pairs[done] < before.nframes), axis=1)
    # An index that may be used, where the pair names no frame: row 0, which `inside` rules out again.
    safe: Ints = np.where(inside[:, None], pairs[done], 0)
    e = before.entries[safe]
    distinct = np.not_equal(safe[:, 0], safe[:, 1])
    same_order = np.equal(e["order"][:, 0], e["order"][:, 1])
    good = inside & distinct & same_order & np.equal(e["state"], USED).all(axis=1)
    refuse = forbidden(before.entries, before.layout, before.folio)[safe].any(axis=1)
    for i in done[~good | refuse][:1000].tolist():
        a, b = pairs[i].tolist()
        findings.add(
            "accepted", a, "-errno", 0, f"pair {i} ({a}, {b}) has status 0 and is no pair that may be exchanged"
        )
    rows: Ints = done[good]
    return rows
