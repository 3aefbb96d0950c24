"""The plug-in host: asks the plug-ins that a strategy names, checks their answers, and returns a built strategy."""

import dataclasses
import inspect
from collections.abc import Iterable
from typing import Final, NamedTuple, Self

import pluggy

from pagexchange.errors import ConfigError, PluginContractError, PluginError, Problem
from pagexchange.hookspecs import ANSWERS, MOVES, QUESTIONS, ArenaFacts
from pagexchange.host import crashes
from pagexchange.host.blame import hook_failed, registered_name
from pagexchange.host.blocking import NOTHING, Blocking
from pagexchange.host.built import BuiltStrategy, Served, Skipped
from pagexchange.host.discovery import Plugin, PluginInfo, Registry, manager
from pagexchange.model.config import Config, PluginUse, StrategySpec
from pagexchange.model.layout import Layout
from pagexchange.model.tomlfile import KeyPath, dotted
from pagexchange.strangers import Guard, said
from pagexchange.trail import at
from pagexchange_native.movers.copier import DataCopier
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.plugin import check_table
from pagexchange_native.policies.find_slot import MappingUpdater
from pagexchange_native.policies.flag_policy import FlagPolicy
from pagexchange_native.tier.pairing import Pairing

_NATIVE: Final[dict[str, type]] = {
    "exchange_flags": FlagPolicy,
    "exchange_data": DataMover,
    "copy_data": DataCopier,
    "update_mapping": MappingUpdater,
    "pair_pages": Pairing,
}
_CALLABLE: Final = {
    "exchange_flags": "(a, b) -> (new_a, new_b)",
    "exchange_data": "(pieces, a, b) -> None",
    "copy_data": "(pieces, source, target) -> None",
    "update_mapping": "(pages, arena) -> (offset, found)",
    "pair_pages": "(view) -> pairs",
}
_ARGUMENTS: Final = {"exchange_flags": 2, "exchange_data": 3, "copy_data": 3, "update_mapping": 2, "pair_pages": 1}


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


class PagexchangeHost:
    """Builds strategies from the installed plug-ins."""

    def __init__(
        self, block: Iterable[str] = (), registry: Registry | None = None, *, blocking: Blocking = NOTHING
    ) -> None:
        """Look for plug-ins; import none. UnknownPluginError: the command line blocks one that is not installed.

        Parameters
        ----------
        block
            Names of plug-ins that a strategies file blocks, besides those of the variable PAGEXCHANGE_BLOCK.
        registry
            Instead of the installed distributions.
        blocking
            What the command line blocks besides.
        """
        self.registry = Registry(block, blocking=blocking) if registry is None else registry

    def plugins(self) -> list[PluginInfo]:
        """Import every plug-in that is not blocked and say what it is, or what is wrong with it."""
        return self.registry.list()

    def loaded(self, spec: StrategySpec) -> list[tuple[str, Plugin]]:
        """Return (question or `wrap`, plug-in) of all that a strategy names and that were imported by now."""
        uses = spec.by_question()
        return [(question, plugin) for question, use in uses if (plugin := self.registry.loaded(use.plugin))]

    def build(self, spec: StrategySpec, arena: ArenaFacts) -> BuiltStrategy:
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
        crashes.refuse(strategy=spec.name)
        with at("being built", strategy=spec.name):
            return _Build(self, spec, arena).build()


def refuse_wrong_key(question: str, plugin: Plugin) -> None:
    """Raise PluginError when a plug-in is named under a key that it has no hook for."""
    if question == "wrap":
        answers = [hook for hook in ANSWERS.values() if plugin.hooks.get(hook) is False]
        if answers:
            raise plugin.error(f"is named under 'wrap', but its {answers[0]} is an answer, not a wrapper")
    elif plugin.hooks.get(ANSWERS[question]) is not False:
        hooks = ", ".join(sorted(plugin.hooks))
        raise plugin.error(f"is named under '{question}', but does not answer {ANSWERS[question]}; it has {hooks}")


