"""A file that says what Linux says of each frame becomes a snapshot, so that `run --input` takes it."""

from __future__ import annotations

import os
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pagexchange.errors import SnapshotError
from pagexchange.pages.files import smallfile
from pagexchange.pages.files.form import About
from pagexchange.pages.files.read import guess, recognised
from pagexchange.pages.files.source import Progress, Source
from pagexchange.pages.snapshot import Snapshot
from pagexchange.pages.snapshot.facts import Facts
from pagexchange.pages.snapshot.proc import kpageflags
from pagexchange_native.arena import backing

_ROW: Final = 80
"""Bytes that a page takes while the snapshot is made."""
_MAPPED: Final = kpageflags.mask("MMAP")


def snapshot(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Snapshot | None:
    """The pages of users in a dump of /proc/kpageflags or a listing of page-types; None: a file of another form.

    A page is known by its flags, and by how often it is mapped where the file says so; who maps it and of which file it
    is nobody knows.

    Raises
    ------
    TraceError
        The file cannot be read, is of no known form, or a line or a word of it is wrong.
    SnapshotError
        No page of a user is in it, or more than memory has room for.
    """
    with Source(path, progress) as source:
        form = guess(source)
        if form.words is None:
            return None
        about = About()
        room, kept, looked_at, free = backing.memory_available() // _ROW, 0, 0, 0
        parts: list[tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int64]]] = []
        counted = False
        for first, frames, flags, mapped in form.words(source, about):
            counted = mapped is not None
            page = kpageflags.is_page(flags)
            looked_at += int(frames.sum())
            free += int(frames[kpageflags.is_free(flags)].sum())
            kept += int(frames[page].sum())
            if kept > room:
                raise SnapshotError(f"{source.path}: more pages than memory has room for ({room:,})")
            often = (flags & _MAPPED) != 0 if mapped is None else mapped
            size = frames[page]
            place = np.arange(int(size.sum())) - np.repeat(np.cumsum(size) - size, size)
            parts.append(
                (
                    np.repeat(first[page], size) + place, np.repeat(flags[page], size),
                    np.repeat(often[page].astype(np.int64), size),
                )
            )  # fmt: skip
        if not kept:
            raise SnapshotError(f"{source.path}: of {looked_at:,} frames none is a page of a user")
        notes = [f"made from a {form.name}: who maps a page, and of which file it is, is not known."]
        if not counted:
            notes.append("how often a page is mapped is not said: a page with MMAP counts as mapped once.")
        pfn, words, count = (np.concatenate(column) for column in zip(*parts, strict=True))
        pfn, row = np.unique(pfn, return_index=True)
        if len(pfn) < kept:  # of a listing by process
            notes.append(f"{kept - len(pfn):,} frames are in the list more than once.")
        return _made(pfn.astype(np.uint64), words[row], count[row], looked_at, free, [*notes, *about.notes])


def why_not(path: str | os.PathLike[str]) -> str:
    """Why a file that is not a snapshot's is none, and what it is good for; empty: it is of no form that is known.

    Raises
    ------
    TraceError
        The file cannot be read.
    """
    name = os.fspath(path)
    if smallfile.is_one(path):
        return (
            f"{name}: a {smallfile.NAME}, which has no pages for an arena: `pagexchange tier --input {name}` takes it"
        )
    with Source(path) as source:
        form = recognised(source)
    if form is None:
        return ""
    if form.words is not None:
        cure = f"`pagexchange snapshot --from {name} OUT.pgxsnap` makes one of it"
        return f"{name}: a {form.name}, no snapshot: {cure}"
    return (
        f"{name}: of the form {form.name}, which has no pages for an arena: `pagexchange tier --input {name}` takes it"
    )


def _made(
    pfn: NDArray[np.uint64], words: NDArray[np.uint64], count: NDArray[np.int64], looked_at: int, free: int,
    notes: list[str],
) -> Snapshot:  # fmt: skip
    n = len(pfn)
    facts: Facts = {
        "page_size": 4096, "frames": looked_at, "heat": "flags", "notes": notes,
        "uses": {"looked_at": looked_at, "pages": n, "free": free, "other": looked_at - n - free},
        "unknown": ["kernel", "machine", "page_size", "nodes"],
    }  # fmt: skip
    made = Snapshot(
        pfn=pfn, flags=words, count=np.minimum(count, 0xFFFFFFFF).astype(np.uint32),
        file=np.full(n, -1, dtype=np.int32), index=np.zeros(n, dtype=np.uint64),
        map_space=np.zeros(0, np.uint32), map_vpn=np.zeros(0, np.uint64), map_frame=np.zeros(0, np.uint32),
        map_bits=np.zeros(0, np.uint8), facts=facts,
    )  # fmt: skip
    made.check()
    return made
