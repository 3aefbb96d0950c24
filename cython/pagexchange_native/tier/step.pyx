# cython: language_level=3
# cython: freethreading_compatible=False
"""What came of a tier's step: numbers. Its list of moves is made when it is asked for: most callers want none."""

import numpy as np


def frames_of(pairs, int64_t run):
    """Return the frames of pairs of blocks, one row for each frame of a block: int64[n * run, 2]."""
    if run == 1:
        return pairs
    inside = np.arange(run, dtype=np.int64)
    return (pairs[:, None, :] * run + inside[None, :, None]).reshape(-1, 2)


cdef class TierStep:
    """What came of a step of a tier. Pages are folios: a block of `run` frames has as many.

    Attributes
    ----------
    moves : int64[m, 2]
        (old frame, new frame) of each page that moved, by the first frame of its folio: of an exchange those of the slow
        node before those of the fast one, of migrations the demoted before the promoted.
    asked : int
        Pairs of blocks that the pairing asked for.
    done : int
        Of these, whose pages have traded places; of migrations, whose hot page was promoted.
    refused : int
        Of these, that were refused: both blocks, of migrations the hot page, are as they were. Stalls are among them.
    left : int
        Of these, that were not reached in the time that the step had.
    promoted, demoted : int
        Pages that came to the fast node, to the slow one.
    stalls : int
        Pages that were to come to the fast node, and found no free frame there.
    frames_taken : int
        Frames that were allocated for it, as temporary pages or as the places of migrated ones.
    back_and_forth : int
        Pages that moved again within `half_life` steps of their last move.
    bytes : int
        Bytes of the pages that moved.
    choose_ns : int
        Wall time until the pairs were chosen and checked.
    move_ns : int
        Wall time of the exchanges or migrations, with what it takes for heat to follow the pages.
    cpu_ns : int
        CPU time of the whole step, of all threads.
    """

    def __init__(
        self, moves=None, *, int64_t asked=0, int64_t done=0, int64_t refused=0, int64_t left=0, int64_t promoted=0,
        int64_t demoted=0, int64_t stalls=0, int64_t frames_taken=0, int64_t back_and_forth=0, int64_t bytes=0,
        int64_t cpu_ns=0,
    ):
        self.made = np.zeros((0, 2), np.int64) if moves is None else moves
        self.asked, self.done, self.refused, self.left = asked, done, refused, left
        self.promoted, self.demoted, self.stalls, self.frames_taken = promoted, demoted, stalls, frames_taken
        self.back_and_forth, self.bytes, self.cpu_ns = back_and_forth, bytes, cpu_ns

    def __repr__(self):
        return f"<TierStep: {self.asked} pairs asked for, {self.done} done, {self.refused} refused, {self.left} left>"

    def __eq__(self, other):
        if type(other) is not TierStep:
            return NotImplemented
        return self.numbers() == other.numbers() and np.array_equal(self.moves, other.moves)

    __hash__ = None

    def numbers(self):
        """Return all but the moves, by name."""
        return {name: getattr(self, name) for name in NUMBERS}

    @property
    def moves(self):
        if self.made is None:
            done = self.pairs[self.statuses == 0]
            self.made = frames_of(np.concatenate([done, done[:, ::-1]]), self.run)
        return self.made

    cdef void add(self, TierStep other) noexcept:
        """Adds the numbers of another step."""
        self.asked += other.asked
        self.done += other.done
        self.refused += other.refused
        self.left += other.left
        self.promoted += other.promoted
        self.demoted += other.demoted
        self.stalls += other.stalls
        self.frames_taken += other.frames_taken
        self.back_and_forth += other.back_and_forth
        self.bytes += other.bytes
        self.choose_ns += other.choose_ns
        self.move_ns += other.move_ns
        self.cpu_ns += other.cpu_ns


# Of a step, in order; and which of them a TierStep is made with.
NUMBERS = (
    "asked", "done", "refused", "left", "promoted", "demoted", "stalls", "frames_taken", "back_and_forth", "bytes",
    "choose_ns", "move_ns", "cpu_ns",
)
MADE = NUMBERS[:10] + ("cpu_ns",)
