"""What `run --json` printed as a run folder, in memory: of a version that kept none, or of a run that nobody kept."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pagexchange.errors import FolderError, Problem
from pagexchange.runs import result
from pagexchange.runs.machine import fingerprint
from pagexchange.samples.folder import Folder
from pagexchange.samples.reading import Contents
from pagexchange.samples.schema import Cell, Clock, Host, Input, Manifest, Planned, Sample, Versions


def read(path: Path) -> Folder:
    """Read a file. What it does not say is empty: its configuration, and in old ones the digest of its input.

    Raises
    ------
    FolderError
        It cannot be read, or `run --json` did not print it.
    """
    try:
        run = result.from_json(path.read_bytes())
    except OSError as error:
        raise FolderError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FolderError(Problem(str(path), f"neither a run folder nor what `run --json` prints: {error}")) from error
    return Folder(path, _contents(path, run))


def _contents(path: Path, run: result.RunResult) -> Contents:
    software = run.environment.get("software", {})
    host = Host(id="printed", fingerprint=_fingerprint(run), environment=run.environment)
    manifest = Manifest(
        verb="run",
        name=path.name,
        started="",
        command=[],
        config="",
        seed=run.seed,
        input=Input(name=run.input.name, kind=run.input.kind, digest=run.input.digest),
        versions=Versions(
            pagexchange=run.pagexchange, python=software.get("python") or "", numpy=software.get("numpy") or ""
        ),
        cells=[Planned(id=one.name, name=one.name, clock=_clock(one)) for one in run.strategies],
    )
    cells = {
        (one.name, host.id): Cell(
            id=one.name,
            host=host.id,
            name=one.name,
            started="",
            seconds=run.seconds,
            error=one.reason if one.verdict == "failed" else "",
            verdict=one.verdict,
            lost={lost.name: lost.count for lost in one.lost if lost.kind == "flag"},
        )
        for one in run.strategies
    }
    samples = [
        Sample(
            cell=one.name,
            host=host.id,
            round=timed.round,
            position=timed.position,
            started_ns=0,
            pairs=one.pairs,
            exchanged=timed.exchanged,
            wall_ns=round(timed.ns.total),
            cpu_ns=timed.cpu_ns,
            attempt=timed.attempt,
            threads=timed.threads,
            aside=timed.aside,
        )
        for one in run.strategies
        for timed in one.rounds
    ]
    return Contents(manifest, hosts={host.id: host}, cells=cells, samples=samples)


def _fingerprint(run: result.RunResult) -> str:
    try:
        return fingerprint(run.environment)
    except (KeyError, TypeError, AttributeError):  # an old version did not look at all that it is made of
        return ""


def _clock(one: result.StrategyResult) -> Clock:
    """Return what its times can be compared by: old versions counted Python's work around a call into its CPU time."""
    return "wall" if one.threads > 1 or not all(timed.wall_ns for timed in one.rounds) else "cpu"
