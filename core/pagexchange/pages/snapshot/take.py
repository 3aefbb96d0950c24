"""Records this machine: who maps which frame as which page, and what Linux says about each frame.

First the processes' page tables, then the frames: so a frame that changed hands in between shows itself, because its
flags no longer fit what the page table said. Such mappings are left out and counted.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.snapshot import heat, identity, nodes, samefile, sample
from pagexchange.pages.snapshot.facts import Facts
from pagexchange.pages.snapshot.proc import frames, kpageflags, mappings, reader
from pagexchange.pages.snapshot.proc.mappings import FILE
from pagexchange.pages.snapshot.proc.tree import PROC, SMALLEST, UNKNOWN, Tree
from pagexchange.pages.snapshot.snapshot import Snapshot

MAX_CONTENTS: Final = 1 << 16
"""Frames whose contents are recorded where no limit is given: 256 MiB."""


def take(
    *,
    pids: Iterable[int] | None = None,
    contents: bool = False,
    names: bool = False,
    limit: int | None = None,
    seed: int = 0,
    proc: str | os.PathLike[str] = PROC,
    page_size: int | None = None,
    heat_file: str | os.PathLike[str] | None = None,
) -> Snapshot:
    """Record a machine's pages: flags, identities, sharing; nothing that tells which user or program they belong to.

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
    proc : path
        Where /proc is, or a saved tree of another machine: a folder with `proc` and `sys` in it, or a copy of /proc.
        All facts are that machine's then.
    page_size : int, optional
        Bytes of a base page, where a saved tree does not say.
    heat_file : path, optional
        A file that says how hot pages are, see `heat.read`; by default Linux's flags say it.

    Returns
    -------
    Snapshot
        With every fact of `Facts`, names only if they were asked for.

    Raises
    ------
    SnapshotError
        /proc or the file of heat cannot be read, a process of `pids` cannot be read, or nothing was found.
    """
    if limit is not None and limit < 1:
        raise SnapshotError(f"limit {limit}: at least 1 frame is needed")
    if contents and limit is None:
        limit = MAX_CONTENTS
    tree = Tree.at(proc)
    proc = tree.proc
    tree.check()
    size = tree.page_size(page_size)
    page_size = size or SMALLEST
    wanted = None if pids is None else sorted({int(pid) for pid in pids})
    notes: list[str] = []
    readable = tree.processes()
    with_frames = _frames_readable(tree, notes)
    if not with_frames and wanted is None and tree.live:
        readable = [tree.own_process()]
    about = tree.about()
    recording = mappings.Recording(denied=about.get("denied", 0), vanished=about.get("vanished", 0))
    mappings.read_all(proc, readable if wanted is None else wanted, page_size, recording, must=wanted is not None)
    maps = recording.all()
    pfn = maps.pfn
    if with_frames and len(pfn) and not pfn.any():  # /proc/kpageflags could be read: by its mode, without the right
        with_frames = False
        notes.append("page tables show no frame numbers: CAP_SYS_ADMIN is needed for them. Frame numbers are made up.")
    tally = frames.Tally()
    total = 0
    if with_frames:
        heat.refresh(tree)
        (number, words, count), total = _scan(proc, pfn, limit, tally, only_mapped=wanted is not None)
    else:
        (number, words, count), pfn = identity.made_up(maps.file, maps.index, maps.bits)
    row, is_there, same = _rows_of(pfn, maps, number, words)
    names_of = _one_number_per_file(maps, row, same, words, count, recording)
    file, index, same = identity.identities(number, words, row, maps.file, maps.index, same)
    facts: Facts = {
        "kernel": tree.kernel(), "machine": tree.machine(), "page_size": page_size, "frames": total,
        "uses": tally.uses, "others": dict(tally.others), "nodes": nodes.read(tree, notes),
        "processes": {
            "recorded": len(recording.pids), "denied": recording.denied, "vanished": recording.vanished,
            "without_memory": recording.without_memory,
        },
        "mappings": {"not_a_page": int((~is_there).sum()), "changed": int((is_there & ~same).sum())},
        "options": {"contents": contents, "names": names, "limit": limit, "pids": wanted is not None},
        "partial": not with_frames, "notes": notes,
    }  # fmt: skip
    date = datetime.date.today().isoformat() if tree.live else about.get("date")
    if date:
        facts["date"] = date
    said = {
        "kernel": facts["kernel"] != UNKNOWN, "machine": facts["machine"] != UNKNOWN, "page_size": bool(size),
        "nodes": bool(facts["nodes"]),
    }  # fmt: skip
    facts["unknown"] = [name for name, known in said.items() if not known]
    if not tree.live and recording.vanished > about.get("vanished", 0):
        lost = recording.vanished - about.get("vanished", 0)
        notes.append(f"of {_counted(lost, 'process', 'processes')} the saved tree has no maps, or no pagemap.")
    _note_what_is_missing(recording, facts, notes, everything=with_frames and wanted is None)
    if names:
        facts["file_names"] = names_of
        facts["space_names"] = [reader.name(proc, pid) for pid in recording.pids]
    given = None
    if heat_file is not None:
        if not with_frames:
            raise SnapshotError(f"{heat_file}: of no use where frame numbers are made up; {' '.join(notes)}")
        given, facts["heat"] = heat.read(heat_file, number), "file"
    elif with_frames:
        heat.note(tree, words, facts, notes, everything=wanted is None)
    real_vpn = maps.vpn[same]
    snapshot = Snapshot(
        pfn=number, flags=words, count=count, file=file, index=index, map_space=maps.space[same],
        map_vpn=identity.close_gaps(real_vpn, recording.areas), map_frame=row[same].astype(np.uint32),
        map_bits=maps.bits[same],
        facts=facts, given_heat=given,
    )  # fmt: skip
    if not len(snapshot):
        raise SnapshotError(f"{proc}: no page was found to record; {' '.join(notes) or 'no process may be read'}")
    # The snapshot knows neither: both are needed once more, to read contents, and are then forgotten.
    pid_of = np.array(recording.pids, dtype=np.int64)[snapshot.map_space]
    if limit is not None and limit < len(snapshot):
        rows, spaces = sample.choose(snapshot, limit, seed)
        kept = snapshot.leads_to(rows, spaces)
        pid_of, real_vpn = pid_of[kept], real_vpn[kept]
        processes = f"{len(spaces)} of {len(recording.pids)} processes"
        notes.append(f"a sample: {len(rows)} of {len(snapshot)} pages, {processes}.")
        snapshot = snapshot.select(rows, spaces)
    if contents:
        _read_contents(proc, snapshot, pid_of, real_vpn)
    snapshot.check()
    return snapshot


def _scan(
    proc: Path, mapped: NDArray[np.uint64], limit: int | None, tally: frames.Tally, *, only_mapped: bool
) -> tuple[frames.Frames, int]:
    try:
        return frames.scan(proc, mapped, limit, tally, only_mapped=only_mapped)
    except OSError as error:
        raise SnapshotError(f"{error.filename or proc}: cannot be read: {error.strerror}") from error


def _rows_of(
    pfn: NDArray[np.uint64], maps: mappings.Mappings, number: NDArray[np.uint64], words: NDArray[np.uint64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the mappings lead, among the frames `number` (ascending) with these flags words.

    Returns
    -------
    intp[m]
        Row of each mapping's frame; any row where there is none.
    bool[m]
        Whether the frame is one of them.
    bool[m]
        Whether pagemap and the flags agree on what it is.
    """
    row = np.searchsorted(number, pfn)
    row[row == len(number)] = 0  # past the end: some row, so that it may be used as an index
    is_there = (number[row] == pfn) if len(number) else np.zeros(len(pfn), dtype=bool)
    # pagemap calls a page anonymous or not, and so do its flags: where they differ the frame has changed hands
    same = np.zeros(len(pfn), dtype=bool)
    same[is_there] = ((maps.bits[is_there] & FILE) != 0) == ((words[row[is_there]] & kpageflags.ANON) == 0)
    return row, is_there, same


