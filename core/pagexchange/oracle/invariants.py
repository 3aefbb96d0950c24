"""What must hold in any arena at rest: entries, trees, page tables, allocator and counters agree; nothing is held."""

import numpy as np

from pagexchange.oracle import allocator
from pagexchange.oracle.capture import Ptes, State, capture
from pagexchange.oracle.compare import who_has
from pagexchange.oracle.findings import Collector, Finding
from pagexchange.oracle.format import (
    ANON,
    COUNTERS,
    FREE,
    FROZEN,
    HELD_BY_GET,
    MAX_ORDER,
    OWNER_KEEPER,
    PHASES,
    PTE_MIGRATION,
    PTE_PRESENT,
    RESERVED,
    SLOT_HEAD,
    TAIL,
    USED,
    Bools,
    HasMemory,
    Ints,
    Words,
    read,
)

_ONE = np.uint64(1)


def check(arena: HasMemory, *, at_rest: bool = True, cap: int = 100) -> list[Finding]:
    """All that is not sound in an arena; an empty list for a sound one.

    Parameters
    ----------
    arena
        A `Region`, an `Arena`, or anything with its bytes as `memory`. Nothing may change it meanwhile.
    at_rest
        Also that nothing is locked, frozen, pinned or under way. False while pages are held on purpose.
    cap
        How many findings to make at most.
    """
    findings = Collector(cap)
    state = capture(read(arena), findings)
    invariants(state, findings, at_rest=at_rest)
    return findings.kept


def invariants(
    state: State,
    findings: Collector,
    *,
    flags: Words | None = None,
    counted: Words | None = None,
    at_rest: bool = True,
) -> None:
    """Checks one captured state; `flags` and `counted` replace its words for references and for node counters."""
    words = state.entries["flags"] if flags is None else flags
    if at_rest:
        _nothing_held(state, findings)
    _frames(state, findings)
    allocator.check_free_lists(state, findings)
    _cache(state, findings)
    _page_tables(state, findings)
    _references(state, words, findings)
    _hints(state, findings)
    _pins(state, findings)
    _slots(state, findings)
    for node, name, want, got in counters(state, words if counted is None else counted):
        _say_counter(findings, state, node, name, want, got)


def _nothing_held(state: State, findings: Collector) -> None:
    """No lock, frozen count, pin or phase of an exchange is left."""
    e, pfns = state.entries, np.arange(state.nframes)
    held_by = e["owner"].astype(np.int64)
    findings.add_where("lock", held_by != 0, pfns, 0, held_by, lambda p, _, g: f"frame {p} is {who_has(g)}")
    # Only who keeps a page locked for its user sets the flag: an exchange has the owner, and that is enough.
    locked = (e["flags"] & state.layout["locked"]) != 0
    findings.add_where(
        "lock", locked & (held_by & OWNER_KEEPER == 0), pfns, 0, 1,
        lambda p, *_: f"frame {p} has the flag `locked` and nobody who keeps it",
    )  # fmt: skip
    frozen = (e["refs"] & np.uint32(FROZEN)) != 0
    findings.add_where(
        "frozen",
        frozen,
        pfns,
        0,
        e["refs"],
        lambda p, _, g: f"frame {p}: its reference count is frozen by slot {g & (FROZEN - 1)} ({g:#x})",
    )
    _records_at_rest(state, findings)
    groups = (
        ("mapping", state.mappings["pages"]["lock"], "its tree is locked"),
        ("space", state.spaces["tables"]["lock"], "its tree is locked"),
        ("node", state.nodes["lock"], "its allocator is locked"),
        ("mapping", state.mappings["pages"]["seq"] & 1, "its tree is marked as changing"),
        ("space", state.spaces["tables"]["seq"] & 1, "its tree is marked as changing"),
    )
    for kind, values, sentence in groups:
        have = values.astype(np.uint64)
        findings.add_where(
            f"{kind}-lock",
            have != 0,
            np.arange(len(have)),
            0,
            have,
            lambda i, _, g, kind=kind, sentence=sentence: f"{kind} {i}: {sentence} ({g:#x})",  # type: ignore[misc]
        )
    if state.structure:
        sentence = f"all trees, tables, mappings and spaces are locked by slot {state.structure - 1}"
        findings.add("structure-lock", -1, 0, state.structure, sentence)


