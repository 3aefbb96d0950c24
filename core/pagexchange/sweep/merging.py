"""Run folders brought together: every sample of each, once. Nothing is averaged, and hosts stay apart."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pagexchange.errors import FolderError, Problem
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Cell, Host, Manifest, Sample, Source
from pagexchange.sweep.united import United, twice, with_origin

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass
class Together:
    """What several folders hold, as one would."""

    manifest: Manifest
    hosts: dict[str, Host] = field(default_factory=dict)
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    samples: list[Sample] = field(default_factory=list)
    new: list[int] = field(default_factory=list)
    """Of each folder, how many samples came with it: what another one before it has, too, counts once."""


def together(folders: Sequence[Folder], *, name: str = "", command: Sequence[str] = ()) -> Together:
    """Return what the folders hold.

    Parameters
    ----------
    name, command
        For the manifest.

    Raises
    ------
    FolderError
        They are of different pages: what was measured on them is not of the same cells.
    """
    first = folders[0].manifest
    for folder in folders[1:]:
        given = folder.manifest.input
        # A sweep over several inputs has no digest: there each cell's id tells.
        if given.digest and first.input.digest and given.digest != first.input.digest:
            raise FolderError(
                Problem(
                    str(folder.path),
                    f"is of other pages, {given.name} ({given.digest[:12]}), than {folders[0].path}, "
                    f"{first.input.name} ({first.input.digest[:12]}): only what ran on the same pages can be merged",
                )
            )
    found = Together(_manifest([folder.manifest for folder in folders], name, list(command)))
    united = United()
    for folder in folders:
        for host in folder.hosts.values():
            found.hosts[host.id] = _host(found.hosts.get(host.id), host)
        for key, cell in folder.cells.items():
            found.cells[key] = twice(found.cells.get(key), cell)
        new = united.add(with_origin(folder.samples(), folder.manifest))
        found.samples += new
        found.new.append(len(new))
    return found


def write(what: Together, path: Path) -> Folder:
    """Make a folder of it. FolderError: something is there, or it cannot be written; nothing is left behind."""
    folder = Folder.create(path, what.manifest)
    try:
        for host in what.hosts.values():
            folder.add_host(host)
        folder.append(what.samples)
        for cell in what.cells.values():
            folder.add_cell(cell)
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)  # half of it would look like all of it
        raise
    return folder


def _manifest(manifests: list[Manifest], name: str, command: list[str]) -> Manifest:
    first = manifests[0]
    axes: dict[str, dict[str | int | float | bool, None]] = {}
    for manifest in manifests:
        for axis, values in manifest.axes.items():
            axes.setdefault(axis, {}).update(dict.fromkeys(values))
    sources = [source for manifest in manifests for source in (manifest.sources or [_source(manifest)])]
    return msgspec.structs.replace(
        first,
        name=name,
        command=command,
        started=min(manifest.started for manifest in manifests),
        cells=list({cell.id: cell for manifest in manifests for cell in manifest.cells}.values()),
        axes={axis: list(values) for axis, values in axes.items()},
        sources=_each_once(sources),
    )


def _source(manifest: Manifest) -> Source:
    return Source(
        verb=manifest.verb, name=manifest.name, started=manifest.started, command=manifest.command,
        config=manifest.config, versions=manifest.versions,
    )  # fmt: skip


def _each_once(sources: Iterable[Source]) -> list[Source]:
    kept: list[Source] = []
    for source in sources:
        if source not in kept:
            kept.append(source)
    return kept


def _host(before: Host | None, host: Host) -> Host:
    """One machine, of two runs: as it was before the first, and after the last that came to its end."""
    return host if before is None else msgspec.structs.replace(before, after=host.after or before.after)
