"""The types of a run folder: plain values, each documented where it stands; `pagexchange schema` prints JSON Schema.

    runs/NAME/manifest.json         `Manifest`: what was planned, of what, by whom; written first
    runs/NAME/hosts/HOST.json       `Host`: a machine, before and after
    runs/NAME/cells/ID@HOST.json    `Cell`: one strategy, peer or limit at one point of the axes, and how it ended
    runs/NAME/samples.jsonl         `Sample`, one a line: every timed turn, nothing averaged

Times are nanoseconds, sizes bytes; `None` is "not measured" or "not available", never 0. A field may be added within
one `SCHEMA`; one that changes its meaning or goes away raises the number.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from pagexchange.measure.pressure import Pressure

SCHEMA: Final = 1

Kind: TypeAlias = Literal["strategy", "peer", "limit"]
"""strategy: of a strategies.toml, with everything on. peer: another way to exchange the same pages, without the engine.
limit: what no exchange can be faster than, as reading both pages."""

Clock: TypeAlias = Literal["cpu", "wall", "cost"]
"""cpu: time of the threads that work, for what something costs. wall: time that passes, for latency and for threads.
cost: of `tier`, the time that a way loses: what accesses to the slow node take longer, and the CPU time of moving."""

CLOCKS: Final[dict[str, str]] = {
    "cpu": "CPU time per exchanged pair", "wall": "wall time per exchanged pair", "cost": "time lost per access",
}  # fmt: skip
"""What the nanoseconds of a figure are, in words."""

CellId: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]
HostId: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
"""Both become names of files."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=False):
    """A value of the folder. What a later version adds is passed over. Defaults are written in files only."""


class Versions(Record, frozen=True, kw_only=True):
    """What ran."""

    pagexchange: str
    python: str
    numpy: str
    distributions: dict[str, str] = {}
    """Of plug-ins that took part: name -> version."""


class Input(Record, frozen=True, kw_only=True):
    """The pages that were exchanged."""

    name: str
    """As it was given: for people."""
    kind: str
    """`snapshot`, `live` or `synthetic`; of `tier` `drawn` or `file`."""
    digest: str = ""
    """sha256 of what it was read from; of synthetic pages, of their configuration and seed."""


class Planned(Record, frozen=True, kw_only=True):
    """A cell of the plan."""

    id: CellId
    """12 hexadecimal digits: sha256 of the resolved configuration, the input's digest, and the plug-ins' versions."""
    name: str
    """Of the strategy, peer or limit."""
    kind: Kind = "strategy"
    point: dict[str, str | int | float | bool] = {}
    """Axis -> value, as `"size": 1048576, "order": 0, "threads": 1`; empty for a run without axes."""
    clock: Clock = "cpu"
    """Which of a sample's clocks ratios are made of."""


class Source(Record, frozen=True, kw_only=True):
    """A run that was brought together with others: of its manifest what is not in theirs."""

    verb: str
    name: str
    started: str
    command: list[str]
    config: str
    versions: Versions


class Manifest(Record, frozen=True, kw_only=True, omit_defaults=False):
    """`manifest.json`."""

    schema: int = SCHEMA
    verb: str
    """`run`, `bench`, `sweep` or `tier`."""
    name: str
    """Of the folder."""
    started: str
    """ISO 8601, UTC, seconds."""
    command: list[str]
    """What was typed, to be typed again."""
    config: str
    """The resolved strategies.toml, as text."""
    seed: int
    """Decides pages, pairs and order."""
    input: Input
    versions: Versions
    reference: str = ""
    """Name of the cells that ratios are to, as `rfc-2019`; empty: the fastest."""
    cells: list[Planned]
    """In the order of tables, not of execution."""
    axes: dict[str, list[str | int | float | bool]] = {}
    """Axis -> its values, in their order."""
    sources: list[Source] = []
    """Of a folder that `pagexchange merge` made: the runs that are in it. Above stands what the first one says."""