def _records_at_rest(state: State, findings: Collector) -> None:
    """Each slot says that nothing is under way, and no process has a page pinned."""
    slots, numbers = state.slots, np.arange(len(state.slots))
    phase = (slots["state"] & np.uint64(0xFF)).astype(np.int64)
    findings.add_where(
        "slot", phase != 0, numbers, 0, phase,
        lambda s, _, g: f"slot {s} is in phase {PHASES[g] if g < len(PHASES) else g}, must be IDLE",
    )  # fmt: skip
    for name, what in (
        ("saves", "words of a change of structure saved"),
        ("node_saves", "words of a node's lists saved"),
        ("tree", "a tree that it writes to, at byte"),
        ("give", "a page that it is about to free, number"),
        ("drop", "sub-trees that it has yet to give back, the first at node number"),
    ):
        findings.add_where(
            "slot", slots[name] != 0, numbers, 0, slots[name],
            lambda s, _, g, what=what: f"slot {s} has {what}: {g}; must be 0",  # type: ignore[misc]
        )  # fmt: skip
    process, k = np.nonzero(state.pins)
    claimed = (slots["claim"] & np.uint64(0xFF)) != 0
    first = state.workers + 1
    for s, word in zip((process + first).tolist(), state.pins[process, k].tolist(), strict=True):
        pfn = (word & 0xFFFFFFFF) - 1
        owner = f"the process of slot {s}" if claimed[s] else f"slot {s}, which no process has claimed"
        findings.add("pin", pfn, 0, word, f"frame {pfn} is {'pinned' if word >> 63 else 'referenced'} by {owner}")


def _frames(state: State, findings: Collector) -> None:
    """States, orders, heads and tails; node bits."""
    e, n = state.entries, state.nframes
    pfns = np.arange(n)
    kind = e["state"]
    findings.add_where(
        "state", kind > RESERVED, pfns, RESERVED, kind, lambda p, _, g: f"frame {p} has state {g}: no such state"
    )
    first = np.flatnonzero((kind == USED) | (kind == RESERVED))
    order = e["order"][first].astype(np.int64)
    size = np.left_shift(1, np.minimum(order, 62))  # a damaged order of 64 would shift to anything
    node = node_of(state)
    bad = (order > 9) | (first + size > n)
    bad |= node[first] != node[np.minimum(first + size, n) - 1]
    findings.add_where(
        "order", bad, first, 9, order, lambda p, _, g: f"frame {p} starts a folio of order {g}, which does not fit"
    )
    # A folio that does not fit is left out: it would cover frames of others.
    first, size = first[~bad], size[~bad]
    # head[pfn]: the folio that covers each frame, by a running sum of starts and ends
    cover = np.zeros(n + 1, np.int64)
    np.add.at(cover, first, 1)
    np.add.at(cover, first + size, -1)
    cover = np.cumsum(cover[:-1])
    # The nearest first frame at or before each frame; where folios do not overlap, it is the one that covers it.
    starts = np.zeros(n, np.int64)
    starts[first] = first
    owner = np.where(cover > 0, np.maximum.accumulate(starts), -1)
    tail = kind == TAIL
    want = tail & (cover == 1) & (owner != pfns)
    head = e["head"].astype(np.int64) - 1
    findings.add_where("tail", tail & ~want, pfns, 1, cover, lambda p, *_: f"frame {p} is a tail of no folio")
    findings.add_where("tail", (cover > 1), pfns, 1, cover, lambda p, _, g: f"frame {p} lies in {g} folios")
    findings.add_where(
        "tail", (cover == 1) & (owner != pfns) & ~tail, pfns, TAIL, kind,
        lambda p, _, g: f"frame {p} lies in the folio at frame {owner[p]} and has state {g}, must be a tail",
    )  # fmt: skip
    findings.add_where(
        "tail",
        want & (head != owner),
        pfns,
        owner,
        head,
        lambda p, w, g: f"tail frame {p} names frame {g} as its head, must be {w}",
    )
    mark = state.layout["head"]
    if mark:
        large, flagged = np.zeros(n, bool), (e["flags"] & mark) != 0
        large[first] = size > 1
        wrong = (large != flagged) & (kind == USED)
        findings.add_where(
            "head-flag",
            wrong,
            pfns,
            large,
            flagged,
            lambda p, w, g: f"frame {p}: flag `head` is {g:d}, its order asks for {w:d}",
        )
    width = int(state.layout["node_width"])
    if width:
        numbers = np.append(state.nodes["number"].astype(np.int64), -1)[node]  # the -1 is for frames of no node
        field = ((e["flags"] >> np.uint64(state.layout["node_shift"])) & np.uint64((1 << width) - 1)).astype(np.int64)
        findings.add_where(
            "node-bits", (node >= 0) & (field != numbers), pfns, numbers, field,
            lambda p, w, g: f"frame {p} lies on node {w}; its flags word says node {g}",
        )  # fmt: skip


