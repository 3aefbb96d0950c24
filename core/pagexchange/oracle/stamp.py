"""Stamps: every word of a page says which page and which word it is, so that no two places can look alike."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pagexchange.oracle.findings import Collector
from pagexchange.oracle.format import TAIL, USED, Bools, HasMemory, Ints, Words, read

CHUNK = 1 << 18  # bytes handled at once: stays in a core's L2 cache with its temporaries
# A word is base(page) ^ pattern(position): two pages differ in every word, two positions of a page differ, and one XOR
# tells which page and position a word belongs to. Both halves go through `mix`, so that a word never looks like a small
# number that an arena may contain anyway.


def mix(values: Words) -> Words:
    """splitmix64's finaliser: a bijection of 64-bit words, so two inputs never give one output."""
    z = values * np.uint64(0x9E3779B97F4A7C15)
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def base_of(ids: Ints, seed: int) -> Words:
    """The word that all words of page `ids[i]` carry, uint64[n]."""
    return mix(ids.astype(np.uint64) * np.uint64(2) + np.uint64(1) + mix(np.array([seed], np.uint64) << np.uint64(1)))


def pattern_of(words: int, seed: int) -> Words:
    """The word that stands for a position in a page, uint64[words]."""
    return mix(np.arange(words, dtype=np.uint64) * np.uint64(2) + mix(np.array([~seed & (2**64 - 1)], np.uint64)))


@dataclass(frozen=True)
class Stamps:
    """Which page each frame holds, as written: `ids[pfn]` is the page's number, -1 for a frame without a stamp."""

    seed: int
    ids: Ints

    def moved(self, source: Ints) -> "Stamps":
        """The stamps after an exchange in which frame f got the page that lay in `source[f]`."""
        return Stamps(self.seed, self.ids[source])


@dataclass(frozen=True)
class Copies:
    """Pages with contents of their own, kept in full: row `rows[pfn]` of `words`, -1 for a frame that is not kept."""

    rows: Ints
    words: Words

    def moved(self, source: Ints) -> "Copies":
        """The copies after an exchange in which frame f got the page that lay in `source[f]`."""
        return Copies(self.rows[source], self.words)


def pages_of(arena: HasMemory, heads: ArrayLike | None = None) -> Ints:
    """All base frames of the folios at `heads` (None: of every page in use), ascending."""
    raw = read(arena)
    if heads is None:
        return np.flatnonzero(np.isin(raw.entries["state"], (USED, TAIL)))
    first = np.unique(np.asarray(heads, np.int64))
    if len(first) and (first[0] < 0 or first[-1] >= raw.nframes):
        raise IndexError(f"heads must lie in 0..{raw.nframes - 1}; got {first[0]}..{first[-1]}")
    wrong = first[raw.entries["state"][first] != USED]
    if len(wrong):
        raise ValueError(f"frame {wrong[0]} is not the first frame of a page in use: nothing to stamp")
    size = np.left_shift(1, raw.entries["order"][first].astype(np.int64))
    pfns: Ints = np.repeat(first, size) + within(size)
    return pfns


def within(size: Ints) -> Ints:
    """The position of each base frame in its folio, for folios of these sizes: [3, 1, 2] gives 0 1 2, 0, 0 1."""
    # `pagexchange.pages.within` says the same. The oracle has its own: a fault there would fill an arena wrongly and,
    # if it were shared, be looked for in the wrong frames.
    end = np.cumsum(size)
    return np.arange(size.sum()) - np.repeat(end - size, size)


