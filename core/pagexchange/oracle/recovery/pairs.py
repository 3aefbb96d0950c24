"""The pairs of a record, every field checked before it is used."""

from dataclasses import dataclass, field

from pagexchange.oracle.format import (
    ANON,
    BATCH,
    MAX_ORDER,
    PTE_BITS,
    PTE_MIGRATION,
    PTE_PRESENT,
    TABLE_SLOTS,
    USED,
    Table,
)
from pagexchange.oracle.recovery.image import Image, NonsenseError, Record

UNDO, TEMP, WHOLE, NONE = 1, 2, 3, 4
"""Log formats."""


@dataclass(frozen=True)
class Page:
    """The page that lay in a side's frame before the exchange, as the record has it."""

    mapping: int
    index: int
    private: int
    rmap: int
    mapcount: int
    refs: int
    held: int
    slot: int

    @property
    def file(self) -> int | None:
        """Number of its mapping; None for a page of no file."""
        return (self.mapping >> 2) - 1 if self.mapping and not self.mapping & ANON else None


@dataclass(frozen=True)
class Pair:
    """One pair of a record."""

    number: int
    pfns: tuple[int, int]
    marked: tuple[bool, bool]
    status: int
    order: int
    kind: int
    temp: int
    """Its temporary frame, or the free one of a migration; -1 for none."""
    words: tuple[int, int] = (0, 0)
    """The flags words computed for the two frames."""
    pages: tuple[Page, ...] = field(default=())
    """Of a pair that goes on: the two pages as they lay."""

    @property
    def target(self) -> int | None:
        """Side of the free frame of a migration; None for an exchange."""
        return self.pfns.index(self.temp) if self.temp in self.pfns else None


def read_pairs(record: Record, recorded: bool) -> list[Pair]:
    """The record's pairs. `recorded`: past the point at which what moves is written, so that it is checked as well.

    Raises
    ------
    NonsenseError
        A field cannot be meant.
    """
    n, image = record["n"], record.image
    if n > BATCH:
        raise NonsenseError(f"slot {record.number}: {n} pairs, there is room for {BATCH}")
    rows, pairs, seen = record.row["pair"][0], [], set[int]()
    for number, row in enumerate(rows[:n]):
        said = f"slot {record.number}, pair {number}"
        a, b = (int(pfn) for pfn in row["side"]["pfn"])
        if a >= image.raw.nframes or b >= image.raw.nframes or a == b or {a, b} & seen:
            raise NonsenseError(f"{said}: frames {a} and {b} are not there, or in two pairs")
        seen |= {a, b}
        marked = record.marked(a), record.marked(b)
        pair = Pair(
            number, (a, b), marked, int(row["status"]), int(row["order"]), int(row["kind"]), int(row["temp"]) - 1,
            (int(row["side"]["flags"][0]), int(row["side"]["flags"][1])),
            tuple(_page(side) for side in row["side"]) if recorded else (),
        )  # fmt: skip
        if recorded and pair.status == 0 and any(marked):
            _check_pair(record, pair, said)
        pairs.append(pair)
    return pairs


def _page(side: Table) -> Page:
    names = ("mapping", "index", "private", "rmap", "mapcount", "refs", "held", "slot")
    return Page(*(int(side[name]) for name in names))


def _check_pair(record: Record, pair: Pair, said: str) -> None:
    image = record.image
    if pair.order > MAX_ORDER or pair.kind not in (UNDO, TEMP, WHOLE, NONE):
        raise NonsenseError(f"{said}: order {pair.order}, log format {pair.kind}")
    if any(word & image.mask("locked") for word in pair.words if image.mask("swap") & image.mask("locked")):
        raise NonsenseError(f"{said}: the flag `locked` would move")
    for side, pfn in enumerate(pair.pfns):
        # Of a frame that was let go, and may be anybody's, nothing is asked.
        if not pair.marked[side]:
            continue
        if image.entry(pfn, "state") != USED or image.entry(pfn, "order") != pair.order:
            raise NonsenseError(f"{said}: frame {pfn} is no folio of order {pair.order} in use")
        if pfn & (1 << pair.order) - 1:
            raise NonsenseError(f"{said}: frame {pfn} starts no folio of order {pair.order}")
        image.node_of(pfn, 1 << pair.order)
        _check_page(image, pair, pair.pages[1 - side], said)