def node_of(state: State) -> Ints:
    """Which node each frame lies on, by number in the table; -1 for none."""
    node = np.full(state.nframes, -1, np.int64)
    for i, (start, frames) in enumerate(
        zip(state.nodes["start"].tolist(), state.nodes["frames"].tolist(), strict=True)
    ):
        node[start : start + frames] = i
    return node


def _is_file(mapping: Words) -> Bools:
    file: Bools = (mapping != 0) & ((mapping & np.uint64(3)) == 0)
    return file


def _cache(state: State, findings: Collector) -> None:
    """Each cached page is at its index, each index holds a page that says so, and the mapping counts them."""
    e, n = state.entries, state.nframes
    places = state.places
    rows = places.take(places.pages)
    pfn, owner, index = rows.number, rows.owner, rows.index
    outside = pfn >= n
    findings.add_where(
        "slot-entry", outside, pfn, n, pfn, lambda p, w, _: f"an XArray entry names frame {p}; there are {w}"
    )
    rows = rows.take(~outside)
    pfn, owner, index = rows.number, rows.owner, rows.index
    here = e[pfn]
    # All that the entry and the frame say of each other; one sentence shows both sides where they differ.
    agrees = (here["state"] == USED) & (here["mapping"] == (owner + 1).astype(np.uint64) << np.uint64(2))
    agrees &= (here["index"] == index.astype(np.uint64)) & (here["order"] == rows.order)
    for i in np.flatnonzero(~agrees)[:1000].tolist():
        sentence = (
            f"mapping {owner[i]} holds frame {pfn[i]} at index {index[i]} (order {rows.order[i]}); that frame says "
            f"{_identity(int(here['mapping'][i]), int(here['index'][i]))}, order {here['order'][i]}, "
            f"state {here['state'][i]}"
        )
        findings.add("identity", pfn[i], int(index[i]), int(here["index"][i]), sentence)
    # The other way: each page that says it is in a file must have been met there.
    hit = np.zeros(n, bool)
    hit[pfn[agrees]] = True
    pfns = np.arange(n)
    used = e["state"] == USED
    cached = used & _is_file(e["mapping"])
    findings.add_where(
        "identity", cached & ~hit, pfns, e["index"], -1,
        lambda p, w, _: f"frame {p} says it is {_identity(int(e['mapping'][p]), w)}; it is not there",
    )  # fmt: skip
    number = (e["mapping"] >> np.uint64(2)).astype(np.int64) - 1
    # The same word holds a mapping's number or, with the lowest bit set, an address space's.
    limit = np.where(_is_file(e["mapping"]), len(state.mappings), len(state.spaces))
    low = e["mapping"] & np.uint64(3)
    bad = used & (e["mapping"] != 0) & ((low > ANON) | (number < 0) | (number >= limit))
    findings.add_where(
        "identity",
        bad,
        pfns,
        0,
        e["mapping"],
        lambda p, _, g: f"frame {p}: mapping word {g:#x} names no mapping and no space",
    )
    whole = np.concatenate([state.mappings["used"], state.spaces["used"]]) != 0
    place = np.where(_is_file(e["mapping"]), number, number + len(state.mappings))
    gone = used & (e["mapping"] != 0) & ~bad & ~whole[np.clip(place, 0, len(whole) - 1)]
    findings.add_where(
        "identity", gone, pfns, 0, e["mapping"],
        lambda p, w, g: f"frame {p} says it is {_identity(g, w)}; that is not in use",
    )  # fmt: skip
    anonymous = used & ~bad & (low == ANON)
    size = np.left_shift(1, np.minimum(e["order"], MAX_ORDER).astype(np.int64))
    first = np.bincount(number[anonymous], weights=size[anonymous], minlength=len(state.spaces)).astype(np.int64)
    counted = state.spaces["nr_anon"].astype(np.int64)
    findings.add_where(
        "nr-anon", first != counted, np.arange(len(first)), first, counted,
        lambda s, w, g: f"space {s} counts {g} anonymous base pages that carry its number, a recount gives {w}",
    )  # fmt: skip
    held = np.bincount(owner, weights=np.left_shift(1, rows.order), minlength=len(state.mappings)).astype(np.int64)
    counted = state.mappings["nr_pages"].astype(np.int64)
    findings.add_where(
        "nr-pages", held != counted, np.arange(len(held)), held, counted,
        lambda m, w, g: f"mapping {m} counts {g} base pages and holds {w}",
    )  # fmt: skip


