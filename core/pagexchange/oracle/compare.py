"""The state after an exchange against the expected one: entries, places in files, page tables, nodes and pins."""

import numpy as np

from pagexchange.oracle.capture import Ptes, State
from pagexchange.oracle.expect import FRAME_FIELDS, PAGE_FIELDS, Expected
from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import FREE, FROZEN, OWNER_CALL, OWNER_KEEPER, OWNER_KEEPER_SHIFT, OWNER_SLOT, USED, Ints
from pagexchange.oracle.trees import Places


def who_has(owner: int) -> str:
    """An entry's owner in words."""
    keeper, slot = (owner & OWNER_KEEPER) >> OWNER_KEEPER_SHIFT, owner & OWNER_SLOT
    parts = [f"kept locked by the process of slot {keeper - 1}"] if keeper else []
    if slot:
        parts.append(f"locked by {'a call in ' if owner & OWNER_CALL else ''}slot {slot - 1}")
    return " and ".join(parts) or f"locked by nobody ({owner:#x})"


_WORDS = {"refs": "references", "mapcount": "number of mappings", "held": "caller's reference"}


def compare_entries(before: State, after: State, exp: Expected, kept: Ints, findings: Collector) -> None:
    """Page entries field by field; free frames only by their state: the allocator may keep its lists as it likes."""
    got, pfns = after.entries, np.arange(before.nframes)
    free, is_free = exp.entries["state"] == FREE, got["state"] == FREE
    was_free = before.entries["state"] == FREE
    allowed = np.zeros(before.nframes, bool)
    allowed[kept] = True
    findings.add_where(
        "leak", free & was_free & ~is_free & ~allowed, pfns, FREE, got["state"],
        lambda p, _, g: f"frame {p} was free and has state {g} now: taken and not given back",
    )  # fmt: skip
    findings.add_where(
        "leak", free & ~was_free & ~is_free, pfns, FREE, got["state"],
        lambda p, _, g: f"frame {p} has state {g}, must be free: its page has left it, and nobody gave it back",
    )  # fmt: skip
    findings.add_where(
        "freed", ~free & is_free & ~was_free, pfns, exp.entries["state"], FREE,
        lambda p, *_: f"frame {p} held a page and is free now",
    )  # fmt: skip
    findings.add_where(
        "freed", ~free & is_free & was_free, pfns, exp.entries["state"], FREE,
        lambda p, *_: f"frame {p} is free as before, must hold the page that came from frame {exp.source[p]}",
    )  # fmt: skip
    # The allocator clears what a frame says of its page when it hands it out, and when it takes it back.
    for name in ("index", "private", "rmap", "head"):
        want, have = exp.entries[name], got[name]
        findings.add_where(
            "free-page", free & is_free & (have != want) & (have != 0), pfns, want, have,
            lambda p, w, g, name=name: f"frame {p} is free and its {name} is {g}, must be {w} or 0",  # type: ignore[misc]
        )  # fmt: skip
    # What must be free or is free has its finding already; its fields are the allocator's.
    rows = ~free & ~is_free
    for name in (*PAGE_FIELDS, *FRAME_FIELDS):
        want, have = exp.entries[name], got[name]
        differ = rows & (want != have)
        if name == "refs":  # a frozen count has a finding of its own
            differ &= have < FROZEN
        if not differ.any():
            continue
        for refused in (False, True):
            findings.add_where(
                "refused" if refused else ("references" if name == "refs" else name),
                differ & (exp.refused == refused),
                pfns,
                want,
                have,
                lambda p, w, g, name=name, refused=refused: (  # type: ignore[misc]
                    f"{'refused: ' * refused}frame {p}: {_WORDS.get(name, name)} is {g}, must be {w}"
                    + ("" if refused or exp.source[p] == p else f" (its page came from frame {exp.source[p]})")
                ),
            )


