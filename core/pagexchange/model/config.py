"""strategies.toml as typed values: what to run, on which arena, with which pages."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from pagexchange.errors import UnknownStrategyError
from pagexchange.model.layout import Layout

Mode = Literal["async", "sync-light", "sync"]
Expect = Literal["exact", "loses", "refused"]
Kind = Literal["anon", "file", "shmem"]
Split = Literal["real", "interleave", "halves"]
Backing = Literal["base", "thp", "hugetlb"]
Sorting = Literal["random", "sorted"]
Population = Literal["half", "anon", "file"]
Load = Literal["idle", "busy"]
Interleave = Literal["even", "weighted"]
Accesses = Literal["record", "drawn"]

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=1 << 40)]
Frames = Annotated[int, msgspec.Meta(ge=0, le=(1 << 31) - 1)]  # of one arena, at most
Threads = Annotated[int, msgspec.Meta(ge=1, le=64)]  # the engine's MAX_THREADS
Microseconds = Annotated[float, msgspec.Meta(ge=1.0, le=3.6e9)]
Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=3600.0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
FolioOrder = Annotated[int, msgspec.Meta(ge=0, le=9)]
Weight = Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]
RealNode = Annotated[int, msgspec.Meta(ge=0, le=1023)]
Size = int | str
"""Bytes, or a text like `"256 MiB"`; the fields hold bytes when a Config is made."""

SCHEMA: Final = 1
CACHES: Final = ("l1", "l2", "l3", "dram")
"""Working sets by where they lie."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


@dataclasses.dataclass(frozen=True, slots=True)
class RunConfig:
    """`[run]`: how each strategy is run."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 1
    """Seed of everything random."""
    mode: Mode = "async"
    """How long to wait for locks and writeback, as in Linux: async never, sync-light for locks, sync for both."""
    threads: Threads = 1
    """Worker threads, unless the strategy says otherwise."""
    verify: bool = True
    """Let the oracle compare every page, flag, count and slot."""
    rounds: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    """Timed rounds, each strategy once in each; 0 only checks. By default what fits into some seconds, 3 to 15."""


@dataclasses.dataclass(frozen=True, slots=True)
class NodeConfig:
    """One of `[arena] nodes` as a table: how large it is, and where its frames lie."""

    size: Size
    """Bytes."""
    numa: RealNode | tuple[RealNode, ...] | None = None
    """Number of the real node that the frames are bound to, or several, over which they are interleaved."""
    interleave: Interleave = "even"
    """Over several real nodes: page by page in turns, or by the weights that the machine has for its nodes."""
    path: str | None = None
    """Instead of `numa`: a DAX device, or a folder on a file system in which a file without a name is made."""

    def place(self) -> dict[str, Any]:
        """Return where the frames lie, as `Arena.create` takes it; nothing where nothing is said."""
        given = {"numa": self.numa, "path": self.path}
        if self.interleave != "even":
            given["interleave"] = self.interleave
        return {key: value for key, value in given.items() if value is not None}


@dataclasses.dataclass(frozen=True, slots=True)
class ArenaConfig:
    """`[arena]`: the memory that all strategies run against."""

    page_size: Size = 4096
    """Bytes of a frame: a power of two from 1024 to 2 MiB."""
    nodes: dict[str, Size | NodeConfig] = dataclasses.field(
        default_factory=lambda: {"fast": 256 << 20, "slow": 256 << 20}
    )
    """Name -> bytes of both nodes, in the order of their frame numbers: the fast one first. Or a table for a node: its
    size, and where its frames lie.
    """
    layout: str = "linux-6.18"
    """Layout of the flags word: a name, or the path of a TOML file (from the folder of this one)."""
    huge: Literal["no", "thp", "hugetlb"] = "no"
    """Backing: base pages, transparent huge pages as far as the machine makes them, or the hugetlb pool."""
    workers: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 8
    """Worker slots: threads of all processes at one time."""
    watermarks: tuple[Frames, Frames, Frames] | None = None
    """min, low, high of each node in frames; by default from its size."""
    path: str | None = None
    """File to make, on tmpfs or hugetlbfs; by default an anonymous sealed memfd."""

    @property
    def frames(self) -> dict[str, int]:
        """Name -> number of frames of each node."""
        return {name: size // int(self.page_size) for name, size in self.sizes.items()}

    @property
    def sizes(self) -> dict[str, int]:
        """Name -> bytes of each node."""
        return {name: int(node.size if isinstance(node, NodeConfig) else node) for name, node in self.nodes.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class WorkloadConfig:
    """`[workload]`: the pages in the arena, and the pairs to exchange."""

    source: Literal["snapshot", "synthetic"] = "snapshot"
    """Pages of a recorded machine, or made up from the numbers below."""
    snapshot: str | None = None
    """Snapshot file (from the folder of this one); by default the one that ships with pagexchange."""
    split: Share | Split | None = None
    """Snapshot: which pages are on the fast node: those that were on the machine's fast nodes (real), a share drawn by
    the seed, every other folio, or the lower half of the frames; by default real where two nodes are known, else 0.5.
    """
    pairs: Positive | None = None
    """How many pairs to exchange; by default as many as there are."""
    sort: bool = False
    """Sort the list by frame number; by default it is in random order, the worst one for the hardware."""
    free: Count | None = None
    """Leave this many frames of each node free; by default what the population leaves."""
    kinds: dict[Kind, Weight] = dataclasses.field(default_factory=lambda: {"anon": 0.5, "file": 0.4, "shmem": 0.1})
    """Synthetic: kind of page -> weight."""
    orders: dict[str, Weight] = dataclasses.field(default_factory=lambda: {"0": 1.0})
    """Synthetic: order of folio, "0" to "9" -> weight by number of folios."""
    dirty: Share = 0.25
    """Synthetic: share of pages that are dirty."""
    shared: Share = 0.1
    """Synthetic: share of pages that more than one address space maps."""
    hot: Share = 0.5
    """Share of the slow node's pages that are hot, where the source does not know it."""


