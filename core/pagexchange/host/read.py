"""Read a strategies file and `--set` overrides as a Config; every error at once, each with its place."""

import dataclasses
import re
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pagexchange.errors import ConfigError, PluginError, Problem, UnknownPluginError, UnknownStrategyError
from pagexchange.hookspecs import ANSWERS, MOVES, QUESTIONS
from pagexchange.host.blocking import NOTHING, Blocking
from pagexchange.host.build import refuse_wrong_key
from pagexchange.host.crashes import crashed
from pagexchange.host.discovery import Registry
from pagexchange.host.overrides import put
from pagexchange.model import config as c
from pagexchange.model import tomlfile
from pagexchange.model.config import AXES, CACHES
from pagexchange.model.layout import Layout
from pagexchange.model.sizes import parse_size
from pagexchange.model.table import check_schema, convert, show
from pagexchange.model.tomlfile import KeyPath, TomlFile, dotted, unwritable
from pagexchange.model.words import counted
from pagexchange.trail import at
from pagexchange_native.arena.geometry import is_page_size
from pagexchange_native.arena.places import as_place
from pagexchange_native.arena.region import PAGE_MIN

_PACKAGED: Final = "strategies.toml"
PACKAGED_ORIGIN: Final = "the packaged strategies.toml"
"""How the file that ships is called: the user's own may have its name, and lie in the working directory."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_CONTROL: Final = re.compile(r"[\x01-\x1f\x7f-\x9f]")
"""NUL is refused in every string, see `unwritable`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A strategies file that was read: once, because a pipe has nothing more to give the second time."""

    origin: str
    raw: bytes
    base: Path | None
    """Folder that the paths in it start from."""

    @classmethod
    def read(cls, path: "Path | str | Source | None") -> "Source":
        """Read a file; None is the one that ships with pagexchange. ConfigError: it cannot be read."""
        if isinstance(path, Source):
            return path
        if path is None:
            return cls(PACKAGED_ORIGIN, packaged(), None)
        return cls(str(path), tomlfile.read(path, str(path)), Path(path).parent)


def _nowhere(path: KeyPath, problem: str, value: bool = True) -> Problem:
    raise AssertionError(f"there is no file in which {dotted(path)} could stand")


@dataclasses.dataclass(frozen=True)
class Examined:
    """What a strategies file says, and what is wrong with it."""

    config: c.Config | None
    """None if the file says none. A plug-in that cannot be loaded does not stand in the way."""
    problems: Sequence[Problem]
    """In the order of the lines; that of a plug-in has the exit code of a plug-in's failure."""
    place: Callable[[KeyPath, str, bool], Problem] = _nowhere
    """Makes a problem that points at a key, or at its value, in the file or in an override."""


def load(
    path: Path | str | Source | None = None,
    *,
    overrides: Sequence[str] = (),
    only: Sequence[str] | None = None,
    plugins: bool = True,
    broken: bool = True,
    blocking: Blocking = NOTHING,
) -> c.Config:
    """Read and check a strategies file.

    Parameters
    ----------
    path
        The file; None for the one that ships with pagexchange.
    overrides
        `KEY=VALUE`: dotted path and a TOML value, or a bare word for a string.
    only
        Names of the strategies that will be used: the plug-ins of the others are not imported.
    plugins
        Also check the names of plug-ins and their options. Imports what the strategies name, nothing else.
    broken
        A plug-in that cannot be loaded is a problem too. If not, only its strategies fail, when they are built.
    blocking
        What the command line blocks: as if the file did.

    Raises
    ------
    ConfigError
        With all problems of the file and of the overrides.
    UnknownStrategyError
        A name in `only` is not in the file.
    UnknownPluginError
        The command line blocks a plug-in that is not installed.
    """
    examined = examine(path, overrides=overrides, only=only, plugins=plugins, blocking=blocking)
    problems = [problem for problem in examined.problems if broken or problem.exit_code != PluginError.exit_code]
    if problems or examined.config is None:
        raise ConfigError(problems)
    return examined.config


