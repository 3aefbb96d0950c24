"""A small run folder, made as a run makes one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pagexchange.samples import jsonschema
from pagexchange.samples.folder import Folder
from pagexchange.samples.schema import Cell, Host, Input, Manifest, Planned, Sample, Versions

HOST = "build-3f29c1"
IDS = ("0123456789ab", "ba9876543210")
NAMES = ("word-swap", "rfc-2019")


def manifest(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "verb": "run",
        "name": "night",
        "started": "2026-11-29T04:24:16Z",
        "command": ["pagexchange", "run", "--out", "runs/night"],
        "config": "schema = 1\n",
        "seed": 7,
        "input": Input(name="packaged snapshot", kind="snapshot", digest="0f" * 32),
        "versions": Versions(
            pagexchange="0.1.0", python="3.13.1", numpy="2.1.0", distributions={"pagexchange": "0.1.0"}
        ),
        "cells": [Planned(id=cell, name=name) for cell, name in zip(IDS, NAMES, strict=True)],
    }
    return Manifest(**(values | changes))


def sample(cell: str = IDS[0], number: int = 0, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "cell": cell,
        "host": HOST,
        "round": number,
        "position": 0,
        "started_ns": 1000 * number,
        "pairs": 100,
        "exchanged": 100,
        "wall_ns": 30_000 + 100 * number,
        "cpu_ns": 29_000 + 100 * number,
        "parts": {"lock": 1000.0, "flags": 500.0, "data": 27_000.5, "mapping": 800.0, "finish": 700.0},
    }
    return Sample(**(values | changes))


def cell(number: int = 0, **changes: Any) -> Cell:
    values: dict[str, Any] = {
        "id": IDS[number],
        "host": HOST,
        "name": NAMES[number],
        "started": "2026-11-29T04:24:17Z",
        "seconds": 1.5,
        "verdict": "exact",
    }
    return Cell(**(values | changes))


def finished(path: Path, rounds: int = 3) -> Folder:
    """Make a folder with two cells, both finished, and all their samples."""
    folder = Folder.create(path, manifest())
    folder.add_host(Host(id=HOST, fingerprint="3f29c1", environment={"cpu": {"model": "any"}}))
    for number, id_ in enumerate(IDS):
        folder.append(sample(id_, turn) for turn in range(rounds))
        folder.add_cell(cell(number))
    return folder


def files(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the type of each file of a folder, and of each line of its samples, with what is in it."""
    for pattern, part in (("manifest.json", "Manifest"), ("hosts/*.json", "Host"), ("cells/*.json", "Cell")):
        for file in path.glob(pattern):
            yield part, json.loads(file.read_text())
    for line in (path / "samples.jsonl").read_text().splitlines():
        yield "Sample", json.loads(line)


def refuse_invalid(path: Path) -> set[str]:
    """Raise if a file does not fit its JSON Schema; return the types that were there."""
    schema = jsonschema.run()
    found = set()
    for part, value in files(path):
        import_module("jsonschema").validate(value, {**schema, "anyOf": [{"$ref": f"#/$defs/{part}"}]})
        found.add(part)
    return found