@dataclasses.dataclass(frozen=True, slots=True)
class BenchConfig:
    """`[bench]`: what `pagexchange bench` measures. Lists are axes; all combinations of their values are points."""

    size: tuple[Size, ...] = ("l1", "l2", "l3", "dram")
    """Bytes of pages in pairs: a size, or the half of this machine's cache `l1`, `l2` or `l3`, or `dram`: eight times
    its last cache, at least 256 MiB."""
    page_size: tuple[Size, ...] = (4096,)
    """Bytes of a frame: a power of two from 1024 to 2 MiB."""
    order: tuple[FolioOrder, ...] = (0,)
    """A folio has 2^order frames."""
    batch: tuple[Positive, ...] = (1, 16, 128)
    """Pairs of one call; a set with fewer pairs gives all that it has."""
    threads: tuple[Threads, ...] = (1,)
    """Worker threads; as many CPUs are used."""
    backing: tuple[Backing, ...] = ("base",)
    """What the pages lie in: base pages, transparent huge pages as far as they come, or the hugetlb pool."""
    sorting: tuple[Sorting, ...] = ("random",)
    """Order of the pairs in a list: random, or sorted by frame number."""
    pages: tuple[Population, ...] = ("half",)
    """Kind of pages: anonymous, of files, or half of each."""
    load: tuple[Load, ...] = ("idle",)
    """Beside the cells nothing of ours runs, or one process that copies memory on another CPU."""
    peers: tuple[str, ...] | None = None
    """Other ways to exchange, and limits, by name; by default those that `bench --help` lists, an empty list: none."""
    reference: str = "rfc-loop"
    """Strategy, peer or limit that ratios are to."""
    rounds: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 15
    """Turns of each cell that are counted."""
    memory: Size | None = None
    """Bytes that cells may take at one time; by default seven tenths of what is available."""
    deadline: Annotated[float, msgspec.Meta(ge=1.0, le=3600.0)] = 60.0
    """Seconds after which a turn of a cell, or its start, counts as hanging."""