def compare_hints(before: State, after: State, exp: Expected, findings: Collector) -> None:
    """What each page says of its word in its mapping's tree: the right one, none, or one that was stale before.

    Of frames without a page it is a link of the free lists, and of tails and reserved frames nothing.
    """
    was, got, pfns = before.entries["next"], after.entries["next"], np.arange(before.nframes)
    right = np.zeros(before.nframes, np.int64)
    pages = after.places.take(after.places.pages & (after.places.number < before.nframes))
    right[pages.number] = pages.word
    page = (after.entries["state"] == USED) & (exp.entries["state"] == USED)
    want = np.where(page | exp.moved, was[exp.source], was)
    free = (exp.entries["state"] == FREE) | (after.entries["state"] == FREE)
    findings.add_where(
        "hint", ~free & (got != want) & ~(page & ((got == 0) | (got == right))), pfns, right, got,
        lambda p, w, g: f"frame {p} says that word {g} of its mapping's tree has it; it is word {w}",
    )  # fmt: skip


def _same_rows(a: Places | Ptes, b: Places | Ptes, keys: tuple[str, str]) -> bool:
    return len(a) == len(b) and all(np.array_equal(getattr(a, k), getattr(b, k)) for k in keys)


def _match(a: Places | Ptes, b: Places | Ptes, keys: tuple[str, str]) -> tuple[Ints, Ints, Ints, Ints]:
    """Rows of a and b with the same keys, pairwise; rows only in a; rows only in b."""
    # Mostly nothing has come or gone, and then the rows are equal as they stand: no dictionary of a million keys.
    if _same_rows(a, b, keys):
        rows = np.arange(len(a))
        return rows, rows, rows[:0], rows[:0]
    where_a = {key: i for i, key in enumerate(zip(*(getattr(a, k).tolist() for k in keys), strict=True))}
    where_b = {key: i for i, key in enumerate(zip(*(getattr(b, k).tolist() for k in keys), strict=True))}
    both = [(i, where_b[key]) for key, i in where_a.items() if key in where_b]
    pairs = np.asarray(both, np.int64).reshape(-1, 2)
    gone = [i for key, i in where_a.items() if key not in where_b]
    new = [i for key, i in where_b.items() if key not in where_a]
    return pairs[:, 0], pairs[:, 1], np.asarray(gone, np.int64), np.asarray(new, np.int64)


def compare_places(before: State, after: State, exp: Expected, findings: Collector) -> None:
    """Each file position: the frame that holds it now, the order, and the marks, which stay with the position."""
    a, b, gone, new = _match(before.places, after.places, ("owner", "index"))
    for rows, places, change in ((gone, before.places, "is empty now"), (new, after.places, "was empty before")):
        for i in rows[:1000].tolist():
            findings.add(
                "slot-entry", places.number[i], 0, 1, f"mapping {places.owner[i]} index {places.index[i]} {change}"
            )
    old, now = before.places.take(a), after.places.take(b)
    # Value entries and reserved ones (no pages) must be as they were; entries of pages follow their page.
    want = old.entry.copy()
    page = old.pages & (old.number < before.nframes)
    want[page] = (exp.target[old.number[page]] + 1).astype(np.uint64) << np.uint64(2)
    frame = np.where(page, old.number, 0)
    refused = page & exp.refused[frame]
    for i in np.flatnonzero(want != now.entry)[:1000].tolist():
        name = f"mapping {old.owner[i]} index {old.index[i]}"
        # An entry is (pfn + 1) << 2.
        w, g = (int(want[i]) >> 2) - 1, (int(now.entry[i]) >> 2) - 1
        kind, prefix = ("refused", "refused: ") if refused[i] else ("slot-entry", "")
        findings.add(kind, w, w, g, f"{prefix}{name} points at frame {g}, its page is in frame {w}")
    for field, kind in (("order", "slot-order"), ("marks", "marks")):
        w, g = getattr(old, field), getattr(now, field)
        rows = np.flatnonzero(w != g)
        for i in rows[:1000].tolist():
            place = f"mapping {old.owner[i]} index {old.index[i]}"
            sentence = f"{place}: {field} is {g[i]}, was {w[i]} and stays with the position"
            findings.add(kind, old.number[i], w[i], g[i], sentence)


