"""The steps of an exchange in the engine's order: the one table that `explain`, the documentation and the costs share.

Each step is a pass over the pairs of a batch. A pair that a step refuses is put back by the undoing of every step that
it has passed, and gets an errno; the others of its batch do not notice. Below the point of no return nothing may fail,
allocate, block or run Python; the one exception is memory that breaks under the mover: then the pair's bytes are moved
back first.
"""

from typing import Final, NamedTuple

COSTS: Final = ("lock", "flags", "data", "mapping", "finish")
"""Parts that the time of an exchange is split into: the names, in its order, of the enum `T_...` in `work.pxd`."""


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


# fmt: off
STEPS: Final = (
    Step("validate", "core", "", "looks at range and duplicates, in the whole list",
         "EFAULT, EINVAL", ""),
    Step("claim", "core", "lock", "looks at both pages, and locks and freezes each by one compare and swap of owner "
         "and references; writes to the record what moves",
         "ENOENT, EINVAL, ENXIO, EBUSY, EHWPOISON, EUCLEAN, EOPNOTSUPP, EAGAIN, ETIMEDOUT",
         "references back, unlocked"),
    Step("pins", "core", "lock", "looks for pins, after the freeze",
         "EAGAIN, EBUSY", ""),
    Step("ready", "core", "lock", "turns page-table entries into migration entries: whoever touches the page waits; "
         "holds the shape of the mappings' trees, so that a slot which is found stays a slot",
         "EUCLEAN, EAGAIN", "page-table entries back"),
    Step("flags", "flags", "flags", "computes both flags words",
         "", ""),
    Step("mapping", "mapping", "mapping", "finds the slots that point at the two frames",
         "", ""),
    Step("settle", "core", "finish", "checks the answers, that no node or zone bit moves, and writes them to the "
         "record",
         "EBADMSG, EUCLEAN", ""),
    Step("prepare", "data", "data", "takes what the mover needs for a pair",
         "ENOMEM", "given back"),
    Step("data", "data", "data", "moves the bytes, under a log that says how to go on",
         "EHWPOISON", ""),
    Step("tails", "core", "finish", "exchanges what the words of a folio's tails say of the page, under the log",
         "", ""),
    Step("finish", "core", "finish", "stores flags, identity, slots, counters and page-table entries, and lets each "
         "frame go with its page's references; status 0",
         "", ""),
)
# fmt: on

POINT_OF_NO_RETURN: Final = "data"
"""The first step below the point of no return; publishing its phase in the slot's record is the point itself."""

Numbers = tuple[
    int, tuple[int, int, int, int, int], int, int, int, int, int, tuple[int, ...], tuple[tuple[int, int], ...]
]
"""What `Exchanger.exchange` returns: wall ns, ns by `COSTS` summed over workers, frames asked for, frames got, retries,
violation mask, workers used, pairs that each mover exchanged, wall and CPU ns of each thread if several worked."""