AXES: Final = ("size", "page_size", "order", "batch", "threads", "backing", "sorting", "pages", "load")
"""Those of `[bench]`: the first one varies slowest."""


NOTHING: Final = "nothing"
"""The way of `[tier]` that leaves every page where it is: always there, and what the others are compared with."""


@dataclasses.dataclass(frozen=True, slots=True)
class TierConfig:
    """`[tier]`: what `pagexchange tier` plays: a stream of accesses to pages on a full fast node and a slow one."""

    fast: Size = "32 MiB"
    """Bytes of the fast node: of each way its own, instead of what `[arena]` says; names and the rest are as there."""
    slow: Size = "96 MiB"
    """Bytes of the slow node."""
    free: Count | None = None
    """Frames that are left free on each node; by default the fast node is full to its high watermark, and a sixteenth
    of the slow one is free."""
    source: Accesses = "record"
    """Accesses as a file has them, or drawn from the four keys below `input`."""
    input: str | None = None
    """File with accesses (from the folder of this one); by default the one that ships with pagexchange."""
    zipf: Annotated[float, msgspec.Meta(ge=0.0, le=4.0)] = 0.9
    """Drawn: the page of rank k gets 1/k^zipf of the accesses; 0: all pages the same."""
    phase: Positive = 40
    """Drawn: ticks after which other pages are hot."""
    shift: Share = 0.05
    """Drawn: by what share of all pages the ranks move on then."""
    scan: Share = 0.1
    """Drawn: share of the accesses that go through all pages in turn, as a scan does."""
    tick_ms: Annotated[float, msgspec.Meta(ge=0.001, le=3.6e6)] | None = None
    """Milliseconds of the stream from one step of the tier to the next; by default 10, or what makes a file last for
    all ticks."""
    ticks: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 160
    """Steps of a round."""
    rate: Annotated[float, msgspec.Meta(ge=1.0, le=1e12)] = 1e7
    """Accesses per second: those that reach memory. One core that waits for each makes about as many."""
    accesses: Annotated[int, msgspec.Meta(ge=1, le=1 << 30)] = 100_000
    """Accesses of a tick that are drawn, at most; where there would be more, each stands for several."""
    ways: tuple[str, ...] = ()
    """What plays: `nothing`, or the name of a strategy; by default nothing and each strategy of the file."""
    policies: tuple[str, ...] = ()
    """Plug-ins that say who trades with whom; with several each way plays with each; by default the strategy's own."""
    pairs: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)] = 256
    """Pairs that a step may ask for, the same for all ways."""
    max_step_us: Microseconds | None = None
    """Microseconds that a step may take; by default as long as it takes."""
    half_life: Annotated[float, msgspec.Meta(gt=0.0, le=1e6)] = 8.0
    """Steps after which an access counts half of one for a page's heat."""
    slow_ns: Annotated[float, msgspec.Meta(gt=0.0, le=1e9)] = 80.0
    """Nanoseconds that an access takes longer on the slow node. It is assumed: the nodes of an arena are one memory."""
    rounds: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None
    """Times that the stream is played by each way and timed, and once more beside a reader; by default 3 to 5, by time.
    """


@dataclasses.dataclass(frozen=True, slots=True)
class PluginUse:
    """A plug-in as a strategy names it."""

    plugin: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    where: tuple[str | int, ...] = dataclasses.field(default=(), repr=False, compare=False)
    """Its place in the file; the same plug-in with the same options is the same use wherever it stands."""

    @property
    def label(self) -> str:
        """Name and options in one word, `word-swap[isa=scalar]`: for reports where the name does not say which."""
        options = ",".join(f"{key}={_shown(value)}" for key, value in sorted(self.options.items()))
        return f"{self.plugin}[{options}]" if options else self.plugin

    def __hash__(self) -> int:
        return hash(self.plugin)  # options are a dict; what is equal in both is equal in this


