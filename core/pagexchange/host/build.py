"""The plug-in host: asks the plug-ins that a strategy names, checks their answers, and returns a built strategy."""

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from traceback import walk_tb
from typing import TYPE_CHECKING, Any, Final, Self

import pluggy

from pagexchange.errors import ConfigError, PluginContractError, PluginError, Problem, raised_in
from pagexchange.hookspecs import QUESTIONS
from pagexchange.host.discovery import Plugin, PluginInfo, Registry, manager
from pagexchange.model.config import Config, Mode, PluginUse, StrategySpec
from pagexchange.model.layout import Layout
from pagexchange.model.tomlfile import KeyPath, dotted
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.plugin import check_table
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy

if TYPE_CHECKING:
    from pagexchange.hookspecs import ArenaFacts

_NATIVE: Final[dict[str, type]] = {
    "exchange_flags": FlagPolicy,
    "exchange_data": DataMover,
    "update_mapping": MappingUpdater,
}
_CALLABLE: Final = {
    "exchange_flags": "(a, b) -> (new_a, new_b)",
    "exchange_data": "(pieces, a, b) -> None",
    "update_mapping": "(pages, arena) -> (offset, found)",
}
_ARGUMENTS: Final = {"exchange_flags": 2, "exchange_data": 3, "update_mapping": 2}


@dataclasses.dataclass(frozen=True)
class Facts:
    """An arena that does not exist yet, as far as a plug-in may ask: for `explain` and for tests."""

    layout: Layout
    page_size: int = 4096
    nframes: int = 131072
    max_order: int = 9
    benchmarking: bool = False

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return what a plug-in may ask of the arena that a strategies file describes."""
        return cls(config.layout, int(config.arena.page_size), sum(config.arena.frames.values()))


@dataclasses.dataclass(frozen=True)
class Served:
    """Who answers a question, and with what."""

    question: str
    """`flags`, `data` or `mapping`."""
    plugin: str
    object: Any
    """What the engine calls: a native object or a Python callable."""
    native: bool
    distribution: str
    version: str
    file: str
    options: dict[str, Any]
    """As the strategy gives them."""
    wrappers: tuple[str, ...]
    """Plug-ins that wrapped the answer, or could have; outermost first."""
    instance: Any = dataclasses.field(repr=False, default=None)
    """The plug-in itself."""

    def describe(self) -> dict[str, str]:
        """Return what the object says about itself: ISA chosen, what it will allocate."""
        try:
            if not callable(getattr(self.object, "describe", None)):
                return {}
            return {str(key): str(value) for key, value in self.object.describe().items()}
        except Exception as error:
            reason = f"describe() failed: {type(error).__name__}: {error}{raised_in(error, self.file)}"
            facts = {"plugin": self.plugin, "distribution": self.distribution, "version": self.version}
            raise PluginError(reason, **facts) from error


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A plug-in of a chain that does not serve, and why."""

    question: str
    plugin: str
    reason: str


@dataclasses.dataclass(frozen=True)
class BuiltStrategy:
    """A strategy, ready to be used on the arena that it was built for."""

    spec: StrategySpec
    flags: Served
    data: tuple[Served, ...]
    """The chain: a pair that a mover's `prepare` refuses with -ENOMEM goes to the next one."""
    mapping: Served
    skipped: tuple[Skipped, ...]
    wrappers: tuple[str, ...]
    hook: Any = dataclasses.field(repr=False)
    """The observers: `built.hook.run_started(strategy=built.spec, arena=arena)` and so on."""

    @property
    def name(self) -> str:
        """The strategy's name."""
        return self.spec.name

    @property
    def mode(self) -> Mode:
        """How long it waits, if the caller does not say."""
        return self.spec.mode

    @property
    def threads(self) -> int:
        """Worker threads, if the caller does not say."""
        return self.spec.threads

    @property
    def timeout(self) -> float:
        """Seconds that one batch may wait in all."""
        return self.spec.timeout

    @property
    def native(self) -> bool:
        """Whether no Python runs per batch."""
        return all(served.native for served in (self.flags, *self.data, self.mapping))

    def report(self) -> dict[str, Any]:
        """Return what its plug-ins want to have in the report, by plug-in's own keys."""
        merged: dict[str, Any] = {}
        for part in reversed(self.hook.strategy_report()):
            if not isinstance(part, dict):
                asked = (one.plugin_name.partition("#")[0] for one in self.hook.strategy_report.get_hookimpls())
                raise PluginContractError("strategy_report", " or ".join(asked), "a dict or None", part)
            merged |= part
        return merged


