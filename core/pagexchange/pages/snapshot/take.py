"""Records this machine: who maps which frame as which page, and what Linux says about each frame.

First the processes' page tables, then the frames: so a frame that changed hands in between shows itself, because its
flags no longer fit what the page table said. Such mappings are left out and counted.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot import identity, kpageflags, sample
from pagexchange.pages.snapshot.proc import frames, mappings, reader
from pagexchange.pages.snapshot.snapshot import FILE, Snapshot

PROC: Final = Path("/proc")
MAX_CONTENTS: Final = 1 << 16
"""Frames whose contents are recorded where no limit is given: 256 MiB."""


def take(
    *,
    pids: Iterable[int] | None = None,
    contents: bool = False,
    names: bool = False,
    limit: int | None = None,
    seed: int = 0,
    proc: Path = PROC,
) -> Snapshot:
    """Record this machine's pages: flags, identities, sharing; nothing that tells whose they are.

    Parameters
    ----------
    pids : iterable of int, optional
        Only these processes and the frames that they map. By default every process that may be read, and every page.
    contents : bool
        Also the bytes of mapped pages, from /proc/PID/mem. They are whatever is in memory: passwords, keys.
    names : bool
        Also the names of files and processes.
    limit : int, optional
        At most so many frames: a sample that keeps whole processes and files together.
    seed : int
        Chooses the sample.
    proc : Path
        Where /proc is.

    Returns
    -------
    Snapshot
        `facts` holds kernel, machine, page_size, date, frames (of the machine), uses (how many of them are what),
        processes and mappings (recorded and left out, with the reason), options, partial, notes.

    Raises
    ------
    SnapshotError
        /proc cannot be read, a process of `pids` cannot be read, or nothing was found.
    """
    if limit is not None and limit < 1:
        raise SnapshotError(f"limit {limit}: at least 1 frame is needed")
    if contents and limit is None:
        limit = MAX_CONTENTS
    page_size = os.sysconf("SC_PAGE_SIZE")
    wanted = None if pids is None else sorted({int(pid) for pid in pids})
    notes: list[str] = []
    try:
        everybody = reader.processes(proc)
    except OSError as error:
        raise SnapshotError(f"{proc}: cannot be read: {error.strerror}; is it mounted?") from error
    with_frames = _frames_readable(proc, notes)
    if not with_frames and wanted is None:
        everybody = [os.getpid()]
    seen = mappings.Seen()
    for pid in everybody if wanted is None else wanted:
        mappings.read(proc, pid, page_size, seen, must=wanted is not None)
    found = seen.all()
    pfn = found.pfn
    if with_frames and len(pfn) and not pfn.any():
        with_frames = False
        notes.append("page tables show no frame numbers: CAP_SYS_ADMIN is needed for them. Frame numbers are made up.")
    tally: dict[str, int] = {}
    total = 0
    if with_frames:
        try:
            (number, words, count), total = frames.scan(proc, pfn, limit, tally, only_mapped=wanted is not None)
        except OSError as error:
            raise SnapshotError(f"{error.filename or proc}: cannot be read: {error.strerror}") from error
    else:
        (number, words, count), pfn = identity.made_up(found.file, found.index, found.bits)
    row = np.searchsorted(number, pfn)
    row[row == len(number)] = 0
    is_there = (number[row] == pfn) if len(number) else np.zeros(len(pfn), dtype=bool)
    # pagemap calls a page anonymous or not, and so do its flags: where they differ the frame has changed hands
    same = np.zeros(len(pfn), dtype=bool)
    same[is_there] = ((found.bits[is_there] & FILE) != 0) == ((words[row[is_there]] & kpageflags.ANON) == 0)
    file, index, same = identity.identities(number, words, row, found.file, found.index, same)
    facts: dict[str, Any] = {
        "kernel": _release(), "machine": platform.machine(), "page_size": page_size,
        "date": datetime.date.today().isoformat(), "frames": total, "uses": tally,
        "processes": {
            "recorded": len(seen.pids), "denied": seen.denied, "vanished": seen.vanished,
            "without_memory": seen.without_memory,
        },
        "mappings": {"not_a_page": int((~is_there).sum()), "changed": int((is_there & ~same).sum())},
        "options": {"contents": contents, "names": names, "limit": limit, "pids": wanted is not None},
        "partial": not with_frames, "notes": notes,
    }  # fmt: skip
    if seen.denied:
        who, whose = ("1 process", "its") if seen.denied == 1 else (f"{seen.denied} processes", "their")
        notes.append(f"{who} may not be read; {whose} pages appear without their mappings.")
    if seen.left <= 0:
        notes.append(f"only the first {mappings.BUDGET} pages of address space were looked at.")
    if names:
        facts["file_names"] = seen.file_names
        facts["space_names"] = [_comm(proc, pid) for pid in seen.pids]
    real_vpn = found.vpn[same]
    snapshot = Snapshot(
        pfn=number, flags=words, count=count, file=file, index=index, map_space=found.space[same],
        map_vpn=identity.close_gaps(real_vpn, seen.areas), map_frame=row[same].astype(np.uint32),
        map_bits=found.bits[same],
        facts=facts,
    )  # fmt: skip
    if not len(snapshot):
        raise SnapshotError(f"{proc}: no page was found to record; {' '.join(notes) or 'no process may be read'}")
    pid_of = np.array(seen.pids, dtype=np.int64)[snapshot.map_space]
    if limit is not None and limit < len(snapshot):
        rows, spaces = sample.choose(snapshot, limit, seed)
        kept = snapshot.leads_to(rows, spaces)
        pid_of, real_vpn = pid_of[kept], real_vpn[kept]
        notes.append(f"a sample: {len(rows)} of {len(snapshot)} pages, {len(spaces)} of {len(seen.pids)} processes.")
        snapshot = snapshot.select(rows, spaces)
    if contents:
        _read_contents(proc, snapshot, pid_of, real_vpn)
    snapshot.check()
    return snapshot


def _frames_readable(proc: Path, notes: list[str]) -> bool:
    try:
        for name in ("kpageflags", "kpagecount"):
            with reader.Words(proc / name) as words:
                words.read(0, 1)
    except OSError as error:
        notes.append(
            f"{error.filename}: {error.strerror}. Only this process was recorded, its frame numbers are made up and "
            "nothing is known of how hot a page is. Run as root to record the machine."
        )
        return False
    return True


def _read_contents(proc: Path, snapshot: Snapshot, pid: NDArray[np.int64], vpn: NDArray[np.uint64]) -> None:
    """Fill in the bytes of each page that somebody maps, from the first process that does."""
    size = snapshot.page_size
    snapshot.content = np.zeros((len(snapshot), size), dtype=np.uint8)
    snapshot.content_known = np.zeros(len(snapshot), dtype=bool)
    rows, at = np.unique(snapshot.map_frame, return_index=True)
    for process in np.unique(pid[at]):
        mine = pid[at] == process
        try:
            handle = os.open(proc / str(process) / "mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            for frame, page in zip(rows[mine].tolist(), vpn[at[mine]].tolist(), strict=True):
                try:
                    data = os.pread(handle, size, page * size)
                except OSError:
                    continue
                if len(data) == size:
                    snapshot.content[frame] = np.frombuffer(data, dtype=np.uint8)
                    snapshot.content_known[frame] = True
        finally:
            os.close(handle)
    unknown = int((~snapshot.content_known).sum())
    if unknown:
        snapshot.facts["notes"].append(f"the contents of {unknown} pages could not be read: nobody recorded maps them.")


def _release() -> str:
    """Linux's version, without the builder's own suffix: it can tell whose machine it is."""
    found = re.match(r"[0-9.]+", platform.release())
    return found.group().rstrip(".") if found else "unknown"


def _comm(proc: Path, pid: int) -> str:
    try:
        return (proc / str(pid) / "comm").read_text(errors="backslashreplace").strip()
    except OSError:
        return ""