def examine(
    path: Path | str | Source | None = None,
    *,
    overrides: Sequence[str] = (),
    only: Sequence[str] | None = None,
    plugins: bool = True,
    blocking: Blocking = NOTHING,
) -> "Examined":
    """Return what a file says and everything that is wrong with it. Arguments and what it raises as of `load`."""
    try:
        source = Source.read(path)
        file = TomlFile.from_bytes(source.raw, source.origin)
    except ConfigError as error:
        return Examined(None, error.problems)
    reader = _Reader(file, source.base)
    for text in overrides:
        reader.override(text)
    if reader.problems:  # a wrong override would only cause more noise below
        return Examined(None, reader.problems)
    made = reader.read(only, plugins, blocking)
    reader.problems.sort(key=lambda problem: (problem.line, problem.column))
    return Examined(made, reader.problems, reader.problem)


def packaged() -> bytes:
    """Return the strategies file that ships with pagexchange."""
    try:
        return (resources.files("pagexchange") / "data" / _PACKAGED).read_bytes()
    except OSError as error:
        raise ConfigError(Problem(PACKAGED_ORIGIN, f"cannot be read: {error.strerror}")) from error


@dataclasses.dataclass(frozen=True, slots=True)
class _File:
    """What may stand at the top of a strategies file."""

    schema: Any = None
    run: dict[str, Any] | None = None
    arena: dict[str, Any] | None = None
    workload: dict[str, Any] | None = None
    bench: dict[str, Any] | None = None
    tier: dict[str, Any] | None = None
    plugins: dict[str, Any] | None = None
    sweep: dict[str, Any] | None = None  # what is in it is for `pagexchange sweep` to say
    strategy: dict[str, Any] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class _Plugins:
    """`[plugins]`."""

    block: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class StrategyTable:
    """`[strategy.NAME]`; a chain of plug-ins has several spellings, see `_Reader.uses`."""

    flags: Any = ()
    data: Any = ()
    copy: Any = ()
    mapping: Any = ()
    wrap: Any = ()
    pairing: Any = ()
    expect: c.Expect = "exact"
    mode: c.Mode = "async"
    threads: c.Threads = 1
    threads_from: c.Count = 0
    timeout: c.Seconds = 1.0
    max_call_us: c.Microseconds | None = None
    summary: str = ""


_PAGE_SIZES: Final = f"a power of two from {PAGE_MIN} to 2 MiB"


