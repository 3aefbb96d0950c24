"""The steps of an exchange in the engine's order: the one table that `explain`, the documentation and the costs share.

Each step is a pass over the pairs of a batch. A pair that a step refuses is put back by the undoing of every step that
it has passed, and gets an errno; the others of its batch do not notice. Below the point of no return nothing may fail,
allocate, block or run Python; the one exception is memory that breaks under the mover: then the pair's bytes are moved
back first.
"""

from typing import Final, NamedTuple

COSTS: Final = ("lock", "flags", "data", "mapping", "finish")
"""Parts that the time of an exchange is split into: the names, in its order, of the enum `T_...` in `worker.pxd`."""


class Step(NamedTuple):
    """One step: who serves it, what it does, and what a failure there leaves."""

    name: str
    server: str
    """`flags`, `mapping`, `data`: the plug-in that the strategy names for that question; `core`: the engine itself."""
    cost: str
    """The part of `COSTS` that the step's time counts in; empty: only in the total of the call."""
    action: str
    errors: str
    """What a pair that is refused here gets; a plug-in's object may answer with another errno. Empty: cannot fail."""
    undo: str
    """What is undone for a pair that is refused in a later step; empty if there is nothing to undo."""


# What `validate` sees without a lock may change before there is one: `check` asks the same again.
# fmt: off
STEPS: Final = (
    Step("validate", "core", "", "looks at range, order, duplicates; free, offline, reserved and broken frames",
         "EFAULT, EINVAL, ENOENT, ENXIO, EBUSY, EHWPOISON, EUCLEAN", ""),
    Step("lock", "core", "lock", "locks both frames of every pair",
         "EAGAIN", "unlock"),
    Step("check", "core", "lock", "looks again under the lock; write-back, kind of mapping, flags of all frames",
         "those of validate, ETIMEDOUT, EOPNOTSUPP", ""),
    Step("unmap", "core", "lock", "turns page-table entries into migration entries: whoever touches the page waits",
         "EUCLEAN", "page-table entries back"),
    Step("freeze", "core", "lock", "swaps the references that a page must have for a mark; looks for pins after that",
         "EAGAIN, EBUSY", "references back"),
    Step("hold", "core", "lock", "holds the shape of both mappings' trees, so that a slot which is found stays a slot",
         "EAGAIN", "trees released"),
    Step("flags", "flags", "flags", "computes both flags words; the core refuses to move node or zone bits",
         "EBADMSG", ""),
    Step("mapping", "mapping", "mapping", "finds the slots that point at the two frames; the core checks them",
         "EUCLEAN, EBADMSG", ""),
    Step("record", "core", "finish", "writes what moves to the worker's slot: absolute values, harmless to repeat",
         "", ""),
    Step("prepare", "data", "data", "takes what the mover needs for a pair",
         "ENOMEM", "given back"),
    Step("data", "data", "data", "moves the bytes, under a log that says how to go on",
         "EHWPOISON", ""),
    Step("apply", "core", "finish", "stores flags, those of tails too, identity, slots, counters",
         "", ""),
    Step("finish", "core", "finish", "puts references and page-table entries back crosswise, unlocks; status 0",
         "", ""),
)
# fmt: on

POINT_OF_NO_RETURN: Final = "data"
"""The first step below the point of no return; publishing its phase in the slot's record is the point itself."""

Numbers = tuple[int, tuple[int, int, int, int, int], int, int, int, int, int, tuple[int, ...]]
"""What `Exchanger.exchange` returns: wall ns, ns by `COSTS` summed over workers, frames asked for, frames got, retries,
violation mask, workers used, pairs that each mover exchanged."""