def _identity(mapping: int, index: int) -> str:
    if mapping == 0:
        return "no mapping's"
    kind = {0: "mapping", 1: "anonymous, space"}.get(mapping & 3, "strange,")
    return f"{kind} {(mapping >> 2) - 1} index {index}"


def _page_tables(state: State, findings: Collector) -> None:
    """Each entry reaches a page in use; mapcounts and reverse maps say the same."""
    e, n, p = state.entries, state.nframes, state.ptes
    # A migration entry or one that is not present: an exchange leaves neither behind.
    moving = (p.bits & (PTE_PRESENT | PTE_MIGRATION)) != PTE_PRESENT

    def where(i: int) -> str:
        return f"space {p.space[i]}, virtual page {p.vpn[i]}"

    rows = np.arange(len(p))
    for i in np.flatnonzero(moving)[:1000].tolist():
        left = bool(p.bits[i] & PTE_MIGRATION)
        kind, fault = ("migration", "a migration entry is left") if left else ("pte", "not present")
        findings.add(
            kind, p.pfn[i], PTE_PRESENT, p.bits[i], f"{where(i)}: {fault} (frame {p.pfn[i]}, bits {p.bits[i]:#x})"
        )
    inside = p.pfn < n
    safe = np.where(inside, p.pfn, 0)
    inside &= (e["state"][safe] == USED) | (e["state"][safe] == TAIL)
    findings.add_where(
        "pte", ~inside, rows, "in use", p.pfn, lambda i, _, g: f"{where(i)} reaches frame {g}, which holds no page"
    )
    ptes = p.take(inside)
    head = state.folio[ptes.pfn]
    offset = ptes.pfn - head
    fits = (ptes.vpn & (np.left_shift(1, e["order"][head].astype(np.int64)) - 1)) == offset
    findings.add_where(
        "pte", ~fits, ptes.pfn, offset, ptes.vpn,
        lambda f, w, v: f"virtual page {v} reaches frame {f}, frame {w} of its folio: not the one for that address",
    )  # fmt: skip
    # The reverse map finds an anonymous page's addresses by its index: it is the same in all spaces.
    anonymous = np.equal(e["mapping"][head] & np.uint64(3), ANON)
    address = e["index"][head].astype(np.int64) + offset
    findings.add_where(
        "identity", anonymous & (address != ptes.vpn), ptes.pfn, address, ptes.vpn,
        lambda f, w, g: f"frame {f} is mapped at virtual page {g}; its anonymous page has index {w}",
    )  # fmt: skip
    # An arena maps whole folios only, so each of a folio's frames is mapped as often as its first.
    times = np.bincount(ptes.pfn, minlength=n)
    first = times[state.folio]
    pfns = np.arange(n)
    in_use = (e["state"] == USED) | (e["state"] == TAIL)
    findings.add_where(
        "pte",
        in_use & (times != first),
        pfns,
        first,
        times,
        lambda f, w, g: f"tail frame {f} is mapped {g} times, its folio {w} times",
    )
    used = e["state"] == USED
    count = e["mapcount"].astype(np.int64)
    findings.add_where(
        "mapcount",
        used & (count != times),
        pfns,
        times,
        count,
        lambda f, w, g: f"frame {f} counts {g} mappings, the page tables have {w}",
    )
    owned = np.bincount(p.space, minlength=len(state.spaces))
    counted = state.spaces["nr_ptes"].astype(np.int64)
    findings.add_where(
        "nr-ptes",
        owned != counted,
        np.arange(len(owned)),
        owned,
        counted,
        lambda s, w, g: f"space {s} counts {g} entries and has {w}",
    )
    _reverse_map(state, ptes.take(offset == 0), findings)