def compare_ptes(before: State, after: State, exp: Expected, findings: Collector) -> None:
    """Each virtual page: the frame that holds its contents now, with the permission bits that its entry had."""
    a, b, gone, new = _match(before.ptes, after.ptes, ("space", "vpn"))
    for rows, ptes, change in ((gone, before.ptes, "is not mapped now"), (new, after.ptes, "was not mapped before")):
        for i in rows[:1000].tolist():
            findings.add("pte", ptes.pfn[i], 0, 1, f"space {ptes.space[i]}, virtual page {ptes.vpn[i]} {change}")
    old, now = before.ptes.take(a), after.ptes.take(b)
    # An entry that led nowhere before must still lead there: the expectation has no row for it.
    inside = old.pfn < before.nframes
    safe = np.where(inside, old.pfn, 0)
    want = np.where(inside, exp.target[safe], old.pfn)
    refused = inside & exp.refused[safe]
    for i in np.flatnonzero(want != now.pfn)[:1000].tolist():
        kind, prefix = ("refused", "refused: ") if refused[i] else ("pte", "")
        name = f"{prefix}space {old.space[i]}, virtual page {old.vpn[i]}"
        findings.add(
            kind, want[i], want[i], now.pfn[i], f"{name} reaches frame {now.pfn[i]}, its page is in frame {want[i]}"
        )
    for i in np.flatnonzero(old.bits != now.bits)[:1000].tolist():
        name = f"space {old.space[i]}, virtual page {old.vpn[i]}"
        findings.add(
            "pte-bits",
            now.pfn[i],
            old.bits[i],
            now.bits[i],
            f"{name}: bits are {now.bits[i]:#x}, were {old.bits[i]:#x}",
        )


def compare_rest(before: State, after: State, findings: Collector) -> None:
    """What no exchange touches: the geometry of nodes, mappings and spaces, and pins that were there before."""
    fixed = (
        ("node", before.nodes, after.nodes, ("name", "start", "frames", "number", "wm_min", "wm_low", "wm_high")),
        ("mapping", before.mappings, after.mappings, ("used", "aops", "shmem", "generation", "nr_pages", "name")),
        ("space", before.spaces, after.spaces, ("used", "nr_ptes", "nr_anon", "generation", "name")),
    )
    for kind, old, new, names in fixed:
        for name in names:
            findings.add_where(
                kind, old[name] != new[name], np.arange(len(old)), old[name], new[name],
                lambda i, w, g, kind=kind, name=name: f"{kind} {i}: {name} is {g}, was {w}",  # type: ignore[misc]
            )  # fmt: skip
    # Pins of others must outlive an exchange; new ones are the invariants' matter.
    gone = np.setdiff1d(before.pins[before.pins != 0], after.pins)
    for word in gone.tolist():
        pfn = (word & 0xFFFFFFFF) - 1
        findings.add("pin", pfn, word, 0, f"frame {pfn} was pinned before and is not pinned so now")
    claims = (state.slots["claim"] & np.uint64(0xFF) for state in (before, after))
    was_claimed, claimed = (claim.astype(np.int64) for claim in claims)
    findings.add_where(
        "slot", (was_claimed == 0) & (claimed != 0), np.arange(len(claimed)), 0, claimed,
        lambda s, _, g: f"slot {s} is still claimed, by process {g - 1}: a call has not given it back",
    )  # fmt: skip
    was, now = before.entries, after.entries
    dropped = (was["owner"] != 0) & (now["owner"] == 0) & (was["state"] == USED)
    findings.add_where(
        "lock",
        dropped,
        np.arange(len(was)),
        was["owner"],
        0,
        lambda p, w, _: f"frame {p} was {who_has(w)} and is not now",
    )