def _one_number_per_file(
    maps: mappings.Mappings, row: NDArray[np.intp], same: NDArray[np.bool_], words: NDArray[np.uint64],
    count: NDArray[np.uint32], recording: mappings.Recording,
) -> list[str]:  # fmt: skip
    """Number the files of the mappings anew, see `samefile`; the names by the new numbers."""
    use = np.flatnonzero(same & (maps.file >= 0))
    space, file, index, frame = (column[use].astype(np.int64) for column in (maps.space, maps.file, maps.index, row))
    number, old = samefile.numbers(space, file, index, frame, words, count, len(recording.file_names))
    maps.file = np.full(len(maps.file), -1, dtype=np.int32)
    maps.file[use] = number
    return [recording.file_names[k] for k in old.tolist()]


def _note_what_is_missing(recording: mappings.Recording, facts: Facts, notes: list[str], *, everything: bool) -> None:
    looked_at, left_out = facts["uses"].get("looked_at", 0), facts["mappings"]
    if everything and looked_at < facts["frames"]:
        notes.append(f"{looked_at} of {facts['frames']} frames were looked at: a part of each stretch of memory.")
    if unreadable := facts["others"].get("unreadable"):
        notes.append(f"of {_counted(unreadable, 'frame', 'frames')} Linux does not say what it is: left out.")
    if left_out["not_a_page"]:
        whose = "a frame that is no page of a user (Linux's own, a driver's, or free by now)"
        notes.append(f"{_mappings(left_out['not_a_page'])} of {whose} left out.")
    if left_out["changed"]:
        notes.append(f"{_mappings(left_out['changed'])} of a frame that changed hands meanwhile left out.")
    if recording.denied:
        owners, their = ("1 process", "its") if recording.denied == 1 else (f"{recording.denied} processes", "their")
        notes.append(f"{owners} may not be read; {their} pages appear without their mappings.")
    if recording.cut:
        whose = "1 process" if len(recording.cut) == 1 else f"{len(recording.cut)} processes"
        kept = sum(len(part.space) for part in recording.rows)
        notes.append(f"{whose} had more pages mapped than could be kept; of all together {_mappings(kept)} were.")
    if recording.blind:
        areas = _counted(recording.blind, "area", "areas")
        notes.append(f"of {areas}, too large, only the beginning was looked at: Linux does not say where pages are.")


