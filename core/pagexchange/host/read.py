"""Read a strategies file and `--set` overrides as a Config; every error at once, each with its place."""

import dataclasses
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import tomli

from pagexchange.errors import ConfigError, PluginError, Problem, UnknownPluginError, UnknownStrategyError, did_you_mean
from pagexchange.hookspecs import QUESTIONS
from pagexchange.host.build import Facts, PagexchangeHost
from pagexchange.host.discovery import Plugin, Registry
from pagexchange.model import config as c
from pagexchange.model.layout import Layout
from pagexchange.model.options import convert, make
from pagexchange.model.sizes import parse_size
from pagexchange.model.tomlfile import KeyPath, TomlFile, dotted

_PACKAGED: Final = "strategies.toml"
_SECTIONS: Final = ("schema", "run", "arena", "workload", "plugins", "strategy")
_STRATEGY: Final = (*QUESTIONS, "wrap", "expect", "mode", "threads", "timeout", "summary")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def load(
    path: Path | str | None = None,
    *,
    overrides: Sequence[str] = (),
    only: Sequence[str] | None = None,
    plugins: bool = True,
    broken: bool = True,
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

    Raises
    ------
    ConfigError
        With all problems of the file and of the overrides.
    UnknownStrategyError
        A name in `only` is not in the file.
    """
    config, problems = _read(path, overrides, only, plugins=plugins, broken=broken)
    if problems or config is None:
        raise ConfigError(problems)
    return config


def check(path: Path | str | None = None, overrides: Sequence[str] = ()) -> list[Problem]:
    """Return everything that is wrong with a strategies file, in the order of its lines; empty if nothing is.

    The plug-ins are asked too whether they serve the arena that the file describes.
    """
    return _read(path, overrides, ask=True)[1]


def packaged() -> bytes:
    """Return the strategies file that ships with pagexchange."""
    try:
        return (resources.files("pagexchange") / "data" / _PACKAGED).read_bytes()
    except OSError as error:
        raise ConfigError(Problem(_PACKAGED, f"cannot be read: {error.strerror}")) from error


def _read(
    path: Path | str | None,
    overrides: Sequence[str],
    only: Sequence[str] | None = None,
    *,
    plugins: bool = True,
    broken: bool = True,
    ask: bool = False,
) -> tuple[c.Config | None, list[Problem]]:
    """Return a Config, or None, and everything that is wrong; a Config only if nothing is."""
    try:
        file = TomlFile.from_bytes(packaged(), _PACKAGED) if path is None else TomlFile.read(path)
    except ConfigError as error:
        return None, list(error.problems)
    reader = _Reader(file, None if path is None else Path(path).parent)
    for text in overrides:
        reader.override(text)
    if reader.problems:  # a wrong override would only cause more noise below
        return None, reader.problems
    made = reader.read(only, plugins, broken)
    if ask and made:
        reader.ask(made)
    reader.problems.sort(key=lambda problem: (problem.line, problem.column))
    return (None if reader.problems else made), reader.problems


class _Reader:
    def __init__(self, file: TomlFile, base: Path | None) -> None:
        self.file = file
        self.base = base
        self.data = file.data
        self.problems: list[Problem] = []
        self.set: dict[KeyPath, str] = {}  # path -> the override that it came from

    def bad(self, path: KeyPath, what: str, value: bool = True) -> None:
        for end in range(len(path), 0, -1):
            if path[:end] in self.set:
                self.problems.append(Problem(f"--set {self.set[path[:end]]}", what, where=dotted(path)))
                return
        self.problems.append(self.file.problem(path, what, value=value))

    # ---- overrides ----------------------------------------------------------------------------------------------

    def override(self, text: str) -> None:
        """Put one `KEY=VALUE` into the data, as if the file had said it."""

        def refuse(what: str) -> None:
            self.problems.append(Problem(f"--set {text}", what))

        key, equals, raw = text.partition("=")
        parts = _key(key.strip())
        if not equals or not parts:
            return refuse("expected KEY=VALUE, for example arena.page_size=65536 or strategy.word-swap.threads=2")
        value = _value(raw.strip())
        if value is None:
            return refuse(f"{raw.strip()!r} is not a TOML value")
        table: Any = self.data
        path: KeyPath = ()
        for number, part in enumerate(parts):
            last = number == len(parts) - 1
            if isinstance(table, list):
                if not part.isdecimal() or int(part) >= len(table):
                    return refuse(f"{dotted(path)} is a list of {len(table)}: no element {part!r}")
                index: Any = int(part)
            elif isinstance(table, dict):
                index = part
            else:
                return refuse(f"{dotted(path)} is a value, not a table")
            path += (index,)
            if last:
                table[index] = value
                break
            if isinstance(table, dict) and index not in table:
                if part not in _SECTIONS and number == 0:
                    return refuse(f"unknown key {part!r}{did_you_mean(part, _SECTIONS)}")
                if number == 1 and parts[0] == "strategy":
                    return refuse(f"no strategy {part!r}{did_you_mean(part, table)}")
                table[index] = {}
            if number >= 2 and parts[0] == "strategy" and isinstance(table[index], str):
                table[index] = {"plugin": table[index]}  # flags = "x" and --set strategy.s.flags.option=1
            table = table[index]
        self.set[path] = text
        return None

    # ---- sections -------------------------------------------------------------------------------------------------

    def table(self, path: KeyPath, value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.bad(path, f"expected a table, got {_show(value)}")
        return {}

    def section(self, name: str, kind: type) -> dict[str, Any]:
        table = self.table((name,), self.data.get(name, {}))
        return convert(table, kind, lambda path, what, value: self.bad((name, *path), what, value))

    def read(self, only: Sequence[str] | None, plugins: bool, broken: bool) -> c.Config | None:
        for key in self.data:
            if key not in _SECTIONS:
                self.bad((key,), f"unknown key {key!r}{did_you_mean(key, _SECTIONS)}", False)
        self.schema()
        run = self.section("run", c.RunConfig)
        arena = self.arena(self.section("arena", c.ArenaConfig))
        workload = self.workload(self.section("workload", c.WorkloadConfig))
        block = self.block()
        strategies = self.strategies(c.RunConfig(**run))
        if only is not None:
            for name in only:
                if name not in self.table(("strategy",), self.data.get("strategy", {})):
                    raise UnknownStrategyError(name, self.data.get("strategy", {}))
        if plugins:
            wanted = [spec for name, spec in strategies.items() if only is None or name in only]
            self.plugins(Registry(block), wanted, broken)
        if self.problems:
            return None
        return c.Config(
            origin=self.file.origin,
            run=c.RunConfig(**run),
            arena=c.ArenaConfig(**arena),
            workload=c.WorkloadConfig(**workload),
            block=block,
            strategies=strategies,
            base=self.base,
        )

    def schema(self) -> None:
        value = self.data.get("schema")
        if value is None:
            self.bad((), f"missing key 'schema'; write `schema = {c.SCHEMA}` at the top", False)
        elif type(value) is not int or value != c.SCHEMA:
            self.bad(("schema",), f"schema {_show(value)} is not known; this version reads schema = {c.SCHEMA}")

    def arena(self, values: dict[str, Any]) -> dict[str, Any]:
        page_size = self.size(("arena", "page_size"), values.get("page_size", c.ArenaConfig().page_size))
        if page_size is not None and (not 4096 <= page_size <= 2 << 20 or page_size & (page_size - 1)):
            self.bad(("arena", "page_size"), f"{page_size} bytes: want a power of two from 4096 to 2 MiB")
            page_size = None
        values["page_size"] = page_size
        nodes = {}
        for name, given in values.get("nodes", c.ArenaConfig().nodes).items():
            path = ("arena", "nodes", name)
            if not 0 < len(name.encode()) < 32:
                self.bad(path, "a node's name has 1 to 31 bytes", False)
            nodes[name] = bytes_ = self.size(path, given)
            if bytes_ and page_size and bytes_ % page_size:
                self.bad(path, f"{bytes_} bytes are not a multiple of the page size, {page_size}")
        if len(nodes) != 2:
            self.bad(
                ("arena", "nodes"), f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}: want 2, the fast one first"
            )
        elif page_size and sum(size or 0 for size in nodes.values()) // page_size >= 1 << 31:
            self.bad(("arena", "nodes"), f"more than 2^31 - 1 frames of {page_size} bytes")
        values["nodes"] = nodes
        marks = values.get("watermarks")
        if marks is not None and not marks[0] <= marks[1] <= marks[2]:
            self.bad(("arena", "watermarks"), f"{list(marks)}: want min <= low <= high")
        if "layout" in values:
            self.layout(values["layout"])
        return values

    def layout(self, name: str) -> None:
        try:
            Layout.load(name, self.base)
        except ConfigError as error:
            first = error.problems[0]
            if first.line or len(error.problems) > 1:
                self.bad(("arena", "layout"), f"the layout file {name!r} is wrong")
                self.problems.extend(error.problems)
            else:
                self.bad(("arena", "layout"), first.what if first.origin == "layout" else str(first))

    def workload(self, values: dict[str, Any]) -> dict[str, Any]:
        for key in ("kinds", "orders"):
            if key in values and not sum(values[key].values()) > 0:
                self.bad(("workload", key), "at least one weight must be above 0")
        for order in values.get("orders", {}):
            if order not in map(str, range(10)):
                self.bad(("workload", "orders", order), f"order {order!r}: want 0 to 9", False)
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

    def block(self) -> tuple[str, ...]:
        table = self.table(("plugins",), self.data.get("plugins", {}))
        for key in table:
            if key != "block":
                self.bad(("plugins", key), f"unknown key {key!r}{did_you_mean(key, ['block'])}", False)
        block: tuple[str, ...] = self.value(("plugins",), table, "block", tuple[str, ...], ())
        return block

    def value(self, path: KeyPath, table: dict[str, Any], key: str, kind: Any, default: Any) -> Any:  # noqa: ANN401
        """Return one value of a table as the type asked for, or the default after reporting what is wrong."""
        if key not in table:
            return default
        known = dataclasses.make_dataclass("known", [(key, kind)])
        good = convert({key: table[key]}, known, lambda sub, what, value: self.bad((*path, *sub), what, value))
        return good.get(key, default)

    # ---- strategies -----------------------------------------------------------------------------------------------

    def strategies(self, run: c.RunConfig) -> dict[str, c.StrategySpec]:
        table = self.table(("strategy",), self.data.get("strategy", {}))
        if not table and isinstance(self.data.get("strategy", {}), dict):
            self.bad((), "no strategy: write at least one table [strategy.NAME]", False)
        return {
            name: self.strategy(name, self.table(("strategy", name), value), isinstance(value, dict), run)
            for name, value in table.items()
        }

    def strategy(self, name: str, table: dict[str, Any], complete: bool, run: c.RunConfig) -> c.StrategySpec:
        path: KeyPath = ("strategy", name)
        if not _NAME.fullmatch(name):
            self.bad(path, "a strategy's name is lower case: letters, digits, - . and _, at most 64", False)
        for key in table:
            if key not in _STRATEGY:
                self.bad((*path, key), f"unknown key {key!r}{did_you_mean(key, _STRATEGY)}", False)
        for key in QUESTIONS:
            if key not in table and complete:
                self.bad(path, f"missing key {key!r}: name the plug-in that answers it", False)
        chains = {key: self.uses((*path, key), table[key]) for key in (*QUESTIONS, "wrap") if key in table}
        return c.StrategySpec(
            name=name,
            flags=chains.get("flags", ()),
            data=chains.get("data", ()),
            mapping=chains.get("mapping", ()),
            wrap=chains.get("wrap", ()),
            expect=self.value(path, table, "expect", c.Expect, "exact"),
            mode=self.value(path, table, "mode", c.Mode, run.mode),
            threads=self.value(path, table, "threads", c.Threads, run.threads),
            timeout=self.value(path, table, "timeout", c.Seconds, 1.0),
            summary=self.value(path, table, "summary", str, ""),
        )

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
                self.bad((*path, "plugin"), f"expected the name of a plug-in, got {_show(name)}")
            return ()
        self.bad(path, f"expected the name of a plug-in, a table with it, or a list of these; got {_show(value)}")
        return ()

    def plugins(self, registry: Registry, specs: Sequence[c.StrategySpec], broken: bool) -> None:
        """Check that the plug-ins exist and take their options: by their own types, before anything runs."""
        for spec in specs:
            for use in spec.uses():
                named = (*use.where, "plugin") if use.options or self.is_table(use.where) else use.where
                try:
                    plugin = registry.load(use.plugin)
                except UnknownPluginError as error:
                    self.bad(named, error.reason)
                except PluginError as error:
                    if broken and use.plugin not in registry.blocked:
                        self.bad(named, str(error))
                else:
                    self.options(use, plugin, broken)

    def options(self, use: c.PluginUse, plugin: Plugin, broken: bool) -> None:
        def report(path: KeyPath, what: str, value: bool) -> None:
            self.bad((*use.where, *path), what, value)

        if not isinstance(plugin.target, type):
            convert(use.options, plugin.target, report)
            return
        try:
            make(use.options, plugin.target, report)
        except (Exception, SystemExit) as error:  # a stranger's __post_init__
            if broken:
                self.bad(use.where, str(plugin.not_made(error)))

    def ask(self, config: c.Config) -> None:
        """Build each strategy for the arena of the file, as `explain` does: no arena is made."""
        host = PagexchangeHost(config.block)
        for spec in config.strategies.values():
            try:
                host.build(spec, Facts.of(config))
            except PluginError as error:
                where = next((use.where for use in spec.uses() if use.plugin == error.plugin), ())
                self.bad(where or ("strategy", spec.name), str(error), bool(where))

    def is_table(self, path: KeyPath) -> bool:
        found: Any = self.data
        for part in path:
            found = found[part]
        return isinstance(found, dict)


def _key(text: str) -> list[str]:
    """Split a dotted TOML key; empty if it is not one."""
    try:
        table: Any = tomli.loads(f"{text} = 0")
    except (tomli.TOMLDecodeError, RecursionError):
        return []
    parts = []
    while isinstance(table, dict):
        if len(table) != 1:
            return []
        ((part, table),) = table.items()
        parts.append(part)
    return parts


def _value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    """Return a TOML value, a bare word as a string, or None if it began like a TOML value and is none."""
    try:
        table = tomli.loads(f"v = {text}")
        if set(table) == {"v"}:
            return table["v"]
    except (ValueError, RecursionError):
        pass
    return None if text[:1] in ("", "[", "{", '"', "'") else text


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"