def _shown(value: Any) -> str:  # noqa: ANN401 - an option
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclasses.dataclass(frozen=True, slots=True)
class StrategySpec:
    """`[strategy.NAME]`: one plug-in, or a chain of fall-backs, for each question. It exchanges, or migrates."""

    name: str
    flags: tuple[PluginUse, ...]
    data: tuple[PluginUse, ...]
    mapping: tuple[PluginUse, ...]
    wrap: tuple[PluginUse, ...] = ()
    """Wrappers and observers; the first one is the outermost."""
    pairing: tuple[PluginUse, ...] = ()
    """Who says which pages of a tier trade places; none named: the built-in default, asked when a tier is made."""
    copy: tuple[PluginUse, ...] = ()
    """Instead of `data`, which is empty then: who copies pages to free frames."""
    expect: Expect = "exact"
    mode: Mode = "async"
    """As `[run]` says, unless the strategy does."""
    threads: int = 1
    """As `[run]` says, unless the strategy does."""
    threads_from: Count = 0
    """Pairs of a call from which several threads are used; fewer are exchanged by one."""
    timeout: float = 1.0
    """Seconds that one batch may wait in all, where the mode lets it wait."""
    max_call_us: Microseconds | None = None
    """Microseconds that a call may take: pairs that it does not reach by then get ETIME. None: as long as it takes."""
    summary: str = ""

    @property
    def migrates(self) -> bool:
        """Whether it moves pages one way, to free frames; else it exchanges two."""
        return bool(self.copy)

    @property
    def questions(self) -> tuple[str, ...]:
        """The keys whose plug-ins serve it, in the order in which they are asked: with `data`, or with `copy`."""
        return ("flags", "copy" if self.migrates else "data", "mapping", "pairing")

    def uses(self) -> tuple[PluginUse, ...]:
        """Return every plug-in that it names, in the order of the questions, wrappers last."""
        return tuple(use for _, use in self.by_question())

    def by_question(self) -> tuple[tuple[str, PluginUse], ...]:
        """Return the same with the key that each stands under: a question, or `wrap`."""
        return tuple((key, use) for key in (*self.questions, "wrap") for use in getattr(self, key))


@dataclasses.dataclass(frozen=True, repr=False)
class Config:
    """A whole strategies file, read and checked by `pagexchange.host.read`."""

    origin: str
    run: RunConfig
    arena: ArenaConfig
    workload: WorkloadConfig
    bench: BenchConfig
    tier: TierConfig
    block: tuple[str, ...]
    strategies: dict[str, StrategySpec]
    layout: Layout
    """The layout of the arena's flags word, as `arena.layout` names it."""
    base: Path | None = None
    """Folder that the paths in it start from; None for the packaged file: the working directory."""

    def __hash__(self) -> int:
        return hash((self.origin, tuple(self.strategies)))

    def __repr__(self) -> str:
        return f"<Config {self.origin}: {', '.join(self.strategies) or 'no strategies'}>"

    def strategy(self, name: str) -> StrategySpec:
        """Return a strategy by name; UnknownStrategyError knows the nearest one."""
        try:
            return self.strategies[name]
        except KeyError:
            raise UnknownStrategyError(name, self.strategies) from None

    def placed(self) -> dict[str, dict[str, Any]]:
        """Return name -> where the frames of each node of the arena lie, as `Arena.create` takes it, without sizes."""
        places = {name: node.place() if isinstance(node, NodeConfig) else {} for name, node in self.arena.nodes.items()}
        return {
            name: place | ({"path": self.resolve(place["path"])} if "path" in place else {})
            for name, place in places.items()
        }

    @property
    def real_nodes(self) -> tuple[int, ...]:
        """The first real node of each node of the arena, if it binds all of them; else nothing."""
        given = [place.get("numa") for place in self.placed().values()]
        nodes = [node if isinstance(node, int) else node[0] for node in given if node is not None]
        return tuple(nodes) if len(nodes) == len(given) else ()

    def resolve(self, path: str) -> Path:
        """Return a path of this file as one that can be opened."""
        return Path(path) if self.base is None else self.base / path