def _counted(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"


def _mappings(n: int) -> str:
    return _counted(n, "mapping", "mappings")


def _frames_readable(tree: Tree, notes: list[str]) -> bool:
    error = tree.without_frames()
    if error is None:
        return True
    who, cure = "Only this process was recorded, its", " Run as root to record the machine."
    if not tree.live:
        who, cure = "The", ""
    made_up = "frame numbers are made up and nothing is known of how hot a page is."
    notes.append(f"{error.filename}: {error.strerror}. {who} {made_up}{cure}")
    return False


def _read_contents(proc: Path, snapshot: Snapshot, pid: NDArray[np.int64], vpn: NDArray[np.uint64]) -> None:
    """Fill in the bytes of each mapped page, from the first process that maps it.

    Parameters
    ----------
    pid, vpn : int64[m], uint64[m]
        Of each mapping: the process, and the virtual page number as it has it.
    """
    size = snapshot.page_size
    snapshot.content = np.zeros((len(snapshot), size), dtype=np.uint8)
    snapshot.content_known = np.zeros(len(snapshot), dtype=bool)
    rows, earliest = np.unique(snapshot.map_frame, return_index=True)
    by_process = np.argsort(pid[earliest], kind="stable")
    rows, earliest = rows[by_process], earliest[by_process]
    for mine in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(pid[earliest])) + 1):
        if not len(mine):  # nothing is mapped
            continue
        try:
            handle = os.open(proc / str(pid[earliest[mine[0]]]) / "mem", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # ended, or protected: counted below
            continue
        try:
            for frame, page in zip(rows[mine].tolist(), vpn[earliest[mine]].tolist(), strict=True):
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
        snapshot.facts["notes"].append(
            f"the contents of {unknown} pages could not be read: no recorded process maps them."
        )
