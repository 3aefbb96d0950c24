"""What a cell's process is told, as one line of text, and what it answers."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from pagexchange.bench.axes import Point
from pagexchange.bench.turn import Turn
from pagexchange.samples.schema import Kind


class Task(msgspec.Struct, frozen=True, kw_only=True, tag="task"):
    """A cell: everything that its process needs to know, so that it can run anywhere."""

    config: str
    """The resolved strategies.toml, as text."""
    name: str
    """Of the strategy, peer or limit."""
    kind: Kind
    point: Point
    seed: int
    cpus: list[int]
    """That it is pinned to."""
    memory: int
    """Bytes that it may have of its own, beside the arena."""
    pairs: int
    """Of one turn, about."""
    calls: int
    """Of one turn, at most."""
    verify: bool = True


class Ask(msgspec.Struct, frozen=True, kw_only=True, tag="turn"):
    """Take a turn, with lists that this number decides."""

    number: int


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag="ready"):
    """The pages are there, and were checked: fields of `samples.schema.Cell`."""

    found: dict[str, Any] = {}
    idle: bool = False
    """No pair is exchanged: there is nothing to time."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """It cannot go on."""

    error: str
    exit: int
    """As of `pagexchange.exits`."""


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """A turn."""

    turn: Turn


Answer: TypeAlias = Ready | Failed | Done