def _reverse_map(state: State, ptes: Ptes, findings: Collector) -> None:
    """Each first entry of a page is on the chain that starts at its frame, once; chains end. Their order is free."""
    e = state.entries
    number = ptes.number
    by_number = np.argsort(number)
    sorted_number = number[by_number]

    def row_of(link: Ints) -> Ints:
        """Row of the entry with number link - 1; -1 for none."""
        if not len(number):
            return np.full(len(link), -1, np.int64)
        at = np.minimum(np.searchsorted(sorted_number, link - 1), len(number) - 1)
        return np.where(sorted_number[at] == link - 1, by_number[at], -1)

    # Every link, from a frame's entry or from a page-table entry: where it comes from, and which entry it goes to.
    used = state.used
    start = e["rmap"][used].astype(np.int64)
    begins = start != 0
    source_pfn = np.concatenate([used[begins], ptes.pfn[ptes.next != 0]])
    link = np.concatenate([start[begins], ptes.next[ptes.next != 0]])
    target = row_of(link)
    astray = target < 0
    if len(number):
        astray |= ptes.pfn[target] != source_pfn
    findings.add_where(
        "rmap", astray, source_pfn, 0, link - 1,
        lambda f, _, g: f"reverse map of frame {f} goes to page-table entry {g}, which does not map it",
    )  # fmt: skip
    # No order is asked of a chain: each entry needs exactly one way into it.
    into = np.bincount(target[~astray], minlength=len(ptes))
    findings.add_where(
        "rmap", into != 1, ptes.pfn, 1, into,
        lambda f, _, g: f"reverse map of frame {f}: an entry that maps it is on the chain {g} times, must be once",
    )  # fmt: skip
    # With one way into each entry, what never ends is a ring: follow all chains in doubling steps.
    jump = np.full(len(ptes), -1, np.int64)
    onward = ptes.next != 0
    jump[onward] = row_of(ptes.next[onward])
    for _ in range(len(ptes).bit_length() + 1):
        go = jump >= 0
        if not go.any():
            return
        jump[go] = jump[jump[go]]
    findings.add_where("rmap", jump >= 0, ptes.pfn, 0, 1, lambda f, *_: f"reverse map of frame {f} runs in a ring")


def _references(state: State, words: Words, findings: Collector) -> None:
    """Each page's reference count is the sum of those who hold it; `words` says which have private data."""
    e = state.entries
    used = state.used
    rows = e[used]
    large = np.left_shift(1, np.minimum(rows["order"], 9).astype(np.int64))
    private = ((words[used] & state.layout["private"]) != 0).astype(np.int64)
    # Who may hold a page: its caller, its cache (one for each base page), its private data, each page-table entry.
    want = np.where(_is_file(rows["mapping"]), large, 0) + (rows["held"] != 0) + private + rows["mapcount"]
    have = rows["refs"].astype(np.int64)
    here = np.zeros(1 << 16, bool)  # by process + 1
    here[(state.slots["claim"] & np.uint64(0xFF)).astype(np.int64)] = True
    here[0] = True
    findings.add_where(
        "held", ~here[rows["held"] & np.uint16(HELD_BY_GET - 1)], used, 0, rows["held"],
        lambda p, _, g: f"frame {p} is held by process {g - 1}, which has no slot: nobody will give it back",
    )  # fmt: skip
    findings.add_where(
        "references", (want != have) & (have < FROZEN), used, want, have,
        lambda p, w, g: f"frame {p} has {g} references; caller, cache, private data and page tables make {w}",
    )  # fmt: skip
    unheld = (want == 0) & (have == 0)
    findings.add_where(
        "leak", unheld, used, FREE, USED, lambda p, *_: f"frame {p} is in use and nothing holds it: leaked"
    )


