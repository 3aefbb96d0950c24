# cython: language_level=3, cdivision=True
# cython: freethreading_compatible=False
"""How hot each block of a tier is, and when what lies in it came there: both follow the pages."""

from libc.errno cimport ETIME
from libc.math cimport INFINITY
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

import mmap

import numpy as np

from pagexchange_native.arena.locks cimport now_ns
from pagexchange_native.arena.region cimport Region, Use
from pagexchange_native.buffers cimport INT32, INT64, UINT8, UINT32, ItemType, address, extent, items, view_of
from pagexchange_native.format cimport PGX_USED, pgx_entry, pgx_load8, pgx_load64
from pagexchange_native.integers import as_number
from pagexchange_native.plugin cimport init_was_called
from pagexchange_native.tier.format cimport (
    PGX_TIER_GROUP, PGX_TIER_ORDER, PGX_TIER_ORDER_SHIFT, PGX_TIER_REFUSED, PGX_TIER_STEP, PGX_TIER_STRIDE, PGX_TIER_TAKEN,
    pgx_block, pgx_tier,
)
from pagexchange_native.tier.step cimport TierStep
from pagexchange_native.tier.view cimport TierView

cdef extern from "<errno.h>" nogil:
    enum:
        ECANCELED

ctypedef fused number:
    uint32_t
    int64_t

cdef Py_ssize_t HUGE = 2 << 20
cdef double HEAVIEST = 2.0 ** 32  # weight from which on all heat is divided by it: float32 goes up to 2^127

# What is wrong with a list of pairs, see Heat.wrong.
cdef enum Wrong:
    NOTHING = 0
    NOT_SLOW = 1
    NOT_FAST = 2
    SLOW_TWICE = 3
    FAST_TWICE = 4

cdef struct bounds:  # of the frames that count, in frames; `lost` ones at the end of a node are in no whole block
    uint64_t fast
    uint64_t nfast
    uint64_t slow
    uint64_t nslow


cdef int64_t hits_of(const number *frames, Py_ssize_t n, const bounds *b, Py_ssize_t *bad) noexcept nogil:
    """How many of the frames lie in the fast node; -1, and the place of the first, where one lies in neither."""
    cdef int64_t fast = 0, slow = 0
    cdef Py_ssize_t i
    for i in range(n):
        fast += <uint64_t>frames[i] - b.fast < b.nfast
        slow += <uint64_t>frames[i] - b.slow < b.nslow
    if fast + slow == n:
        return fast
    for i in range(n):
        if not (<uint64_t>frames[i] - b.fast < b.nfast or <uint64_t>frames[i] - b.slow < b.nslow):
            bad[0] = i
            return -1
    bad[0] = 0  # somebody changes the array meanwhile
    return -1


cdef inline void add(Heat h, uint64_t block, float accesses) noexcept nogil:
    """Adds to a block's heat. A frame is looked at again: the caller's array may have changed since."""
    cdef pgx_block *b
    cdef float *bound
    if block >= h.n:
        return
    b = &h.blocks[block]
    b.heat += accesses
    bound = h.bound_of(block) if block - h.slow < h.nslow else &h.nobody
    bound[0] = max(bound[0], b.heat)
    if not b.state & PGX_TIER_ORDER:
        h.learn(block)


