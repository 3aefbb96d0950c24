"""An exchange whose worker has died: back above the point of no return, on to the end below it."""

import numpy as np

from pagexchange.oracle.format import ANON, COUNTERS, MAX_ORDER, USED
from pagexchange.oracle.recovery.data import (
    BACK,
    DATA,
    HELP,
    HELPERS,
    META,
    check_data,
    end_helpers,
    finish_pairs,
    is_temp,
    pieces_of,
    put_pieces_back,
)
from pagexchange.oracle.recovery.frames import free_folio
from pagexchange.oracle.recovery.image import NonsenseError, NotYetError, Record
from pagexchange.oracle.recovery.pairs import WHOLE, Pair, entries, lead, read_pairs

IDLE, INTENT, TAILS = 0, 1, 6
TAIL_WORDS = 16


def check_exchange(record: Record) -> list[Pair]:
    """The pairs of a slot that is not idle, all checked.

    Raises
    ------
    NonsenseError
        The record cannot be meant.
    NotYetError
        It is a helper, and the one that it helps comes first.
    """
    phase = record.phase
    if phase > TAILS:
        raise NonsenseError(f"slot {record.number} is in phase {phase}; there is none")
    if phase == IDLE:
        return []
    if _helps(record):
        _check_helper(record)
        return []
    pairs = read_pairs(record, recorded=phase != INTENT)
    live = [pair for pair in pairs if pair.status == 0]
    if phase in (DATA, BACK, TAILS) and not all(all(pair.marked) for pair in live):
        raise NonsenseError(f"slot {record.number}: a pair in its data step does not carry its mark")
    if phase == TAILS and (record.pair >= len(pairs) or record.step >= _tail_steps(pairs[record.pair])):
        raise NonsenseError(f"slot {record.number}: no words of tails in step {record.step} of pair {record.pair}")
    if phase in (DATA, BACK):
        check_data(record, pairs)
    for pair in pairs:
        if phase == INTENT or pair.status:
            _check_way_back(record, pair)
    if phase == META:
        _check_targets(record)
    return pairs


def _helps(record: Record) -> bool:
    """Whether the slot has, or had, a part of another one's pair: a worker's own pair in BACK carries its mark."""
    if record.phase not in (HELP, BACK):
        return False
    first = int(record.row["pair"]["side"]["pfn"][0, 0, 0])
    own = first < record.image.raw.nframes and record.marked(first)
    return record.phase == HELP or record["parent"] != 0 or (record["n"] == 1 and not own)