def _hints(state: State, findings: Collector) -> None:
    """A page of a file may say which word of its tree has it; the word it names is there. It may be another by now."""
    e, pfns = state.entries, np.arange(state.nframes)
    hint = e["next"].astype(np.int64)
    file = (e["state"] == USED) & _is_file(e["mapping"])
    beyond = file & (hint > 64 * len(state.xanodes_reached)) & (hint != SLOT_HEAD)
    findings.add_where(
        "hint", beyond, pfns, 0, hint, lambda p, _, g: f"frame {p} says that word {g} has it; there is no such word"
    )
    findings.add_where(
        "hint", np.isin(e["state"], (USED, TAIL)) & ~file & (hint != 0), pfns, 0, hint,
        lambda p, _, g: f"frame {p} holds no page of a file and says that word {g} of a tree has it",
    )  # fmt: skip


def _pins(state: State, findings: Collector) -> None:
    """Each pin lies below its slot's top, where others look, and is on frames in use."""
    process, k = np.nonzero(state.pins)
    word = state.pins[process, k]
    pfn = (word & np.uint64(0xFFFFFFFF)).astype(np.int64) - 1
    times = (word >> np.uint64(32)).astype(np.int64) & 0x7FFFFFFF
    inside = (pfn >= 0) & (pfn < state.nframes)
    in_use = inside & np.isin(state.entries["state"][np.where(inside, pfn, 0)], (USED, TAIL))
    for bad, kind, fault in (
        (~inside, "pin", "there is no such frame"),
        (inside & ~in_use, "leak", "it holds no page"),
        (times == 0, "pin", "no times"),
        (k >= state.pin_tops[process], "pin", "above the place below which others look for pins"),
    ):
        findings.add_where(
            kind, bad, pfn, 0, word,
            lambda p, _, g, fault=fault: f"frame {p} is pinned by {g:#x}: {fault}",  # type: ignore[misc]
        )  # fmt: skip


def _slots(state: State, findings: Collector) -> None:
    """Slot 0 marks nothing, so that a mark of 0 is none; no slot counts for a node that is not there."""
    slot, k = np.nonzero(state.slots["counter"][:, len(state.nodes) * len(COUNTERS) :])
    for s, node in zip(slot.tolist(), (k // len(COUNTERS) + len(state.nodes)).tolist(), strict=True):
        findings.add("counter", node, 0, 1, f"slot {s} counts pages of node {node}; there are {len(state.nodes)} nodes")
    slot = state.slots[0]
    for name in ("state", "claim", "saves", "node_saves", "tree", "give", "drop"):
        if slot[name]:
            findings.add("slot", 0, 0, slot[name], f"slot 0 is nobody's, and its {name} is {slot[name]:#x}")


def counters(state: State, words: Words) -> list[tuple[int, str, int, int]]:
    """Each node's counters against a recount: (node, counter, recount, count), only those that differ."""
    used = state.used
    rows = state.entries[used]
    size = np.left_shift(1, np.minimum(rows["order"], 9).astype(np.int64))
    file = _is_file(rows["mapping"])
    owner = np.clip((rows["mapping"] >> np.uint64(2)).astype(np.int64) - 1, 0, len(state.mappings) - 1)
    # As Linux counts: shared memory is among the files, and anonymous pages count while they are mapped.
    kinds = (
        file,
        file & (state.mappings["shmem"][owner] != 0),
        ((rows["mapping"] & np.uint64(3)) == _ONE) & (rows["mapcount"] > 0),
        file & ((words[used] & state.layout["dirty"]) != 0),
    )
    node = node_of(state)[used]
    out = []
    for k, (name, mask) in enumerate(zip(COUNTERS, kinds, strict=True)):
        recount = np.bincount(node[mask & (node >= 0)], weights=size[mask & (node >= 0)], minlength=len(state.nodes))
        for i, (want, got) in enumerate(
            zip(recount.astype(np.int64).tolist(), state.counters[:, k].tolist(), strict=True)
        ):
            if want != got:
                out.append((i, name, want, got))
    return out


def _say_counter(findings: Collector, state: State, node: int, name: str, want: int, got: int) -> None:
    label = state.nodes["name"][node].decode(errors="replace")
    findings.add(
        "counter", node, want, got, f"node {node} ({label}) counts {got} {name} base pages, a recount gives {want}"
    )