class _Made(NamedTuple):
    """A plug-in of the strategy, made from the options that the strategy gives it."""

    use: PluginUse
    plugin: Plugin
    instance: object


class _Build:
    """One build: the strategy's own PluginManager, holding just what the strategy names.

    A question is asked through a second, short-lived manager with the wrappers and one plug-in of the chain: pluggy's
    own way to leave plug-ins out of a call needs hashable ones, and a plug-in with options often is not.
    """

    def __init__(self, host: PagexchangeHost, spec: StrategySpec, arena: ArenaFacts) -> None:
        self.host, self.registry, self.spec, self.arena = host, host.registry, spec, arena
        self.manager = manager()
        self.made: list[_Made] = []
        self.skipped: list[Skipped] = []

    def build(self) -> BuiltStrategy:
        # pluggy asks the plug-in registered last first: so that the first wrapper listed is the outermost
        self.wrapping = [made for use in reversed(self.spec.wrap) if (made := self.register("wrap", use))]
        # All are registered before the first is asked: a wrong name or option is then found before any hook has run.
        chains = {
            question: [made for use in getattr(self.spec, question) if (made := self.register(question, use))]
            for question in self.spec.questions
        }
        served = {
            question: self.ask(question, chain) for question, chain in chains.items() if chain or question in QUESTIONS
        }
        return BuiltStrategy(
            spec=self.spec,
            flags=served["flags"][0],
            data=tuple(served.get("data", ())),
            copy=tuple(served.get("copy", ())),
            mapping=served["mapping"][0],
            pairing=served["pairing"][0] if "pairing" in served else None,
            skipped=tuple(self.skipped),
            wrappers=tuple(made.plugin.name for made in reversed(self.wrapping)),
            plugins=tuple(self.host.loaded(self.spec)),
            hook=self.manager.hook,
            later=self,
        )

    def pairing(self, use: PluginUse) -> Served:
        """As `built.Later` has it."""
        crashes.refuse(strategy=self.spec.name)
        self.skipped = []  # what was passed over before is no reason here
        with at("being built", strategy=self.spec.name):
            made = self.register("pairing", use)
            return self.ask("pairing", [] if made is None else [made])[0]

    def loaded(self, use: PluginUse) -> list[tuple[str, Plugin]]:
        """As `built.Later` has it."""
        return self.host.loaded(dataclasses.replace(self.spec, pairing=(use,)))

    def register(self, question: str, use: PluginUse) -> _Made | None:
        """Make the plug-in's instance and register it; None if it is blocked, which is as if it declined.

        A plug-in that is named twice with the same options is one instance.
        """
        if use.plugin in self.registry.blocked and use.plugin in self.registry.names():
            self.skipped.append(Skipped(question, use.plugin, f"is blocked {self.registry.blocked[use.plugin]}"))
            return None
        plugin = self.registry.load(use.plugin)
        refuse_wrong_key(question, plugin)
        for made in self.made:
            if made.use == use:
                return _Made(use, plugin, made.instance)
        instance = self.instance(plugin, use)
        self.add(self.manager, plugin, instance)
        self.made.append(_Made(use, plugin, instance))
        return self.made[-1]

    @staticmethod
    def add(to: pluggy.PluginManager, plugin: Plugin, instance: object) -> None:
        """Register an instance, once: it may be there already, as the same module or an equal value by another name."""
        # Within the guard: equality is the plug-in's own, and so are the attributes that pluggy looks at.
        with plugin.guard("cannot be registered", "its registration"):
            if not to.is_registered(instance):
                to.register(instance, name=registered_name(plugin, len(to.list_name_plugin())))

    def instance(self, plugin: Plugin, use: PluginUse) -> object:
        problems: list[Problem] = []

        def report(path: KeyPath, problem: str, _value: bool) -> None:
            problems.append(Problem(f"strategy.{self.spec.name}", problem, where=dotted(path)))

        instance = plugin.make(use.options, report, use.where or (plugin.name,))
        if problems:
            raise ConfigError(problems)
        return instance

    def ask(self, question: str, chain: list[_Made]) -> list[Served]:
        """Ask each plug-in of a chain: all that serve the data, or the first that serves."""
        served: list[Served] = []
        for made in chain:
            answer = self.answer(question, made)
            if answer is not None:
                served.append(self.serve(question, made, answer))
                if question not in MOVES:
                    break
        if not served:
            reasons = "; ".join(f"{s.plugin} {s.reason}" for s in self.skipped if s.question == question)
            hook = ANSWERS[question]
            raise PluginError(f"strategy {self.spec.name!r}: no plug-in answers {hook}: {reasons or 'none is named'}")
        return served

    def answer(self, question: str, made: _Made) -> object | None:
        """Call the hook of one plug-in, within all wrappers. None: it declined, and `skipped` says why."""
        scratch = manager()
        for wrapper in self.wrapping:
            self.add(scratch, wrapper.plugin, wrapper.instance)
        self.add(scratch, made.plugin, made.instance)
        hook: pluggy.HookCaller = getattr(scratch.hook, ANSWERS[question])
        why = ""
        try:
            here = at(ANSWERS[question], [known.plugin.who for known in (made, *self.wrapping)])
            with Guard(lambda error: self.failed(error, hook, made.plugin), here):
                answer: object | None = hook(arena=self.arena)
        except NotImplementedError as error:
            answer, why = None, f": {said(error)}"
        if answer is None:
            self.skipped.append(Skipped(question, made.plugin.name, f"declined this arena{why}"))
        return answer

    def failed(self, error: BaseException, hook: pluggy.HookCaller, asked: Plugin) -> BaseException:
        """Return the error to raise for what a hook raised; itself where it declines, or names its plug-in."""
        if isinstance(error, NotImplementedError) or (isinstance(error, PluginError) and error.plugin):
            return error
        return hook_failed(error, hook, [known.plugin for known in self.made], asked)

    def serve(self, question: str, made: _Made, answer: object) -> Served:
        """Return an answer that was checked, with who gave it."""
        hook, plugin = ANSWERS[question], made.plugin
        wrappers = tuple(wrapper.plugin.name for wrapper in reversed(self.wrapping) if wrapper.plugin.hooks.get(hook))
        try:
            with plugin.guard(f"{hook} returned what cannot be looked at", hook):
                native = self.check(hook, plugin, answer)
        except PluginContractError as error:
            # A wrapper may have returned it: which of them cannot be seen in the answer.
            error.reason += f"; it was wrapped by {' in '.join(map(repr, reversed(wrappers)))}" if wrappers else ""
            raise
        return Served(
            question=question,
            plugin=plugin.name,
            object=answer,
            native=native,
            distribution=plugin.distribution,
            version=plugin.version,
            file=plugin.file,
            options=dict(made.use.options),
            wrappers=wrappers,
            instance=made.instance,
        )

    @staticmethod
    def check(hook: str, plugin: Plugin, answer: object) -> bool:
        """Return whether the answer is a native object; PluginContractError if it is neither that nor a callable."""
        native = _NATIVE[hook]
        expected = f"a {native.__module__}.{native.__name__} or a callable {_CALLABLE[hook]}"
        facts = {"distribution": plugin.distribution, "version": plugin.version}
        if isinstance(answer, native):
            wrong = check_table(answer)
            if wrong:
                raise PluginContractError(hook, plugin.name, f"a complete {native.__name__}: {wrong}", answer, **facts)
            return True
        if isinstance(answer, type):
            raise PluginContractError(hook, plugin.name, f"{expected}, not a class", answer, **facts)
        if not callable(answer) or inspect.iscoroutinefunction(answer) or inspect.isgeneratorfunction(answer):
            raise PluginContractError(hook, plugin.name, expected, answer, **facts)
        # Tried now: a wrong number of arguments would else be noticed by the first exchange only.
        try:
            inspect.signature(answer).bind(*range(_ARGUMENTS[hook]))
        except TypeError as error:
            raise PluginContractError(hook, plugin.name, f"{expected} ({error})", answer, **facts) from None
        except ValueError:  # a compiled callable without a signature
            pass
        return False