def _chunks(pfns: Ints, page_size: int) -> Iterator[tuple[int, int]]:
    rows = max(1, CHUNK // page_size)
    return ((lo, min(lo + rows, len(pfns))) for lo in range(0, len(pfns), rows))


def over(pfns: Ints, page_size: int, threads: int, do: Callable[[slice | Ints, Ints], None]) -> None:
    """Calls `do(where, pfns)` chunk by chunk; `where` indexes the frames, as a slice if they follow each other."""

    def chunk(bounds: tuple[int, int]) -> None:
        part = pfns[bounds[0] : bounds[1]]
        run = int(part[-1]) - int(part[0]) + 1 == len(part)
        do(slice(int(part[0]), int(part[-1]) + 1) if run else part, part)

    def chunks(several: Iterable[tuple[int, int]]) -> None:
        for bounds in several:
            chunk(bounds)

    if threads <= 1:
        chunks(_chunks(pfns, page_size))
        return
    # Every t-th chunk to thread t: equal shares without a queue. NumPy releases the GIL in the large steps.
    everything = list(_chunks(pfns, page_size))
    with ThreadPoolExecutor(threads) as pool:
        for job in [pool.submit(chunks, everything[t::threads]) for t in range(threads)]:
            job.result()


def stamp(arena: HasMemory, pfns: ArrayLike | None = None, seed: int = 0, *, threads: int = 1) -> Stamps:
    """Writes every word of every base frame of the folios at `pfns` (None: of every page in use).

    Word w of frame f becomes base(f) ^ pattern(w). Returns what verify needs; no copy of the contents is kept.
    """
    raw = read(arena)
    frames, page_size = raw.frames, int(raw.header["page_size"])
    chosen = pages_of(arena, pfns)
    ids = np.full(raw.nframes, -1, np.int64)
    ids[chosen] = chosen
    pattern = pattern_of(frames.shape[1], seed)
    bases = base_of(ids, seed)

    def write(where: slice | Ints, part: Ints) -> None:
        base = bases[where, None]
        if isinstance(where, slice):
            np.bitwise_xor(base, pattern, out=frames[where])
        else:
            frames[where] = base ^ pattern

    over(chosen, page_size, threads, write)
    return Stamps(seed, ids)


def keep(arena: HasMemory, frames_kept: Bools) -> Copies:
    """Copies the contents of the frames for which `frames_kept` is true (memory: their size)."""
    raw = read(arena)
    chosen = np.flatnonzero(frames_kept)
    rows = np.full(raw.nframes, -1, np.int64)
    rows[chosen] = np.arange(len(chosen))
    return Copies(rows, raw.frames[chosen])


def verify_stamps(
    arena: HasMemory, stamps: Stamps, findings: Collector, *, refused: Bools | None = None, threads: int = 1
) -> int:
    """Compares every word of every stamped frame with what must be there; returns the number of bytes compared."""
    raw = read(arena)
    frames, ids = raw.frames, stamps.ids
    pattern = pattern_of(frames.shape[1], stamps.seed)
    bases = base_of(ids, stamps.seed)
    wrong: list[int] = []

    def compare(where: slice | Ints, part: Ints) -> None:
        differs = (frames[where] ^ pattern) != bases[where, None]
        if differs.any():
            wrong.extend(part[differs.any(axis=1)].tolist())

    chosen = np.flatnonzero(ids >= 0)
    over(chosen, int(raw.header["page_size"]), threads, compare)
    wrong.sort()
    for i, pfn in enumerate(wrong):
        kind = "refused" if refused is not None and refused[pfn] else "contents"
        sentence = _what_it_holds(frames[pfn], pfn, stamps, pattern) if i < findings.cap else ""
        findings.add(kind, pfn, int(ids[pfn]), None, f"{'refused: ' if kind != 'contents' else ''}{sentence}")
    return int(len(chosen) * frames.shape[1] * 8)


def _what_it_holds(words: Words, pfn: int, stamps: Stamps, pattern: Words) -> str:
    """Says in words what lies in a frame that does not hold what it must."""
    page = int(stamps.ids[pfn])
    known = stamps.ids[stamps.ids >= 0]
    bases = base_of(known, stamps.seed)
    rest = words ^ pattern
    want = base_of(np.array([page]), stamps.seed)[0]
    differs = np.flatnonzero(rest != want)
    count = f"{len(differs)} of {len(words)} words"
    first = int(differs[0])
    holders = known[bases == rest[first]]
    if len(holders):  # the first wrong word has another page's base: its word of this very position
        whole = "all of" if (rest == rest[first]).all() else f"{count} wrong, from word {first} on parts of"
        return f"frame {pfn} must hold page {page} and holds {whole} page {int(holders[0])}"
    # Or it is of the right page and of another position: shifted.
    where = np.flatnonzero(pattern == words[first] ^ want)
    if len(where):
        return f"frame {pfn} holds page {page} with {count} wrong: word {first} holds its word {int(where[0])}"
    return f"frame {pfn} must hold page {page}: {count} wrong, word {first} ({int(words[first]):#x}) is of no page"


def verify_copies(
    arena: HasMemory, copies: Copies, findings: Collector, *, refused: Bools | None = None, threads: int = 1
) -> int:
    """Compares every kept page in full with the frame in which it must lie; returns the number of bytes compared."""
    raw = read(arena)
    frames = raw.frames
    wrong: list[tuple[int, int, int]] = []

    def compare(where: slice | Ints, part: Ints) -> None:
        differs = frames[where] != copies.words[copies.rows[part]]
        bad = np.flatnonzero(differs.any(axis=1))
        wrong.extend((int(part[i]), int(differs[i].argmax()), int(differs[i].sum())) for i in bad)

    chosen = np.flatnonzero(copies.rows >= 0)
    over(chosen, int(raw.header["page_size"]), threads, compare)
    for pfn, first, count in sorted(wrong):
        refuse = refused is not None and bool(refused[pfn])
        want, got = int(copies.words[copies.rows[pfn], first]), int(frames[pfn, first])
        number = "1 word is" if count == 1 else f"{count} words are"
        sentence = f"frame {pfn}: {number} not its page's; word {first} is {got:#x}, must be {want:#x}"
        findings.add(*(("refused" if refuse else "contents"), pfn, want, got, ("refused: " * refuse) + sentence))
    return int(len(chosen) * frames.shape[1] * 8)