class PagexchangeHost:
    """Builds strategies from the installed plug-ins."""

    def __init__(self, block: Iterable[str] = (), registry: Registry | None = None) -> None:
        """Look for plug-ins; import none.

        Parameters
        ----------
        block
            Names of plug-ins that must not be used, besides those of the variable PAGEXCHANGE_BLOCK.
        registry
            Instead of the installed distributions.
        """
        self.registry = Registry(block) if registry is None else registry

    def plugins(self) -> list[PluginInfo]:
        """Import every plug-in that is not blocked and say what it is, or what is wrong with it."""
        return self.registry.list()

    def build(self, spec: StrategySpec, arena: "ArenaFacts") -> BuiltStrategy:
        """Ask the plug-ins of a strategy for their objects.

        Parameters
        ----------
        spec
            The strategy, as strategies.toml or Python code gives it.
        arena
            Anything with `page_size`, `nframes`, `max_order`, `layout`, `benchmarking`: see `hookspecs.ArenaFacts`.

        Raises
        ------
        PluginError
            A plug-in does not exist, cannot be imported, raises, does not implement the hook; or none serves.
        PluginContractError
            A plug-in returned something else than its hook says.
        ConfigError
            Its options are wrong.
        """
        return _Build(self.registry, spec, arena).build()


