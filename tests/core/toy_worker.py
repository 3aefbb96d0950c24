"""A worker that exchanges pages of a toy arena, store by store in the order of docs/architecture.md."""

from collections.abc import Callable
from typing import Any

import numpy as np

from pagexchange.oracle import format as f
from pagexchange.oracle.recovery.data import DATA, HELP, HELPERS, Move, contents, end_helpers, move_of, pieces_of
from pagexchange.oracle.recovery.exchange import INTENT, finish_exchange
from pagexchange.oracle.recovery.frames import INNER, Section, page_bits
from pagexchange.oracle.recovery.image import Bytes, Image, Record
from pagexchange.oracle.recovery.pairs import TEMP, Pair, read_pairs
from pagexchange.oracle.recovery.saved import TAKEN


class Watched(Image):
    """An arena in which somebody looks after each store."""

    def __init__(self, memory: Bytes, look: Callable[[], object]) -> None:
        super().__init__(memory)
        self.look = look

    def store(self, place: Any, key: Any, value: Any) -> None:
        super().store(place, key, value)
        self.look()


class Worker:
    """Slot 1 of an arena, claimed by process 1; `look` is called after each of its stores."""

    def __init__(self, memory: Bytes, look: Callable[[], object], slot: int = 1) -> None:
        self.image = Watched(memory, look)
        self.record = Record(self.image, slot)

    # ---- above the point of no return --------------------------------------------------------------------------------

    def begin(self, pairs: list[tuple[int, int]], kind: int = 1) -> list[Pair]:
        """Everything up to DATA."""
        store, record = self.image.store, self.record
        record.store("claim", (record["claim"] >> 8) + 1 << 8 | 2)
        rows = record.row["pair"][0]
        for i, pair in enumerate(pairs):
            for side in range(2):
                store(rows["side"]["pfn"][i], side, pair[side])
                store(rows["side"]["mapping"][i], side, 0)
            store(rows["temp"], i, 0)
            store(rows["status"], i, 0)
        record.store("n", len(pairs))
        record.publish(INTENT)
        for i, pair in enumerate(pairs):
            for pfn in pair:
                self.image.store_state(pfn, f.FROZEN | record.number, record.number + 1)
            for side in range(2):
                self._record(i, side, pair[side])
        for i, pair in enumerate(pairs):
            for side in range(2):
                self._unmap(pair[side])
                self._hold(i, side)
        for i, pair in enumerate(pairs):
            self._settle(i, pair, kind)
            if kind == TEMP:
                self._take(int(rows["order"][i]), rows["temp"], i)
        record.publish(DATA)
        return read_pairs(record, recorded=True)

    def _record(self, i: int, side: int, pfn: int) -> None:
        to, e = self.record.row["pair"]["side"][0, i : i + 1, side], self.image.raw.entries
        for name in ("mapping", "index", "private", "rmap", "mapcount", "held"):
            self.image.store(to[name], 0, e[name][pfn])
        self.image.store(to["refs"], 0, self.image.rest(pfn))

    def _unmap(self, pfn: int) -> None:
        words = self.image.raw.tables["pte"]["pte"]
        size = 1 << self.image.entry(pfn, "order")
        for at in np.argwhere((words >> np.uint64(12) >= pfn) & (words >> np.uint64(12) < pfn + size) & (words != 0)):
            self.image.store(words, tuple(at), int(words[tuple(at)]) & ~f.PTE_PRESENT | f.PTE_MIGRATION)

    def _hold(self, i: int, side: int) -> None:
        mapping = int(self.record.row["pair"]["side"]["mapping"][0, i, side])
        if mapping and not mapping & 3:
            locks, number = self.image.raw.mappings["pages"]["lock"], (mapping >> 2) - 1
            self.image.store(locks, number, int(locks[number]) | 1 << self.record.number)

    def _settle(self, i: int, pair: tuple[int, int], kind: int) -> None:
        store, row, e = self.image.store, self.record.row["pair"][0], self.image.raw.entries
        swap = self.image.mask("swap")
        for side in range(2):
            mine, other = (int(e["flags"][pfn]) for pfn in (pair[side], pair[1 - side]))
            store(row["side"]["flags"][i], side, mine & ~swap | other & swap)
            mapping = int(row["side"]["mapping"][i, side])
            word = _word(self.image, pair[side]) if mapping and not mapping & 3 else 0
            store(row["side"]["slot"][i], side, word)
        store(row["order"], i, e["order"][pair[0]])
        store(row["kind"], i, kind)

    def _take(self, order: int, where: f.Table, i: int) -> None:
        """A temporary folio, from the first node that has one."""
        image, section, e = self.image, Section(self.record), self.image.raw.entries
        number, node, o = next(
            (n, node, o) for n, node in enumerate(image.raw.nodes) for o in range(order, 10) if node["list"][o]
        )
        image.store(image.raw.nodes["lock"], number, self.record.number + 1)
        pfn = int(node["list"][o]) - 1
        image.store(image.raw.nodes["got"], number, int(node["got"]) + (1 << order))
        section.note(pfn << 8 | TAKEN, order)
        image.store(e["owner"], pfn, self.record.number + 1)
        following = image.entry(pfn, "next")
        section.node(number, "list", following, o)
        if following:
            section.entry(following - 1, "prev", 0)
        section.entry(pfn, "next", 0)
        while o > order:
            o -= 1
            half, first = pfn + (1 << o), int(node["list"][o])
            section.entry(half, "order", o)
            section.entry(half, "next", first)
            if first:
                section.entry(first - 1, "prev", half + 1)
            section.node(number, "list", half + 1, o)
        image.store(e["flags"], pfn, image.entry(pfn, "flags") & ~page_bits(image))
        if order:
            head = image.mask("head")
            section.note(image.raw.offset["entries"] + pfn * 64 << 8 | 16, head)
            image.store(e["flags"], pfn, image.entry(pfn, "flags") | head)
        section.entry(pfn, "refs", 1)
        section.entry(pfn, "held", 2)
        section.entry(pfn, "order", order)
        for p in range(pfn + 1, pfn + (1 << order)):
            image.store(e["flags"], p, image.entry(p, "flags") & ~page_bits(image))
            image.store(e["head"], p, pfn + 1)
            image.store(e["order"], p, 0)
            image.store(e["state"], p, f.TAIL)
        at = self.record.where + f.SLOT.fields["pair"][1] + i * f.PAIR.itemsize + f.PAIR.fields["temp"][1]  # type: ignore[index]
        section.note(at << 8 | 4, 0)
        image.store(where, i, pfn + 1)
        section.node(number, "free", int(node["free"]) - (1 << order))
        section.entry(pfn, "state", f.USED)
        section.commit()
        image.store(image.raw.nodes["lock"], number, 0)
        assert e["order"][pfn] != INNER

    # ---- below it -------------------------------------------------------------------------------------------------

    def end(self, pairs: list[Pair]) -> None:
        """From DATA to the end, and the slot is given back."""
        finish_exchange(self.record, pairs)
        self.record.store("claim", ((self.record["claim"] >> 8) + 1) << 8)

    def move_whole(self, pairs: list[Pair], fails: int) -> None:
        """A mover in Python works on groups of pieces; in the group `fails` it breaks, and all is put back."""
        record, store = self.record, self.image.store
        pieces = pieces_of(record, pairs)
        log = self.image.raw.pieces[record.number - 1, :, : f.piece_of(self.image.page_size)]
        for group in range(-(-len(pieces) // f.PIECES)):
            part = pieces[group * f.PIECES : (group + 1) * f.PIECES]
            for k, both in enumerate(part):
                for side in range(2):
                    store(log, 2 * k + side, both[side])
            record.publish(DATA, 0, 2 * group + 1)
            for k, both in enumerate(part):
                if group == fails and k == 3:
                    return
                for side in range(2):
                    store(both[side], slice(None), log[2 * k + 1 - side])
            record.publish(DATA, 0, 2 * group + 2)

    def split(self, pair: Pair, slots: tuple[int, ...], fails: bool) -> None:
        """A large folio, its parts moved by helpers one after the other; the last one meets broken memory."""
        record, size = self.record, self.image.page_size << pair.order
        a, b = (contents(record, pfn, pair.order) for pfn in pair.pfns)
        moves, n = [], len(slots)
        for k, number in enumerate(slots):
            helper = Record(self.image, number)
            helper.store("claim", (helper["claim"] >> 8) + 1 << 8 | 2)
            helper.store("parent", record.number + 1)
            helper.store("lo", size // n * k)
            helper.store("hi", size // n * (k + 1))
            helper.publish(HELP)
            part = slice(size // n * k, size // n * (k + 1))
            moves.append(Move(helper, 0, HELP, a[part], b[part], (helper.log[0], helper.log[1])))
        record.publish(DATA, pair.number, HELPERS)
        for move in moves[: n - fails]:
            move.finish(0)
        if fails:
            moves[-1].record.publish(HELP, 0, 1)
            self.image.store(moves[-1].log[0], slice(None), moves[-1].a[: f.CHUNK])
            for move in reversed(moves):
                move.put_back(1 if move is moves[-1] else move.steps)
            self.image.store(record.row["pair"]["status"][0], pair.number, -133)
        record.publish(DATA, pair.number + 1)
        end_helpers(record)
        for number in slots:
            helper = Record(self.image, number)
            helper.store("claim", ((helper["claim"] >> 8) + 1) << 8)


def break_off(worker: Worker, pair: Pair, step: int) -> None:
    """Moves a pair up to a step, meets broken memory there, and puts it back."""
    move = move_of(worker.record, pair)
    worker.record.publish(DATA, pair.number)
    size, k = move.size, (step - 1) // 2
    for at in range(0, k * size, size):
        part = slice(at, at + size)
        one = Move(move.record, move.pair, DATA, move.a[part], move.b[part], (np.empty(size, np.uint8),))
        swap = one.a.copy()
        one.a[:], one.b[:] = one.b.copy(), swap
    saved = move.log[k % len(move.log)]
    saved[:size] = move.a[k * size : (k + 1) * size]
    if step % 2 == 0:
        move.a[k * size : (k + 1) * size] = move.b[k * size : (k + 1) * size]
    worker.record.publish(DATA, pair.number, step)
    move.put_back(step)
    worker.image.store(worker.record.row["pair"]["status"][0], pair.number, -133)
    worker.record.publish(DATA, pair.number + 1)


def _word(image: Image, pfn: int) -> int:
    """The word of a mapping's tree that has a page, as records name it."""
    nodes = image.raw.xanodes
    at = np.argwhere(nodes["slot"] == pfn + 1 << 2)
    for node, slot in at.tolist():
        if nodes["array"][node] < image.raw.offset["spaces"]:
            return node * 64 + slot + 1
    return f.SLOT_HEAD