def _tail_steps(pair: Pair) -> int:
    return 2 * max(1, (1 << pair.order) // TAIL_WORDS)


def _check_way_back(record: Record, pair: Pair) -> None:
    image = record.image
    for pfn, marked in zip(pair.pfns, pair.marked, strict=True):
        order = image.entry(pfn, "order")
        if marked and (image.entry(pfn, "state") != USED or order > MAX_ORDER):
            raise NonsenseError(f"slot {record.number}, pair {pair.number}: frame {pfn} is no folio in use")
        if marked:
            image.node_of(pfn, 1 << order)
            entries(image, image.entry(pfn, "rmap"), image.entry(pfn, "mapcount"), order, (pfn,))


def _check_helper(record: Record) -> None:
    number = record["parent"] - 1
    if number < 0:
        return
    if not 1 <= number <= record.image.raw.workers or number == record.number:
        raise NonsenseError(f"slot {record.number} helps slot {number}, which cannot be")
    parent = Record(record.image, number)
    if parent.phase == DATA and parent.step == HELPERS:
        raise NotYetError(f"slot {record.number} has a part of what slot {number} moves")


def _check_targets(record: Record) -> None:
    if record["targets"] >> len(record.image.raw.nodes):
        raise NonsenseError(f"slot {record.number}: counters of nodes {record['targets']:#x}, there are fewer")


def finish_exchange(record: Record, pairs: list[Pair]) -> None:
    """Ends what `check_exchange` has looked at; the slot is IDLE then."""
    if _helps(record):  # its part counts no more
        record.publish(IDLE)
    phase = record.phase
    live = [pair for pair in pairs if pair.status == 0]
    if phase in (DATA, BACK) and any(pair.kind == WHOLE for pair in live):
        put_pieces_back(record, pieces_of(record, live))
        record.publish(INTENT)
        phase = INTENT
    if phase in (DATA, BACK):
        finish_pairs(record, pairs)
    status = [int(status) for status in record.row["pair"]["status"][0, : len(pairs)]]
    live = [pair for pair in pairs if status[pair.number] == 0 and phase != INTENT]
    for pair in pairs:
        if pair not in live:
            _put_back(record, pair)
    if phase in (DATA, BACK, TAILS):
        _finish_tails(record, live)
        set_targets(record, live)
        record.publish(META)
    if phase not in (INTENT, IDLE):
        _store_counters(record)
        for pair in live:
            _arrive(record, pair)
        for pair in live:
            _free_left(record, pair)
    if phase != IDLE:
        end_helpers(record)
    _give_temps_back(record)
    if phase != IDLE:
        _release_trees(record, pairs)
        record.publish(IDLE)
    if record["parent"]:
        record.store("parent", 0)


def _put_back(record: Record, pair: Pair) -> None:
    """Both pages as they were, where this slot has them; a frame that was taken stays locked until it is given back."""
    image = record.image
    for pfn, marked in zip(pair.pfns, pair.marked, strict=True):
        owner = record.number + 1 if pfn == pair.temp else 0
        if marked:
            chain = image.entry(pfn, "rmap"), image.entry(pfn, "mapcount")
            lead(image, chain, image.entry(pfn, "order"), (pfn,), pfn)
            image.store_state(pfn, image.rest(pfn), owner)
        elif record.locked(pfn):
            image.store(image.raw.entries["owner"], pfn, owner)


# ---- words of tails ---------------------------------------------------------------------------------------------


def _finish_tails(record: Record, live: list[Pair]) -> None:
    """From the open step of TAILS on; from the first pair on where none is open."""
    image = record.image
    at, first, half = -1, 0, 1  # the last step of the data may be open, in half 1
    if record.phase == TAILS:
        at, first, half = record.pair, record.step // 2, record.step % 2
    for pair in live:
        if pair.number < at or not pair.order:
            continue
        for chunk in range(first if pair.number == at else 0, _tail_steps(pair) // 2):
            start, n = chunk * TAIL_WORDS, min(TAIL_WORDS, 1 << pair.order)
            rows = [slice(pfn + start, pfn + start + n) for pfn in pair.pfns]
            words = record.log[half].view(np.uint64)[: 2 * n].reshape(n, 2)  # what A, and what B is to have
            if (pair.number, chunk) != (at, first):
                half = 1 - half  # the one that is not open
                words = record.log[half].view(np.uint64)[: 2 * n].reshape(n, 2)
                for t in range(n):
                    for side in range(2):
                        image.store(words, (t, side), image.raw.entries["flags"][rows[1 - side]][t])
                record.publish(TAILS, pair.number, 2 * chunk + half)
            for t in range(n):
                for side in range(2):
                    if start + t:  # the first frame is no tail
                        _merge(record, pair.pfns[side] + start + t, int(words[t, side]), image.mask("tail_swap"))


def _merge(record: Record, pfn: int, word: int, swap: int) -> None:
    """The bits that move, of a flags word whose other bits are others'."""
    flags = record.image.raw.entries["flags"]
    record.image.store(flags, pfn, int(flags[pfn]) & ~swap | word & swap)


# ---- what belongs to the frames ---------------------------------------------------------------------------------


def _arrive(record: Record, pair: Pair) -> None:
    """Makes each frame that still carries the mark the other side's page's, and then lets both go."""
    image, e = record.image, record.image.raw.entries
    marked = [side for side in range(2) if pair.marked[side]]
    # Of a migration the page's new frame is let go first: when one carries the mark, the page has left that one.
    left = None if pair.target is None or not marked else marked[0] if len(marked) == 1 else 1 - pair.target
    for side in sorted(marked, key=lambda side: side == left):
        pfn, page = pair.pfns[side], pair.pages[1 - side]
        _merge(record, pfn, pair.words[side], image.mask("swap"))
        for name, value in (
            ("mapping", page.mapping), ("index", page.index), ("private", page.private), ("mapcount", page.mapcount),
            ("rmap", page.rmap), ("held", page.held), ("next", page.slot),
        ):  # fmt: skip
            image.store(e[name], pfn, value)
        if page.file is not None:
            word = image.word(page.file, page.slot)
            assert word is not None, "it was looked at"
            image.store(*word, pfn + 1 << 2)
        lead(image, (page.rmap, page.mapcount), pair.order, pair.pfns, pfn)
        if pair.target is not None and side != left:
            image.store_state(pfn, page.refs, 0)
    if pair.target is None:
        for side in marked:
            image.store_state(pair.pfns[side], pair.pages[1 - side].refs, 0)


def _free_left(record: Record, pair: Pair) -> None:
    """Frees the frame that a page has left for the one that was taken for it: it still carries the mark."""
    for pfn in pair.pfns if pair.target is not None else ():
        if record.marked(pfn):
            free_folio(record, pfn, pair.number)


def _class(record: Record, mapping: int, mapcount: int, flags: int) -> list[int]:
    """1 for each counter that a page is in."""
    if not mapping or mapping & ANON:
        return [0, 0, bool(mapcount), 0]
    shmem = bool(record.image.raw.mappings["shmem"][(mapping >> 2) - 1])
    return [1, shmem, 0, bool(flags & record.image.mask("dirty"))]


def set_targets(record: Record, live: list[Pair]) -> None:
    """What the slot's counters are to be: of each frame what leaves is taken off, and what arrives is added."""
    image = record.image
    rows = record.row["counter"][0].reshape(-1, len(COUNTERS)).copy()
    nodes = 0
    for pair in live:
        for side, pfn in enumerate(pair.pfns):
            node, size = image.node_of(pfn), 1 << pair.order
            old, new = pair.pages[side], pair.pages[1 - side]
            rows[node] -= size * np.array(_class(record, old.mapping, old.mapcount, image.entry(pfn, "flags")))
            rows[node] += size * np.array(_class(record, new.mapping, new.mapcount, pair.words[side]))
            nodes |= 1 << node
    for node in range(len(image.raw.nodes)):
        for k in range(len(COUNTERS)):
            image.store(record.row["target"][0], node * len(COUNTERS) + k, rows[node, k])
    record.store("targets", nodes)


def _store_counters(record: Record) -> None:
    for node in range(len(record.image.raw.nodes)):
        if record["targets"] >> node & 1:
            for k in range(node * len(COUNTERS), (node + 1) * len(COUNTERS)):
                record.image.store(record.row["counter"][0], k, record.row["target"][0, k])


# ---- what it had besides ----------------------------------------------------------------------------------------


def _give_temps_back(record: Record) -> None:
    """Frames that movers took. Several pairs may name one; an idle slot may have kept one."""
    temps = record.row["pair"]["temp"][0]
    for i in np.flatnonzero(temps).tolist():
        pfn = int(temps[i]) - 1
        if is_temp(record, pfn):
            free_folio(record, pfn)
        if temps[i]:
            record.image.store(temps, i, 0)


def _release_trees(record: Record, pairs: list[Pair]) -> None:
    """The slot's bit goes from each tree that a side names."""
    sides = record.row["pair"]["side"]["mapping"][0, : len(pairs)].ravel().tolist()
    locks = record.image.raw.mappings["pages"]["lock"]
    for word in sorted(set(sides)):
        number = (word >> 2) - 1
        if word and not word & 3 and number < len(locks) and int(locks[number]) >> record.number & 1:
            record.image.store(locks, number, int(locks[number]) & ~(1 << record.number))