class Host(Record, frozen=True, kw_only=True, omit_defaults=False):
    """`hosts/HOST.json`."""

    schema: int = SCHEMA
    id: HostId
    """Host name and fingerprint, as `build-3f29c1`."""
    fingerprint: str
    """Of what results depend on: processor, caches, memory, Linux, huge pages."""
    environment: dict[str, Any]
    """`pagexchange env --json`."""
    before: Pressure = Pressure()
    after: Pressure | None = None
    """None: the run did not come to its end."""


class Cell(Record, frozen=True, kw_only=True, omit_defaults=False):
    """`cells/ID@HOST.json`: written when the cell's process has ended."""

    schema: int = SCHEMA
    id: CellId
    host: HostId
    name: str
    kind: Kind = "strategy"
    point: dict[str, str | int | float | bool] = {}
    started: str
    """ISO 8601, UTC."""
    seconds: float
    """From its process's start to its end."""
    exit: int = 0
    """Exit status of its process; negative: the signal that ended it."""
    error: str = ""
    """Why there is less than was planned, in a sentence: crashed, killed, refused, no memory; empty: all is there."""
    verdict: str = ""
    """What the oracle said of it, as `run` says it; empty: it was not asked."""
    lost: dict[str, int] = {}
    """Flag -> pages that lost it."""
    refused: dict[str, int] = {}
    """errno name -> pairs."""
    frames: int | None = None
    """Frames that it allocated in the checked call."""
    isa: str = ""
    details: dict[str, Any] = {}
    """What else is known: plug-ins and their options, huge pages that came."""


class Tiered(Record, frozen=True, kw_only=True):
    """What a way of `tier` did in one round."""

    accesses: Count
    """Of the stream."""
    hits: Count
    """Of them on the fast node."""
    cost_ns: Count
    """Time lost: what the others took longer, at the price that was given, and the CPU time of choosing and moving."""
    promoted: Count = 0
    """Pages that came to the fast node."""
    demoted: Count = 0
    back_and_forth: Count = 0
    """Pages that moved back soon after they had moved."""
    stalls: Count = 0
    """Promotions that found no free frame."""
    frames: Count = 0
    """Frames that the allocator gave."""
    below_low: Count = 0
    below_min: Count = 0
    bytes: Count = 0
    """Of the pages that moved."""
    choose_ns: Count = 0
    move_ns: Count = 0


class Sample(Record, frozen=True, kw_only=True):
    """One line of `samples.jsonl`: one turn of a cell, all its calls together."""

    cell: CellId
    host: HostId
    round: Count
    position: Count
    """Place in the order of the round."""
    attempt: Count = 0
    """Above 0: the turn was taken again, since the one before was pushed aside; that one is kept, too."""
    started_ns: Count
    """Since the run began."""
    origin: Annotated[str, msgspec.Meta(pattern="^$|:[0-9]{1,18}$")] = ""
    """Which turn it is of all that there ever were, as `EXECUTION:ROUND`: where runs are brought together rounds are
    numbered anew, and no sample may come in twice. Empty: of the run that the manifest is of."""
    calls: Count = 1
    pairs: Count
    """Of all calls."""
    exchanged: Count
    wall_ns: Count
    cpu_ns: Count
    """Of all threads of the process."""
    threads: list[tuple[int, int]] = []
    """(wall, cpu) of each thread that worked, the caller's first; empty: not told apart."""
    parts: dict[str, float] = {}
    """Cost split: lock, flags, data, mapping, finish."""
    call_ns: list[int] = []
    """Wall time of each call, where latency was asked for."""
    pressure: Pressure | None = None
    aside: bool = False
    """Pushed aside: others had its CPU for so long that its wall time says nothing."""
    tier: Tiered | None = None
    """Of `tier`: what else there is to say of the round. Pairs are those that its steps asked for."""