class _Build:
    """One build: the strategy's own PluginManager, holding just what the strategy names.

    A question is asked through a second, short-lived manager with the wrappers and one plug-in of the chain: pluggy's
    own way to leave plug-ins out of a call needs hashable ones, and a plug-in with options often is not.
    """

    def __init__(self, registry: Registry, spec: StrategySpec, arena: "ArenaFacts") -> None:
        self.registry, self.spec, self.arena = registry, spec, arena
        self.manager = manager()
        self.made: list[tuple[PluginUse, Plugin, Any]] = []
        self.skipped: list[Skipped] = []

    def build(self) -> BuiltStrategy:
        # pluggy asks the plug-in registered last first: so that the first wrapper listed is the outermost
        self.wrapping = [made for use in reversed(self.spec.wrap) if (made := self.register("wrap", use))]
        chains = {
            question: [made for use in getattr(self.spec, question) if (made := self.register(question, use))]
            for question in QUESTIONS
        }
        served = {question: self.ask(question, chain) for question, chain in chains.items()}
        return BuiltStrategy(
            spec=self.spec,
            flags=served["flags"][0],
            data=tuple(served["data"]),
            mapping=served["mapping"][0],
            skipped=tuple(self.skipped),
            wrappers=tuple(plugin.name for _, plugin, _ in reversed(self.wrapping)),
            hook=self.manager.hook,
        )

    def register(self, question: str, use: PluginUse) -> tuple[PluginUse, Plugin, Any] | None:
        """Make the plug-in's instance and register it; None if it is blocked, which is as if it declined.

        A plug-in that is named twice with the same options is one instance.
        """
        if use.plugin in self.registry.blocked and use.plugin in self.registry.names():
            self.skipped.append(Skipped(question, use.plugin, "is blocked"))
            return None
        plugin = self.registry.load(use.plugin)
        if question == "wrap":
            answers = [hook for hook in QUESTIONS.values() if plugin.hooks.get(hook) is False]
            if answers:
                raise plugin.error(f"is named under 'wrap', but its {answers[0]} is an answer, not a wrapper")
        elif plugin.hooks.get(QUESTIONS[question]) is not False:
            found = ", ".join(sorted(plugin.hooks))
            hook = QUESTIONS[question]
            raise plugin.error(f"is named under '{question}', but does not answer {hook}; it has {found}")
        for known, _, instance in self.made:
            if known == use:
                return use, plugin, instance
        instance = self.instance(plugin, use)
        if not self.manager.is_registered(instance):  # the same module, or an equal value, under another name
            self.add(self.manager, plugin, instance)
        self.made.append((use, plugin, instance))
        return self.made[-1]

    @staticmethod
    def add(to: pluggy.PluginManager, plugin: Plugin, instance: object) -> None:
        try:
            to.register(instance, name=f"{plugin.name}#{len(to.list_name_plugin())}")
        except (ValueError, pluggy.PluginValidationError) as error:
            raise plugin.error(f"cannot be registered: {error}") from error

    def instance(self, plugin: Plugin, use: PluginUse) -> Any:  # noqa: ANN401 - a stranger's class
        problems: list[Problem] = []

        def report(path: KeyPath, problem: str, _value: bool) -> None:
            problems.append(Problem(f"strategy.{self.spec.name}", problem, where=dotted(path)))

        made = plugin.make(use.options, report, use.where or (plugin.name,))
        if problems:
            raise ConfigError(problems)
        return made

    def ask(self, question: str, chain: list[tuple[PluginUse, Plugin, Any]]) -> list[Served]:
        """Ask each plug-in of a chain: all that serve for data, the first that serves for the other two."""
        hook = QUESTIONS[question]
        seen_by = tuple(plugin.name for _, plugin, _ in reversed(self.wrapping) if plugin.hooks.get(hook))
        served: list[Served] = []
        for use, plugin, instance in chain:
            asked = manager()
            for _, wrapper, wrapping in self.wrapping:
                if not asked.is_registered(wrapping):
                    self.add(asked, wrapper, wrapping)
            self.add(asked, plugin, instance)
            why = ""
            try:
                found = getattr(asked.hook, hook)(arena=self.arena)
            except NotImplementedError as error:
                found, why = None, f": {error}"
            except PluginError as error:
                if error.plugin:
                    raise
                blamed = self.raised_by(error, getattr(asked.hook, hook)) or plugin
                raise blamed.error(error.reason) from error
            except (Exception, SystemExit) as error:
                blamed = self.raised_by(error, getattr(asked.hook, hook)) or plugin
                place = raised_in(error, blamed.file)
                raise blamed.error(f"{hook} failed: {type(error).__name__}: {error}{place}") from error
            if found is None:
                self.skipped.append(Skipped(question, use.plugin, f"declined this arena{why}"))
                continue
            try:
                native = self.check(hook, plugin, found)
            except PluginContractError as error:
                error.reason += f"; it was wrapped by {' in '.join(map(repr, reversed(seen_by)))}" if seen_by else ""
                raise
            served.append(
                Served(
                    question=question,
                    plugin=use.plugin,
                    object=found,
                    native=native,
                    distribution=plugin.distribution,
                    version=plugin.version,
                    file=plugin.file,
                    options=dict(use.options),
                    wrappers=seen_by,
                    instance=instance,
                )
            )
            if question != "data":
                break
        if not served:
            reasons = "; ".join(f"{s.plugin} {s.reason}" for s in self.skipped if s.question == question)
            raise PluginError(f"strategy {self.spec.name!r}: nobody answers {hook}: {reasons or 'none is named'}")
        return served

    def raised_by(self, error: BaseException, asked: pluggy.HookCaller) -> Plugin | None:
        """Return whose hook an exception came from, a wrapper's or the answering one; None if that cannot be seen."""
        frames = [frame for frame, _ in walk_tb(error.__traceback__)]
        for frame in [None, *reversed(frames)]:
            for impl in asked.get_hookimpls():
                code = getattr(impl.function, "__code__", None)
                if code is None:
                    continue
                if frame is None:  # pluggy itself, of a wrapper that yields never, or twice
                    mine = f" {code.co_filename}:{code.co_firstlineno} " in str(error)
                else:
                    bound = inspect.ismethod(impl.function)
                    mine = frame.f_code is code and (not bound or _holds(frame.f_locals, impl.plugin))
                if mine:
                    return next((plugin for _, plugin, instance in self.made if instance is impl.plugin), None)
        return None

    def check(self, hook: str, plugin: Plugin, found: Any) -> bool:  # noqa: ANN401 - whatever a stranger returned
        """Return whether the answer is a native object; PluginContractError if it is neither that nor a callable."""
        native = _NATIVE[hook]
        expected = f"a {native.__module__}.{native.__name__} or a callable {_CALLABLE[hook]}"
        facts = {"distribution": plugin.distribution, "version": plugin.version}
        if isinstance(found, native):
            wrong = check_table(found)
            if wrong:
                raise PluginContractError(hook, plugin.name, f"a complete {native.__name__}: {wrong}", found, **facts)
            return True
        if isinstance(found, type):
            raise PluginContractError(hook, plugin.name, f"{expected}, not a class", found, **facts)
        if not callable(found) or inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
            raise PluginContractError(hook, plugin.name, expected, found, **facts)
        try:
            inspect.signature(found).bind(*range(_ARGUMENTS[hook]))
        except TypeError as error:
            raise PluginContractError(hook, plugin.name, f"{expected} ({error})", found, **facts) from None
        except ValueError:  # a compiled callable without a signature
            pass
        return False


def _holds(values: Mapping[str, object], one: object) -> bool:
    return any(value is one for value in values.values())
