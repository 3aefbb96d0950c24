"""The facts of a snapshot: what is said beside the arrays of the machine and the recording. Each is declared here."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Required, TypedDict, cast

import msgspec

from pagexchange.errors import SnapshotError

LIMIT: Final = 1 << 52
"""Numbers lie below this."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=LIMIT)]


class Node(TypedDict, total=False):
    """A node of the machine."""

    number: Required[Count]
    spans: Required[list[tuple[Count, Count]]]
    """Its frames: first, last + 1; holes may be inside. Empty without memory."""
    cpus: bool
    """Whether it has CPUs."""
    tier: Count
    """Its memory tier, where Linux says one: the lower, the faster."""


class Options(TypedDict, total=False):
    """What was asked for when the machine was recorded."""

    contents: bool
    names: bool
    limit: Count | None
    pids: bool
    """Whether only some processes were asked for, not which."""


class Facts(TypedDict, total=False):
    """All facts; every one may be missing. They are JSON in the file, so each is of a type that JSON has."""

    kernel: str
    """Linux's version, without the builder's suffix."""
    machine: str
    """As `uname -m` says it."""
    page_size: Count
    """Bytes of a base page. 4096 if it is missing."""
    date: str
    """The day of the recording, as 2026-07-01."""
    frames: Count
    """Frames of the machine."""
    uses: dict[str, Count]
    """How many of the frames that were looked at are of which use."""
    others: dict[str, Count]
    """Why those are no pages of users that are neither that nor free: how many, by reason."""
    nodes: list[Node]
    """The nodes, those without memory too; empty or missing where they are not known."""
    heat: Literal["flags", "idle", "file"]
    """By what it is known how hot a page is: flags of Linux's lists, idle page tracking, or a file of the user's."""
    lru_gen: bool
    """Whether the multi-generational LRU was on: then flags say little of heat. Missing where it is not known."""
    processes: dict[str, Count]
    """How many were recorded or left out, by reason."""
    mappings: dict[str, Count]
    """How many were left out, by reason."""
    options: Options
    partial: bool
    """Whether only this process could be seen, with frame numbers made up."""
    unknown: list[str]
    """Which of kernel, machine, page_size (4096 then) and nodes the machine did not say."""
    notes: list[str]
    """What could not be recorded, in sentences."""
    file_names: list[str]
    """By number of the file."""
    space_names: list[str]
    """By number of the address space."""


def sound(facts: Any) -> Facts:  # noqa: ANN401 - a stranger's JSON
    """Return a copy of the facts without those that this version does not know.

    Raises
    ------
    SnapshotError
        A fact is of another type than the one declared, or is text that cannot be written; all such facts are named.
    """
    if not isinstance(facts, dict):
        raise SnapshotError(f"not a sound snapshot: facts: an object is expected, not {facts!r:.60}")
    known: dict[str, Any] = {}
    faults: list[str] = []
    for name in Facts.__annotations__:
        if name not in facts:
            continue
        try:
            value = msgspec.convert({name: facts[name]}, Facts)[name]  # type: ignore[literal-required]
            msgspec.json.encode(value)  # a lone surrogate is in no encoding: it would end the printing of results
            known[name] = value
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            faults.append(f"facts{path.rstrip('`') or f'.{name}'}: {what[:1].lower()}{what[1:]}")
        except UnicodeEncodeError:
            faults.append(f"facts.{name}: text with half of a surrogate pair")
        except RecursionError:
            faults.append(f"facts.{name}: nested too deep")
    if faults:
        raise SnapshotError(f"not a sound snapshot: {'; '.join(faults)}")
    return cast("Facts", known)
