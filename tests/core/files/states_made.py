"""Makes dumps of /proc/kpageflags and listings of page-types from the words of frames, as the tools write them."""

import numpy as np

# tools/mm/page-types.c of Linux 6.4 and later: letter and bit of every name, in the order of the bits
LETTERS = (
    "L0 E1 R2 U3 D4 l5 A6 S7 W8 I9 B10 M11 a12 s13 b14 H15 T16 G17 u18 X19 n20 x21 t22 o23 z24 i25 g26 r32 m33 d34 P35 "
    "p36 O37 h38 c39 f40 H41 d47 I48 A50 E51 F61 w62 161"
)
ORDER = [(name[0], int(name[1:])) for name in LETTERS.split()[:-1]] + [("1", 63)]
HIDDEN = 0xFFFF << 32


def letters(word, order=ORDER):
    return "".join(letter if word >> bit & 1 else "_" for letter, bit in order)


def raw(word):
    """What page-types -r makes of a word (expand_overloaded_flags)."""
    if word >> 12 & 1 and word >> 34 & 1:
        word ^= 1 << 34 | 1 << 47
    if word >> 9 & 1 and not word >> 8 & 1:
        word ^= 1 << 9 | 1 << 48
    return word


def plain(word):
    """What page-types makes of a word without -r (well_known_flags)."""
    word &= ~HIDDEN
    return word if word >> 17 & 1 else word & ~(1 << 15 | 1 << 16)


def listing(frames, *, columns=(), shown=raw, order=ORDER, summary=False):
    """page-types -L: frames: {pfn: word}. columns: of voffset, cgroup and map-cnt, those that are there."""
    lines = ["\t".join([*columns, "offset", "flags"])]
    for k, (pfn, word) in enumerate(frames.items()):
        more = {"voffset": f"{0x7F0000000 + k:x}", "foffset": f"{k:x}", "cgroup": "@77", "map-cnt": str(k % 4)}
        lines.append("\t".join([*(more[name] for name in columns), f"{pfn:x}", letters(shown(word), order)]))
    if summary:
        lines += ["", "", "             flags\tpage-count       MB  symbolic-flags\t\t\tlong-symbolic-flags",
                  f"0x{0x868:016x}\t{len(frames):10} {0:8}  {letters(0x868, order)}\tuptodate,lru,mmap",
                  f"             total\t{len(frames):10} {0:8}"]  # fmt: skip
    return "".join(f"{line}\n" for line in lines).encode()


def ranges(runs, *, shown=raw):
    """page-types -l: runs: [(pfn, frames, word)]."""
    lines = ["offset\tlen\tflags", *(f"{pfn:x}\t{size:x}\t{letters(shown(word))}" for pfn, size, word in runs)]
    return "".join(f"{line}\n" for line in lines).encode()


def dump(frames, total):
    words = np.zeros(total, dtype=np.uint64)
    for pfn, word in frames.items():
        words[pfn] = word
    return words.tobytes()