cdef void count(Heat h, const number *frames, const uint8_t *writes, Py_ssize_t n, float once, float wrote) noexcept nogil:
    cdef Py_ssize_t i
    if h.run == 1 and writes == NULL:
        for i in range(n):
            add(h, <uint64_t>frames[i], once)
        return
    for i in range(n):
        add(h, <uint64_t>frames[i] // h.run, wrote if writes != NULL and writes[i] else once)


cdef inline int frames_order(uint32_t state) noexcept nogil:
    """Order of the folio that a state is of; 0 where there is none."""
    cdef uint32_t order = (state & PGX_TIER_ORDER) >> PGX_TIER_ORDER_SHIFT
    return order - 1 if order else 0


cdef object _zeros(Py_ssize_t nbytes):
    """Returns uint8[nbytes] of zeros, in huge pages where the machine gives some: a search goes to blocks at random."""
    if nbytes < HUGE:
        return np.zeros(nbytes, np.uint8)
    memory = mmap.mmap(-1, nbytes + HUGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    try:
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a Linux without them
        pass
    array = np.frombuffer(memory, np.uint8)
    start = -<Py_ssize_t>array.ctypes.data % HUGE
    return array[start : start + nbytes]


cdef class Heat:
    """Heat and last move of blocks: 8 bytes for each, and half a byte for its group's bound.

    Accesses of a later step weigh more, by 2^(1 / half_life), instead of all others less: so a step costs nothing for
    pages that nobody touches. A block's heat is a float32: beyond 16.7 million accesses of one weight it grows no more.

    Parameters
    ----------
    region : Region
        The arena.
    fast, slow : int
        Numbers of the two nodes.
    run : int
        Frames of a block; both nodes start at a multiple of it.
    half_life : float
        Steps after which an access counts for half.
    """

    def __init__(self, Region region not None, *, uint32_t fast, uint32_t slow, uint64_t run, double half_life):
        cdef Use use = region.use()
        cdef uint32_t node
        for node in (fast, slow):
            if node >= region.region.nnodes:
                raise ValueError(f"node {node}: the arena has {region.region.nnodes}")
            if not run or region.region.node_start[node] % run:
                raise ValueError(f"run {run}: node {region._node_name(node)!r} starts at frame "
                                 f"{region.region.node_start[node]}, which must be a multiple of it")
        if fast == slow:
            raise ValueError(f"fast and slow are one node, {region._node_name(fast)!r}")
        if not half_life > 0:
            raise ValueError(f"half_life {half_life}: want steps above 0")
        self.region, self.run, self.fast_node = region, run, fast
        self.fast = region.region.node_start[fast] // run
        self.slow = region.region.node_start[slow] // run
        self.nfast = region.region.node_frames[fast] // run
        self.nslow = region.region.node_frames[slow] // run
        self.n = max(self.fast + self.nfast, self.slow + self.nslow)
        self.words = _zeros(8 * self.n).view(np.uint32).reshape(-1, 2)
        self.blocks = <pgx_block *>address(self.words)
        self.lay_bounds()
        for node in range(self.n):
            self.learn(node)
        self.sums = TierStep()
        self.before = INFINITY
        self.weight = 1.0
        self.growth = 2.0 ** (1.0 / half_life)
        self.step = 1

    cdef Use used(self):
        """Keeps the region open while it is used; TypeError: `__init__` was never called."""
        init_was_called(self, self.region is not None)
        return self.region.use()

    @property
    def nbytes(self):
        """Bytes that it keeps."""
        return self.words.nbytes + self.bounds.nbytes

    @property
    def free_fast(self):
        """Frames of the fast node that are free."""
        cdef Use use = self.used()
        return pgx_load64(&self.region.region.nodes[self.fast_node].free)

    @property
    def low_fast(self):
        """Frames of the fast node's low watermark."""
        cdef Use use = self.used()
        return self.region.region.nodes[self.fast_node].wm_low

    def accesses(self):
        """Return the accesses to each block by now, older ones counted for less: float32."""
        return self.words.view(np.float32)[:, 0] / np.float32(self.weight)

    cdef int lay_bounds(self) except -1:
        """Makes the bounds of the groups, the fast node's before the slow one's, of heat 0; what fills up passes never."""
        cdef uint64_t stride = PGX_TIER_GROUP * PGX_TIER_STRIDE
        cdef uint64_t fast = (self.nfast + stride - 1) // stride * PGX_TIER_STRIDE
        cdef uint64_t slow = (self.nslow + stride - 1) // stride * PGX_TIER_STRIDE
        self.bounds = np.zeros(fast + slow, np.float32)
        self.bounds[(self.nfast + PGX_TIER_GROUP - 1) // PGX_TIER_GROUP : fast] = np.inf
        self.fast_bounds = <float *>address(self.bounds)
        self.slow_bounds = self.fast_bounds + fast
        return 0

    cdef inline float *bound_of(self, uint64_t block) noexcept nogil:
        """The bound of a block's group; of either node."""
        if block - self.slow < self.nslow:
            return &self.slow_bounds[(block - self.slow) // PGX_TIER_GROUP]
        return &self.fast_bounds[(block - self.fast) // PGX_TIER_GROUP]

    cdef void learn(self, uint64_t block) noexcept nogil:
        """Notes the order of the page that lies in a block, from its entry."""
        cdef const pgx_entry *e = &self.region.region.entries[block * self.run]
        cdef uint32_t order = 0
        if pgx_load8(&e.state) == PGX_USED:
            order = pgx_load8(&e.order) + 1
        self.blocks[block].state = self.blocks[block].state & ~PGX_TIER_ORDER | order << PGX_TIER_ORDER_SHIFT

    def touch(self, frames, writes=None, double write_weight=1.0):
        """Count accesses; return how many of them hit the fast node.

        Parameters
        ----------
        frames : uint32[n] or int64[n]
        writes : bool[n], optional
            Which of them count `write_weight` times.

        Raises
        ------
        IndexError
            A frame in no block of the two nodes; nothing is counted.
        """
        cdef bint wide = frames.dtype != np.uint32
        cdef object view = view_of(frames, "frames", INT64 if wide else UINT32, 1)
        cdef object flags = None if writes is None else view_of(writes.view(np.uint8), "writes", UINT8, 1)
        cdef const uint8_t *wrote = NULL if flags is None else <const uint8_t *>items(flags)
        cdef Py_ssize_t n = extent(view, 0), bad = 0
        cdef int64_t hits
        cdef bounds b
        cdef float once = <float>self.weight
        cdef float more = <float>(self.weight * write_weight)
        cdef void *first = items(view)
        cdef Use use = self.used()
        if flags is not None and extent(flags, 0) != n:
            raise ValueError(f"writes: want bool[{n}], one for each access; got {extent(flags, 0)}")
        b.fast, b.nfast = self.fast * self.run, self.nfast * self.run
        b.slow, b.nslow = self.slow * self.run, self.nslow * self.run
        with nogil:
            if wide:
                hits = hits_of(<const int64_t *>first, n, &b, &bad)
                if hits >= 0:
                    count(self, <const int64_t *>first, wrote, n, once, more)
            else:
                hits = hits_of(<const uint32_t *>first, n, &b, &bad)
                if hits >= 0:
                    count(self, <const uint32_t *>first, wrote, n, once, more)
        if hits < 0:
            raise IndexError(f"frame {int(frames[bad])} (access {bad}): in no block of the two nodes; nothing was counted")
        return hits

    def view(self, pairs=None, now=None):
        """Return what a pairing is shown in this step.

        Parameters
        ----------
        pairs : int, optional
            That it may return, at most; ValueError: negative.
        now : float, optional
            Seconds on the caller's clock; by default the machine's.
        """
        cdef TierView view = TierView.__new__(TierView)
        cdef pgx_tier *t = &view.tier
        cdef uint64_t limit = min(self.nfast, self.nslow)
        cdef double at = 1e-9 * now_ns() if now is None else now
        cdef double seconds = at - self.before if at > self.before else 0.0
        if pairs is not None:
            number = pairs if type(pairs) is int else as_number(pairs, "pairs")
            if number < 0:
                raise ValueError(f"pairs {pairs}: want 0 or more")
            limit = min(number, limit)
        self.before = at
        view.blocks, view.bounds, view.made = self.words, self.bounds, {}
        t.blocks, t.fast_bounds, t.slow_bounds = self.blocks, self.fast_bounds, self.slow_bounds
        t.weight, t.seconds = self.weight, seconds
        t.ns_per_pair = <double>self.sums.move_ns / self.sums.done if self.sums.done else 0.0
        t.run, t.step, t.limit = self.run, self.step, limit
        t.fast, t.nfast, t.slow, t.nslow = self.fast, self.nfast, self.slow, self.nslow
        t.free_fast = self.free_fast
        t.block_bytes = self.region.region.page_size * self.run
        return view

    def wrong(self, pairs):
        """Return (what, place in the list) of the first wrong number of int64[n, 2], or None.

        What: 1 no block of the slow node, 2 none of the fast node, 3 a slow block that stands there twice, 4 a fast one.
        """
        cdef object view = view_of(pairs, "pairs", INT64, 2)
        cdef const int64_t *pair = <const int64_t *>items(view)
        cdef Py_ssize_t n = extent(view, 0), at = 0
        cdef int what
        with nogil:
            what = self.look(pair, n, &at)
        return None if what == NOTHING else (what, at)

    cdef int look(self, const int64_t *pair, Py_ssize_t n, Py_ssize_t *at) noexcept nogil:
        cdef int what = NOTHING
        cdef Py_ssize_t i, done = 2 * n
        cdef uint64_t block
        for i in range(2 * n):
            block = <uint64_t>pair[i]
            if i % 2:
                if block - self.fast >= self.nfast:
                    what = NOT_FAST
            elif block - self.slow >= self.nslow:
                what = NOT_SLOW
            if what == NOTHING and self.blocks[block].state & PGX_TIER_TAKEN:
                what = FAST_TWICE if i % 2 else SLOW_TWICE
            if what != NOTHING:
                done, at[0] = i, i // 2
                break
            self.blocks[block].state |= PGX_TIER_TAKEN
        for i in range(done):
            self.blocks[<uint64_t>pair[i]].state &= ~PGX_TIER_TAKEN
        return what

    def swap(self, pairs):
        """Let heat follow the pages of pairs as if all had traded places.

        Before the exchange, because what is known of these blocks is in cache then, and not after it.

        Parameters
        ----------
        pairs : int64[n, 2]
            Blocks that `wrong` has found right.

        Returns
        -------
        before : uint32[n, 2]
            What `settle` needs to put it right.
        statuses : int32[n * run]
            Of the frames of these blocks, -ECANCELED each: as it stays where a plug-in raises.
        """
        cdef object view = view_of(pairs, "pairs", INT64, 2)
        cdef const int64_t *pair = <const int64_t *>items(view)
        cdef Py_ssize_t n = extent(view, 0), i
        before = np.empty((n, 2), np.uint32)
        statuses = np.empty(n * self.run, np.int32)
        cdef uint32_t *states = <uint32_t *>address(before)
        cdef int32_t *status = <int32_t *>address(statuses)
        cdef uint64_t a, b
        with nogil:
            for i in range(n * self.run):
                status[i] = -ECANCELED
            for i in range(n):
                a, b = <uint64_t>pair[2 * i], <uint64_t>pair[2 * i + 1]
                if self.knows(a) and self.knows(b):
                    states[2 * i], states[2 * i + 1] = self.blocks[a].state, self.blocks[b].state
                    self.trade(a, b)
        return before, statuses

    def settle(self, pairs, statuses, before, double soon, int64_t frames_taken, int64_t cpu_ns):
        """Put right what `swap` has noted of pairs that have not traded places, and return what came of the step.

        Parameters
        ----------
        pairs : int64[n, 2]
            As `swap` got them; kept, so nobody may change them.
        statuses : int32[n]
            0, -ETIME for a pair that was not reached, else why it was refused; kept, too.
        before : uint32[n, 2]
            As `swap` has returned it.
        soon : float
            Steps within which a page that moves again goes back and forth.
        frames_taken, cpu_ns : int
            The step's, of the exchanges.

        Returns
        -------
        TierStep
        """
        cdef object view = view_of(pairs, "pairs", INT64, 2)
        cdef object verdicts = view_of(statuses, "statuses", INT32, 1)
        cdef object olds = view_of(before, "before", UINT32, 2)
        cdef const int64_t *pair = <const int64_t *>items(view)
        cdef const int32_t *status = <const int32_t *>items(verdicts)
        cdef const uint32_t *states = <const uint32_t *>items(olds)
        cdef Py_ssize_t n = extent(view, 0), i
        cdef uint64_t a, b, done = 0, left = 0, again = 0, frames = 0
        cdef Use use = self.used()
        cdef TierStep step = TierStep.__new__(TierStep)
        if extent(verdicts, 0) != n or extent(olds, 0) != n or extent(olds, 1) != 2 or extent(view, 1) != 2:
            raise ValueError(f"want int64[{n}, 2], int32[{n}] and uint32[{n}, 2]")
        with nogil:
            for i in range(n):
                if status[i] == 0:
                    again += self.lately(states[2 * i], soon) + self.lately(states[2 * i + 1], soon)
                    frames += self.run << frames_order(states[2 * i])
                    done += 1
                    continue
                a, b = <uint64_t>pair[2 * i], <uint64_t>pair[2 * i + 1]
                if not (self.knows(a) and self.knows(b)):
                    continue
                self.trade(a, b)
                if status[i] == -ETIME:
                    left += 1
                    self.blocks[a].state, self.blocks[b].state = states[2 * i], states[2 * i + 1]
                else:
                    self.refuse(a)
                    self.refuse(b)
        step.pairs, step.statuses, step.run = pairs, statuses, self.run
        step.asked, step.done, step.left = n, done, left
        step.refused = step.asked - step.done - step.left
        step.promoted = step.demoted = done * self.run
        step.back_and_forth = again * self.run
        step.bytes = 2 * frames * self.region.region.page_size
        step.frames_taken, step.cpu_ns = frames_taken, cpu_ns
        return step

    cdef void trade(self, uint64_t a, uint64_t b) noexcept nogil:
        """Notes that the pages of a slow and a fast block have traded places in this step."""
        cdef pgx_block slow = self.blocks[a]
        self.put(a, self.blocks[b])
        self.put(b, slow)

    cdef inline void put(self, uint64_t block, pgx_block page) noexcept nogil:
        """Notes that a page has come to a block in this step, and loosens the bound of its group."""
        cdef float *bound = self.bound_of(block)
        page.state = page.state & PGX_TIER_ORDER | self.step
        self.blocks[block] = page
        if block - self.slow < self.nslow:
            bound[0] = max(bound[0], page.heat)
        else:
            bound[0] = min(bound[0], page.heat)

    cdef void refuse(self, uint64_t block) noexcept nogil:
        self.learn(block)  # it may be another page than was thought
        self.blocks[block].state = self.blocks[block].state & PGX_TIER_ORDER | PGX_TIER_REFUSED | self.step

    cdef bint lately(self, uint32_t state, double soon) noexcept nogil:
        """Whether what had this state came to its block so few steps ago."""
        cdef uint32_t came = state & PGX_TIER_STEP
        return came != 0 and not state & PGX_TIER_REFUSED and self.step - came <= soon

    def follow(self, old, new, double soon):
        """Let heat follow pages that have gone to free frames; return how many went back and forth, and their frames.

        Parameters
        ----------
        old, new : int64[n]
            Where each page was, and where it is; what is in neither node is not followed.
        """
        cdef object olds = view_of(old, "old", INT64, 1)
        cdef object news = view_of(new, "new", INT64, 1)
        cdef const int64_t *source = <const int64_t *>items(olds)
        cdef const int64_t *target = <const int64_t *>items(news)
        cdef Py_ssize_t i, n = extent(olds, 0)
        cdef uint64_t a, b, again = 0, frames = 0
        if extent(news, 0) != n:
            raise ValueError(f"new: want int64[{n}], got {extent(news, 0)}")
        with nogil:
            for i in range(n):
                a, b = <uint64_t>source[i], <uint64_t>target[i]
                if self.knows(a) and self.knows(b):
                    again += self.lately(self.blocks[a].state, soon)
                    frames += 1ull << frames_order(self.blocks[a].state)
                    self.put(b, self.blocks[a])
                    self.empty(a)
        return again, frames

    def refused(self, blocks):
        """Note that what lies in these blocks, int64[n], was refused to go in this step."""
        cdef object view = view_of(blocks, "blocks", INT64, 1)
        cdef const int64_t *block = <const int64_t *>items(view)
        cdef Py_ssize_t i
        cdef Use use = self.used()
        for i in range(extent(view, 0)):
            if self.knows(<uint64_t>block[i]):
                self.refuse(<uint64_t>block[i])

    def frames(self, blocks):
        """Return the frames of what lies in each of these blocks of the two nodes: int64[n] of int64[n]."""
        orders = (self.words[blocks, 1] & np.uint32(PGX_TIER_ORDER)) >> PGX_TIER_ORDER_SHIFT
        return np.int64(self.run) << np.maximum(orders.astype(np.int64) - 1, 0)

    cdef bint knows(self, uint64_t block) noexcept nogil:
        return block - self.fast < self.nfast or block - self.slow < self.nslow

    cdef void empty(self, uint64_t block) noexcept nogil:
        """Notes that nothing lies in a block."""
        cdef float *bound = self.bound_of(block)
        self.blocks[block].heat = 0.0
        self.blocks[block].state = 0
        bound[0] = max(bound[0], <float>0.0) if block - self.slow < self.nslow else <float>0.0

    def end(self, TierStep step not None, int64_t choose_ns, int64_t move_ns, int64_t cpu_ns):
        """End a step: note its times, add it to the sums; accesses of the next one weigh more."""
        step.choose_ns, step.move_ns = choose_ns, move_ns
        step.cpu_ns += cpu_ns
        self.sums.add(step)
        self.weight *= self.growth
        if self.weight > HEAVIEST:
            self.words.view(np.float32)[:, 0] /= np.float32(self.weight)
            self.bounds /= np.float32(self.weight)
            self.weight = 1.0
        if self.step == PGX_TIER_STEP:  # nothing is at rest then; that comes once in 67 million steps
            self.words[:, 1] &= np.uint32(PGX_TIER_ORDER)
            self.step = 0
        self.step += 1
