"""A folio is given back to its node: under the node's lock, and under the slot's record of what is changed there."""

from dataclasses import dataclass
from typing import Any

from pagexchange.oracle.format import ENTRY, FREE, MAX_ORDER, NODE, OFFLINE, PAIR, SAVED_NODE, SLOT, USED
from pagexchange.oracle.recovery.image import Image, NonsenseError, NotYetError, Record

INNER = 255
FREED = 19


@dataclass(frozen=True)
class Section:
    """What a slot changes under a node's lock: each word is saved first."""

    record: Record

    @property
    def image(self) -> Image:
        """The arena."""
        return self.record.image

    def note(self, where: int, old: int) -> None:
        """Saves one word."""
        n = self.record["node_saves"]
        if n == SAVED_NODE:
            raise NonsenseError(f"slot {self.record.number}: no room for one more word of a node's lists")
        save = self.record.row["saved_node"][0]
        self.image.store(save["where"], n, where)
        self.image.store(save["old"], n, old)
        self.record.store("node_saves", n + 1)

    def entry(self, pfn: int, name: str, value: int) -> None:
        """Changes a field of a frame's entry."""
        self._put("entries", pfn, ENTRY, name, value)

    def node(self, number: int, name: str, value: int, item: int = 0) -> None:
        """Changes a field of a node."""
        self._put("nodes", number, NODE, name, value, item)

    def _put(self, part: str, number: int, dtype: Any, name: str, value: int, item: int = 0) -> None:  # noqa: ANN401
        kind, at = dtype.fields[name][:2]
        size = kind.base.itemsize
        place = self.image.raw.offset[part] + number * dtype.itemsize + at + item * size
        word = self.image.memory[place : place + size].view(f"<u{size}")
        if int(word[0]) != value:
            self.note(place << 8 | size, int(word[0]))
            self.image.store(word, 0, value)

    def commit(self, left: int = 0) -> None:
        """Makes it count, but for the first `left` records."""
        self.record.store("node_saves", left)


def page_bits(image: Image) -> int:
    """What a flags word says of a page; a free frame has none of it. Broken memory stays broken."""
    bits = 0
    for role in ("swap", "refuse", "head", "tail_swap", "tail_refuse"):
        bits |= image.mask(role)
    return bits & ~image.mask("hwpoison")


def free_folio(record: Record, pfn: int, pair: int | None = None) -> None:
    """Gives back a folio in use, which the slot has locked, or which is nobody's.

    `pair`: whose `temp` becomes 0 with it; otherwise that of all that name the folio.

    Raises
    ------
    NonsenseError
        It is none.
    NotYetError
        Another slot has the node.
    """
    image = record.image
    order = image.entry(pfn, "order")
    if image.entry(pfn, "state") != USED or order > MAX_ORDER or pfn & (1 << order) - 1:
        raise NonsenseError(f"frame {pfn} is no folio in use")
    number = image.node_of(pfn, 1 << order)
    lock = int(image.raw.nodes["lock"][number])
    if lock not in (0, record.number + 1):
        raise NotYetError(f"node {number} is locked by slot {lock - 1}")
    image.store(image.raw.nodes["lock"], number, record.number + 1)
    section, e = Section(record), image.raw.entries
    folio = range(pfn, pfn + (1 << order))
    broken = any(image.entry(p, "flags") & image.mask("hwpoison") for p in folio)
    state = OFFLINE if broken else FREE
    section.note(pfn << 8 | FREED, order)
    section.entry(pfn, "state", state)
    for p in folio[1:]:
        image.store(e["state"], p, state)
        image.store(e["order"], p, INNER)
        image.store(e["head"], p, 0)
    for name in ("refs", "held", "mapcount", "mapping", "index", "private", "rmap", "next"):
        section.entry(pfn, name, 0)
    for i in range(record["n"]):
        if i == pair or (pair is None and int(record.row["pair"]["temp"][0, i]) == pfn + 1):
            _forget(section, i)
    if broken:
        section.entry(pfn, "order", INNER)
    else:
        _give(section, number, pfn, order)
        section.node(number, "free", int(image.raw.nodes["free"][number]) + (1 << order))
    section.commit(1)
    finish_free(section, pfn, order)
    image.store(image.raw.nodes["lock"], number, 0)


def _forget(section: Section, pair: int) -> None:
    """The record names this temporary frame no more, in the same section that frees it."""
    words = section.record.row["pair"]["temp"][0]
    pairs, inside = SLOT.fields["pair"][1], PAIR.fields["temp"][1]  # type: ignore[index]
    at = section.record.where + pairs + pair * PAIR.itemsize + inside
    section.note(at << 8 | 4, int(words[pair]))
    section.image.store(words, pair, 0)


def finish_free(section: Section, pfn: int, order: int) -> None:
    """The rest of a free that counts, done again if need be: whole frames near broken ones, page bits, the lock."""
    image, record = section.image, section.record
    number, bits = image.node_of(pfn, 1 << order), page_bits(section.image)
    for p in range(pfn, pfn + (1 << order)):
        word = image.entry(p, "flags")
        if image.entry(p, "state") == OFFLINE and not word & image.mask("hwpoison"):
            section.entry(p, "state", FREE)
            _give(section, number, p, 0)
            section.node(number, "free", int(image.raw.nodes["free"][number]) + 1)
            section.commit(1)
        if word & bits:
            image.store(image.raw.entries["flags"], p, word & ~bits)
    record.leave(pfn)
    section.commit()


def _give(section: Section, number: int, pfn: int, order: int) -> None:
    """Puts a block on its list, merged with its buddies as far as they are free."""
    image, node = section.image, section.image.raw.nodes[number]
    low, high = int(node["start"]), int(node["start"]) + int(node["frames"])
    while order < MAX_ORDER:
        buddy = pfn ^ 1 << order
        if buddy < low or buddy + (1 << order) > high:
            break
        if image.entry(buddy, "state") != FREE or image.entry(buddy, "order") != order:
            break
        _unlink(section, number, buddy, order)
        section.entry(buddy, "order", INNER)
        section.entry(pfn, "order", INNER)
        pfn, order = min(pfn, buddy), order + 1
    first = int(node["list"][order])
    section.entry(pfn, "order", order)
    section.entry(pfn, "prev", 0)
    section.entry(pfn, "next", first)
    if first:
        section.entry(first - 1, "prev", pfn + 1)
    section.node(number, "list", pfn + 1, order)


def _unlink(section: Section, number: int, pfn: int, order: int) -> None:
    image = section.image
    following, before = image.entry(pfn, "next"), image.entry(pfn, "prev")
    for link in (following, before):
        if link and image.node_of(link - 1) != number:
            raise NonsenseError(f"the free list of node {number} leads to frame {link - 1}")
    if before:
        section.entry(before - 1, "next", following)
    else:
        section.node(number, "list", following, order)
    if following:
        section.entry(following - 1, "prev", before)
    section.entry(pfn, "next", 0)
    section.entry(pfn, "prev", 0)
