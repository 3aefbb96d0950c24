"""Chooses a part of a snapshot that still hangs together: whole processes, whole files, whole folios."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange.pages.snapshot.snapshot import Snapshot


def choose(snapshot: Snapshot, limit: int, seed: int) -> tuple[NDArray[np.int64], list[int]]:
    """Rows of at most `limit` frames, ascending, and the address spaces whose mappings are all among them.

    Processes come first, in random order and those that fit, each with all frames that it maps and with the files
    these belong to, for three quarters of the limit. The rest goes to whole files, then to stretches of the page cache
    that no process maps. If not even the smallest process fits, it is cut.

    Returns
    -------
    int64[k], list of int
    """
    n = len(snapshot)
    random = np.random.default_rng(seed)
    folio = kpageflags.folios(snapshot.pfn, snapshot.flags)
    # What is taken together or not at all: the frames of one file, else those of one folio. Numbers of files and of
    # folios' rows are told apart by adding n to the former.
    group = np.where(snapshot.file >= 0, n + snapshot.file.astype(np.int64), folio)
    _, group = np.unique(group, return_inverse=True)
    group = _join(group, folio)
    size = np.bincount(group, minlength=int(group.max()) + 1)
    taken = np.zeros(len(size), dtype=bool)
    used = 0
    # Three quarters go to processes; what two share costs once. A process that is too large is passed over, not cut:
    # half a process would look like one with few pages.
    spaces: list[int] = []
    of_space = [np.unique(group[snapshot.map_frame[rows]]) for rows in _rows_by_space(snapshot)]
    for space in random.permutation(len(of_space)).tolist():
        fresh = of_space[space][~taken[of_space[space]]]
        need = int(size[fresh].sum())
        if used + need <= limit * 3 // 4:
            taken[fresh] = True
            used += need
            spaces.append(space)
    if not spaces and of_space:
        smallest = min(range(len(of_space)), key=lambda s: int(size[of_space[s]].sum()))
        fit = of_space[smallest][np.cumsum(size[of_space[smallest]]) <= limit * 3 // 4]
        taken[fit] = True
        used = int(size[fit].sum())
        spaces.append(smallest)
    # Half of what is left goes to whole files that no chosen process maps.
    files = np.unique(group[snapshot.file >= 0])
    rest = random.permutation(files[~taken[files]])
    fit = rest[np.cumsum(size[rest]) <= (limit - used) // 2]
    taken[fit] = True
    used += int(size[fit].sum())
    # The rest goes to the page cache, in stretches of 16 MiB of neighbours, which mostly belong to one file.
    cache = np.flatnonzero(~taken[group] & (snapshot.file < 0))
    # frame numbers ascend: a stretch is a run of rows
    ends = np.flatnonzero(np.diff(snapshot.pfn[cache] >> np.uint64(12))) + 1
    bounds = np.concatenate([[0], ends, [len(cache)]]) if len(cache) else np.zeros(1, dtype=np.int64)
    for number in random.permutation(len(bounds) - 1).tolist():
        fresh = np.unique(group[cache[bounds[number] : bounds[number + 1]]])
        fresh = fresh[~taken[fresh]]
        fit = fresh[np.cumsum(size[fresh]) <= limit - used]
        taken[fit] = True
        used += int(size[fit].sum())
        if used >= limit - 1:
            break
    return np.flatnonzero(taken[group]), sorted(spaces)


def _rows_by_space(snapshot: Snapshot) -> list[NDArray[np.int64]]:
    """The rows of the mappings of each space."""
    order = np.argsort(snapshot.map_space, kind="stable")
    ends = np.searchsorted(snapshot.map_space[order], np.arange(1, snapshot.nspaces))
    return np.split(order, ends) if snapshot.nspaces else []


def _join(group: NDArray[np.int64], folio: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give all frames of a folio the group of its first frame."""
    return group[folio]
