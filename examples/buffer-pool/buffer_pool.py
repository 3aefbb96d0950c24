"""A buffer pool over a file: its blocks in a fast and a slow node of an arena, with and without a tier.

    python buffer_pool.py [ACCESSES [BLOCKS [BYTES]]]

Both pools read the same blocks of the same file, in batches. One lets pages trade places after each batch, the other
leaves each where it was loaded. What differs is how many reads hit the fast node, and the time that it takes.
"""

import sys
import tempfile
import time

import numpy as np

from pagexchange import Arena


class BufferPool:
    """Blocks of a file, of 1 KiB or more, in the frames of an arena. `read` returns the frames in which they lie."""

    def __init__(self, path, size, fast, slow, tiered):
        self.blocks = np.memmap(path, np.uint64, "r").reshape(-1, size // 8)
        self.arena = Arena.create(nodes=[("fast", fast), ("slow", slow)], page_size=size)
        self.mapping = self.arena.new_mapping("the file")
        self.tier, self.tiered = self.arena.tier(), tiered
        self.slow, self.loaded = slice(fast, fast + slow), 0

    def read(self, blocks):
        """Load the blocks that are not there, count the accesses, return the frame of each: int64[n]."""
        frames = self.arena.cache_load(self.mapping, blocks)
        if (frames < 0).any():
            self.load(np.unique(blocks[frames < 0]), keep=frames[frames >= 0])
            frames = self.arena.cache_load(self.mapping, blocks)
        self.tier.touch(frames)
        return frames

    def load(self, blocks, keep):
        """Read blocks of the file into free frames, the fast ones first; slow pages go for it, but none of `keep`."""
        free = [node["free"] for node in self.arena.nodes]
        if len(blocks) > sum(free):
            self.evict(len(blocks) - sum(free), keep)
        fast = min(len(blocks), free[0])
        frames = np.concatenate([self.arena.alloc("fast", fast), self.arena.alloc("slow", len(blocks) - fast)])
        self.arena.frames[frames] = self.blocks[blocks]
        self.arena.cache_add(self.mapping, blocks, frames)
        self.loaded += len(blocks)

    def evict(self, n, keep):
        """Drop the n coldest pages of the slow node: they are as they are in the file."""
        heat, entries = self.tier.heat, self.arena.entries[self.slow]
        heat[keep] = np.inf
        heat = np.where(entries["mapping"] != 0, heat[self.slow], np.inf)
        for index in entries["index"][np.argpartition(heat, n - 1)[:n]].tolist():
            self.arena.cache_remove(self.mapping, index)

    def between_batches(self):
        """Let hot pages trade places with cold ones, for a millisecond at most."""
        if self.tiered:
            self.tier.step(max_us=1000)


def accesses(n, blocks, seed=1):
    """Yield batches of block numbers: a tenth of the file gets nine tenths of the reads, another one half-way."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(blocks)
    for first in range(0, n, 1000):
        size = min(1000, n - first)
        hot = rng.random(size) < 0.9
        numbers = np.where(hot, rng.integers(0, blocks // 10, size), rng.integers(0, blocks, size))
        yield order[(numbers + (blocks // 2 if first >= n // 2 else 0)) % blocks]


def measure(path, n, blocks, size, tiered):
    """Return the share of reads that hit the fast node, blocks loaded, microseconds per read, pages moved."""
    pool = BufferPool(path, size, blocks // 8, blocks // 2, tiered)
    began = time.perf_counter()
    for batch in accesses(n, blocks):
        pool.read(batch)
        pool.between_batches()
    counts = pool.tier.counts
    moved = counts["promoted"] + counts["demoted"]
    return counts["hits"] / counts["accesses"], pool.loaded, (time.perf_counter() - began) * 1e6 / n, moved


def main(n=1_000_000, blocks=16_384, size=4096):
    """Make a file, read it through both pools, and print what came of it."""
    with tempfile.NamedTemporaryFile() as file:
        np.repeat(np.arange(blocks, dtype=np.uint64), size // 8).tofile(file.name)
        for tiered in (False, True):
            share, loaded, us, moved = measure(file.name, n, blocks, size, tiered)
            name = "with a tier" if tiered else "without"
            print(f"{name:12} {share:6.1%} fast, {us:.3f} us a read, {loaded} blocks loaded, {moved} pages moved")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