def _check_page(image: Image, pair: Pair, page: Page, said: str) -> None:
    """What belongs to the page that a marked frame gets."""
    number = (page.mapping >> 2) - 1
    if page.mapping & ANON:
        if page.mapping & 2 or not 0 <= number < len(image.raw.spaces):
            raise NonsenseError(f"{said}: mapping word {page.mapping:#x} names no space")
    elif page.mapping:
        if page.mapping & 2 or not 0 <= number < len(image.raw.mappings):
            raise NonsenseError(f"{said}: mapping word {page.mapping:#x} names no mapping")
        word = image.word(number, page.slot)
        if word is None or int(word[0][word[1]]) not in {pfn + 1 << 2 for pfn in pair.pfns}:
            raise NonsenseError(f"{said}: word {page.slot} of mapping {number}'s tree has neither frame")
    if page.file is None and page.slot:
        raise NonsenseError(f"{said}: a page of no file has word {page.slot} of a tree")
    cache = 1 << pair.order if page.file is not None else 0
    refs = page.refs - cache - page.mapcount - (page.held != 0)
    if refs not in (0, 1) or page.refs == 0:
        raise NonsenseError(f"{said}: {page.refs} references are not those of a page at rest")
    entries(image, page.rmap, page.mapcount, pair.order, pair.pfns)


def entries(image: Image, rmap: int, mapcount: int, order: int, pfns: tuple[int, ...]) -> list[list[tuple[int, int]]]:
    """(table, slot) of each page-table entry of a page by its reverse map, one list for each of its mappings.

    Raises
    ------
    NonsenseError
        The chain leads elsewhere: each entry names one of the two frames, and there are as many as the page counts.
    """
    found: list[list[tuple[int, int]]] = []
    link = rmap
    while link:
        table, slot = divmod(link - 1, TABLE_SLOTS)
        if table >= len(image.raw.tables) or len(found) == mapcount:
            raise NonsenseError(f"reverse map of frame {pfns[0]} goes to page-table entry {link - 1}, or on for ever")
        folio: list[tuple[int, int]] = []
        for i in range(1 << order):
            at = slot + i
            if at and at % TABLE_SLOTS == 0:
                table = _next(image, table)
            folio.append((table, at % TABLE_SLOTS))
            word = int(image.raw.tables["pte"]["pte"][folio[-1]])
            if word >> 12 not in {pfn + i for pfn in pfns}:
                raise NonsenseError(
                    f"page-table entry {table}, {at % TABLE_SLOTS} names frame {word >> 12}, none of {pfns}"
                )
        found.append(folio)
        link = int(image.raw.tables["pte"]["next"][folio[0]])
    if len(found) != mapcount:
        raise NonsenseError(f"frame {pfns[0]}: {mapcount} mappings are counted, its reverse map has {len(found)}")
    return found


def _next(image: Image, table: int) -> int:
    """The page table behind one, in its space."""
    row = image.raw.tables[table]
    space, at = int(row["space"]) - 1, int(row["base"]) // TABLE_SLOTS + 1
    if 0 <= space < len(image.raw.spaces):
        number = (image.look_up(image.raw.spaces["tables"][space : space + 1], at) >> 2) - 1
        if 0 <= number < len(image.raw.tables):
            return number
    raise NonsenseError(f"page table {table} of space {space} has none behind it")


def lead(image: Image, page: tuple[int, int], order: int, old: tuple[int, ...], new: int) -> None:
    """Makes all page-table entries of a page, by (rmap, mapcount), present ones of frame `new`."""
    words = image.raw.tables["pte"]["pte"]
    for folio in entries(image, *page, order, (*old, new)):
        for i, at in enumerate(folio):
            bits = int(words[at]) & PTE_BITS & ~PTE_MIGRATION
            image.store(words, at, (new + i) << 12 | bits | PTE_PRESENT)
