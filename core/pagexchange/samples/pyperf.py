"""A run as the JSON of pyperf, version 1.0 of its format: for `pyperf compare_to`, `hist`, `stats` and the like.

A cell is a benchmark, its values are seconds per exchanged pair by the cell's clock, of `tier` seconds lost per access,
of the samples that figures are made of. What exchanged nothing has no value, and is left out: pyperf knows no benchmark
without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pagexchange.errors import FolderError, Problem
from pagexchange.samples.schema import CLOCKS
from pagexchange.samples.turns import by_cell, costs, counted

if TYPE_CHECKING:
    from pagexchange.samples.folder import Folder
    from pagexchange.samples.schema import Manifest, Planned


def suite(folder: Folder) -> bytes:
    """Return the text of the file.

    Raises
    ------
    FolderError
        No cell has a value.
    """
    manifest, samples = folder.manifest, by_cell(folder.samples())
    benchmarks: list[dict[str, Any]] = []
    for cell in manifest.cells:
        for host in folder.hosts:
            values = costs(counted(samples.get((cell.id, host), [])), cell.clock).values()
            if values:
                name = _name(cell, host if len(folder.hosts) > 1 else "")
                about = {"name": name, "cell": cell.id, "clock": cell.clock, "hostname": host}
                benchmarks.append({"metadata": about, "runs": [{"values": [value / 1e9 for value in values]}]})
    if not benchmarks:
        raise FolderError(Problem(str(folder.path), "no cell has a sample that exchanged anything: nothing to compare"))
    metadata = {
        "unit": "second",
        "description": f"seconds: {_told(manifest)}; pagexchange {manifest.verb}, {manifest.name}",
        "pagexchange_version": manifest.versions.pagexchange,
        "python_version": manifest.versions.python,
        "command": " ".join(manifest.command),
        "input_digest": manifest.input.digest,
    }
    known = {key: value for key, value in metadata.items() if value}
    return msgspec.json.encode({"version": "1.0", "metadata": known, "benchmarks": benchmarks}) + b"\n"


def _told(manifest: Manifest) -> str:
    """What the seconds are of."""
    return ", ".join(CLOCKS[clock] for clock in dict.fromkeys(cell.clock for cell in manifest.cells))


def _name(cell: Planned, host: str) -> str:
    """Alike in two runs of the same cells, as pyperf finds what to compare by it."""
    point = ",".join(f"{axis}={value}" for axis, value in cell.point.items())
    return cell.name + (f"[{point}]" if point else "") + (f"@{host}" if host else "")