class _Reader:
    def __init__(self, file: TomlFile, base: Path | None) -> None:
        self.file = file
        self.base = base
        self.data = file.data
        self.problems: list[Problem] = []
        self.layout: Layout | None = None  # read here and nowhere else: its file, too, may be a pipe
        self.overrides: dict[KeyPath, str] = {}  # path -> the override that everything below it came from

    def bad(self, path: KeyPath, problem: str, value: bool = True) -> None:
        self.problems.append(self.problem(path, problem, value))

    def problem(self, path: KeyPath, problem: str, value: bool = True) -> Problem:
        # The innermost override wins: an earlier one may have made the table that a later one writes into.
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return Problem(f"--set {self.overrides[path[:end]]}", problem, where=dotted(path))
        return self.file.problem(path, problem, value=value)

    def override(self, text: str) -> None:
        try:
            self.overrides[put(self.data, text)] = text
        except ValueError as error:
            self.problems.append(Problem(f"--set {text}", str(error)))

    def read(self, only: Sequence[str] | None, plugins: bool, blocking: Blocking) -> c.Config | None:
        """Check every section, whatever is wrong with the others; a Config only if nothing of the file is."""
        for wrong in unwritable(self.data):
            self.bad(*wrong)
        tables = convert(self.data, _File, self.bad)
        check_schema(self.data, c.SCHEMA, self.bad)
        if not tables.get("strategy", "strategy" in self.data):
            self.bad((), "no strategy: write at least one table [strategy.NAME]", False)
        run = c.RunConfig(**convert(tables.get("run", {}), c.RunConfig, self.bad, ("run",)))
        arena = self.arena(convert(tables.get("arena", {}), c.ArenaConfig, self.bad, ("arena",)))
        workload = self.workload(convert(tables.get("workload", {}), c.WorkloadConfig, self.bad, ("workload",)))
        bench = self.bench(convert(tables.get("bench", {}), c.BenchConfig, self.bad, ("bench",)))
        tier = self.tier(convert(tables.get("tier", {}), c.TierConfig, self.bad, ("tier",)))
        blocked = convert(tables.get("plugins", {}), _Plugins, self.bad, ("plugins",)).get("block", ())
        strategies = {name: self.strategy(name, table, run) for name, table in tables.get("strategy", {}).items()}
        for name in only or ():
            # Where there is no table of strategies, that is what is wrong, and not a name.
            if name not in strategies and "strategy" in tables:
                raise UnknownStrategyError(name, strategies)
        if plugins:
            specs = [spec for name, spec in strategies.items() if only is None or name in only]
            registry = Registry(blocked, blocking=blocking)
            self.plugins(registry, specs)
            # As if the file said it, so that it says all once it is written anew: what it names itself, for on another
            # machine the name of a plug-in that is not installed there would be a mistake.
            named = {use.plugin for spec in strategies.values() for use in spec.uses()}
            blocked = (*blocked, *sorted(named & registry.blocked.keys() - set(blocked)))
        if any(problem.exit_code != PluginError.exit_code for problem in self.problems):
            return None
        assert self.layout is not None, "or there was a problem"
        return c.Config(
            origin=self.file.origin,
            run=run,
            arena=c.ArenaConfig(**arena),
            workload=c.WorkloadConfig(**workload),
            bench=c.BenchConfig(**bench),
            tier=c.TierConfig(**tier),
            block=blocked,
            strategies=strategies,
            layout=self.layout,
            base=self.base,
        )

    def arena(self, values: dict[str, Any]) -> dict[str, Any]:
        page_size = self.size(("arena", "page_size"), values.get("page_size", c.ArenaConfig().page_size))
        if page_size is not None and not is_page_size(page_size, PAGE_MIN):
            self.bad(("arena", "page_size"), f"{page_size} bytes: want {_PAGE_SIZES}")
            page_size = None  # or each node would be blamed too, for not being a multiple of it
        values["page_size"] = page_size
        nodes = {}
        total = 0
        for name, given in values.get("nodes", c.ArenaConfig().nodes).items():
            path: KeyPath = ("arena", "nodes", name)
            self.name(path, name or None, False)
            if not 0 < len(name.encode(errors="surrogatepass")) < 32:
                self.bad(path, "a node's name has 1 to 31 bytes", False)
            table = given if isinstance(given, c.NodeConfig) else None
            at_size = (*path, "size") if table else path
            bytes_ = self.size(at_size, given.size if isinstance(given, c.NodeConfig) else given)
            if bytes_ and page_size and bytes_ % page_size:
                self.bad(at_size, f"{bytes_} bytes are not a multiple of the page size, {page_size}")
            nodes[name] = self.node(path, table, bytes_ or 0) if table else bytes_
            total += bytes_ or 0
        if len(nodes) != 2:
            self.bad(("arena", "nodes"), f"{counted(len(nodes), 'node')}: want 2, the fast one first")
        elif page_size and total // page_size >= 1 << 31:
            self.bad(("arena", "nodes"), f"more than 2^31 - 1 frames of {page_size} bytes")
        values["nodes"] = nodes
        marks = values.get("watermarks")
        if marks is not None and not marks[0] <= marks[1] <= marks[2]:
            self.bad(("arena", "watermarks"), f"{list(marks)}: want min <= low <= high")
        for place, name in ("path", values.get("path")), ("layout", values.get("layout")):
            self.name(("arena", place), name)
        self.load_layout(values.get("layout", c.ArenaConfig().layout))
        return values

    def node(self, path: KeyPath, table: c.NodeConfig, bytes_: int) -> c.NodeConfig:
        """Check where a node's frames are to lie; what the machine has is asked when an arena is made."""
        self.name((*path, "path"), table.path)
        for problem in as_place(table.place()).problems():
            self.bad(path, problem)
        return dataclasses.replace(table, size=bytes_)

    def name(self, path: KeyPath, name: str | None, value: bool = True) -> None:
        """Refuse a name, or the path of a file, that nobody can have meant."""
        if name == "":
            self.bad(path, "an empty string: leave the key out, or say which", value)
        elif name and (where := _CONTROL.search(name)):
            self.bad(path, f"a name or a path cannot hold the control character U+{ord(where[0]):04X}", value)

    def load_layout(self, name: str) -> None:
        try:
            self.layout = Layout.load(name, self.base)
        except ConfigError as error:
            first = error.problems[0]
            # What is wrong inside the layout's file has places of its own; else the name is wrong, and stands here.
            if first.line or len(error.problems) > 1:
                self.bad(("arena", "layout"), f"the layout file {name!r} is wrong")
                self.problems.extend(error.problems)
            else:
                self.bad(("arena", "layout"), first.what if first.origin == "layout" else str(first))

    def workload(self, values: dict[str, Any]) -> dict[str, Any]:
        self.name(("workload", "snapshot"), values.get("snapshot"))
        for key in ("kinds", "orders"):
            if key in values and not sum(values[key].values()) > 0:
                self.bad(("workload", key), "at least one weight must be above 0")
        for order in values.get("orders", {}):
            if order not in map(str, range(10)):
                self.bad(("workload", "orders", order), f"order {order!r}: want 0 to 9", False)
        return values

    def bench(self, values: dict[str, Any]) -> dict[str, Any]:
        for axis in AXES:
            if axis in values and not values[axis]:
                self.bad(("bench", axis), "an empty list: leave the key out, or name at least one value")
            elif axis in values:
                values[axis] = tuple(dict.fromkeys(values[axis]))
        for number, value in enumerate(values.get("size", ())):
            if value not in CACHES:
                self.size(("bench", "size", number), value)
        for number, value in enumerate(values.get("page_size", ())):
            size = self.size(("bench", "page_size", number), value)
            if size is not None and not is_page_size(size, PAGE_MIN):
                self.bad(("bench", "page_size", number), f"{size} bytes: want {_PAGE_SIZES}")
        if values.get("memory") is not None:
            values["memory"] = self.size(("bench", "memory"), values["memory"])
        return values

    def tier(self, values: dict[str, Any]) -> dict[str, Any]:
        for key in ("fast", "slow"):
            values[key] = self.size(("tier", key), values.get(key, getattr(c.TierConfig(), key)))
        self.name(("tier", "input"), values.get("input"))
        for key in ("ways", "policies"):
            for number, name in enumerate(values.get(key, ())):
                self.name(("tier", key, number), name)
            if key in values:
                values[key] = tuple(dict.fromkeys(values[key]))
        return values

    def size(self, path: KeyPath, value: int | str) -> int | None:
        try:
            size = parse_size(value)
            if not 0 < size <= 1 << 46:
                raise ValueError(f"{size} bytes: want 1 byte to 64 TiB")
        except ValueError as error:
            self.bad(path, str(error))
            return None
        return size

    # ---- strategies -----------------------------------------------------------------------------------------------

    def strategy(self, name: str, table: object, run: c.RunConfig) -> c.StrategySpec:
        path: KeyPath = ("strategy", name)
        if not _NAME.fullmatch(name):
            self.bad(path, "a strategy's name is lower case: letters, digits, - . and _, at most 64", False)
        good = convert(table, StrategyTable, self.bad, path)
        if isinstance(table, dict):
            self.asked(path, table)
        chains = {key: self.uses((*path, key), good[key]) for key in (*ANSWERS, "wrap") if key in good}
        # A Config is made only if nothing was reported: until then, defaults stand in for what is wrong or missing.
        values: dict[str, Any] = (
            dict.fromkeys(QUESTIONS, ()) | {"mode": run.mode, "threads": run.threads} | good | chains
        )
        return c.StrategySpec(name, **values)

    def asked(self, path: KeyPath, table: dict[str, Any]) -> None:
        """Check that a strategy says who answers its questions, and whether it exchanges or migrates."""
        said = [key for key in MOVES if key in table]
        for key in QUESTIONS:
            if key == MOVES[0] and not said:
                self.bad(
                    path, f"missing key {' or '.join(map(repr, MOVES))}: name who exchanges, or who migrates", False
                )
            elif key not in (*MOVES, *table):
                self.bad(path, f"missing key {key!r}: name the plug-in that answers it", False)
        if len(said) > 1:
            self.bad(
                (*path, "copy"), "a strategy exchanges by 'data' or migrates by 'copy': leave one of them out", False
            )
        elif said == ["copy"] and "max_call_us" in table:
            self.bad((*path, "max_call_us"), "a strategy that migrates takes its whole list: leave this out", False)

    def uses(self, path: KeyPath, value: object) -> tuple[c.PluginUse, ...]:
        """Read `"name"`, `{ plugin = "name", option = 1 }`, or a list of these."""
        if isinstance(value, list):
            if not value and path[-1] != "wrap":
                self.bad(path, "an empty list: name at least one plug-in")
            return tuple(use for number, item in enumerate(value) for use in self.use((*path, number), item))
        return self.use(path, value)

    def use(self, path: KeyPath, value: object) -> tuple[c.PluginUse, ...]:
        if isinstance(value, str):
            return (c.PluginUse(value, {}, path),)
        if isinstance(value, dict):
            options = {key: item for key, item in value.items() if key != "plugin"}
            name = value.get("plugin")
            if isinstance(name, str):
                return (c.PluginUse(name, options, path),)
            if name is None:
                self.bad(path, "missing key 'plugin'", False)
            else:
                self.bad((*path, "plugin"), f"expected the name of a plug-in, got {show(name)}")
            return ()
        self.bad(path, f"expected the name of a plug-in, a table with it, or a list of these; got {show(value)}")
        return ()

    def plugins(self, registry: Registry, specs: Sequence[c.StrategySpec]) -> None:
        """Check that the plug-ins exist, answer what they are named for, and take their options: before anything runs.

        A plug-in that cannot be loaded or made fails its strategies, and the file is none the worse for it.
        """
        for number, name in enumerate(self.blocked()):
            if name not in registry.names():
                self.bad(("plugins", "block", number), UnknownPluginError(name, registry.names()).reason)
        for spec in specs:
            if crashed(spec.name):  # building it says so
                continue
            for key, use in spec.by_question():
                named = (*use.where, "plugin") if self.is_table(use.where) else use.where  # where the file has the name
                try:
                    plugin = registry.load(use.plugin)
                except UnknownPluginError as error:
                    self.bad(named, error.reason)
                    continue
                except PluginError as error:
                    self.failed(named, error, registry)
                    continue
                try:
                    refuse_wrong_key(key, plugin)
                except PluginError as error:
                    self.bad(named, str(error))
                    continue
                try:
                    with at("being made", strategy=spec.name):
                        plugin.make(use.options, self.bad, use.where)
                except PluginError as error:
                    self.failed(named, error, registry)

    def blocked(self) -> Sequence[str]:
        """The names under `block`, as far as they are names."""
        table = self.data.get("plugins")
        names = table.get("block") if isinstance(table, dict) else None
        return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()

    def failed(self, path: KeyPath, error: PluginError, registry: Registry) -> None:
        # A blocked one is as if it declined: the next of the chain serves, or building says that none does.
        if error.plugin not in registry.blocked:
            problem = self.problem(path, str(error))
            self.problems.append(dataclasses.replace(problem, exit_code=error.exit_code))

    def is_table(self, path: KeyPath) -> bool:
        value: Any = self.data
        for part in path:
            value = value[part]
        return isinstance(value, dict)
