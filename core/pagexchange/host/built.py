"""A strategy that is built: who serves each question of it, who wraps the answers, who watches."""

import dataclasses
import threading
from collections import Counter
from typing import Any, Protocol

import msgspec
import numpy as np
import pluggy

from pagexchange.errors import PluginContractError, PluginError, in_words
from pagexchange.host.blame import hook_failed, name_of, object_failed
from pagexchange.host.discovery import Plugin
from pagexchange.model.config import PluginUse, StrategySpec
from pagexchange.strangers import Guard, said
from pagexchange.trail import Who, at

OBSERVERS = ("run_started", "exchange_started", "exchange_finished", "run_finished")
"""The hooks that are told something and answer nothing."""


@dataclasses.dataclass(frozen=True)
class Served:
    """Who answers a question, and with what."""

    question: str
    """`flags`, `data`, `copy`, `mapping` or `pairing`."""
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

    @property
    def label(self) -> str:
        """Name and options of the plug-in in one word."""
        return PluginUse(self.plugin, self.options).label

    def guard(self, what: str, doing: str = "") -> Guard:
        """Return the block in which code of the object runs: as `Plugin.guard`; without `doing` it leaves no trail."""
        facts = {"plugin": self.plugin, "distribution": self.distribution, "version": self.version}
        here = at(doing, [Who(self.plugin, self.distribution, self.version, self.file)]) if doing else None
        return Guard(lambda error: PluginError(f"{what}: {in_words(error, self.file)}", **facts), here)

    def describe(self) -> dict[str, str]:
        """Return what the object says about itself: ISA chosen, what it will allocate."""
        # All within the guard: of a stranger's object even the look-up of an attribute may raise.
        with self.guard("describe() failed", "describe()"):
            if not callable(getattr(self.object, "describe", None)):
                return {}
            return {said(key): said(value) for key, value in self.object.describe().items()}


@dataclasses.dataclass(frozen=True)
class Skipped:
    """A plug-in of a chain that does not serve, and why."""

    question: str
    plugin: str
    reason: str


class Later(Protocol):
    """Asks a plug-in that a strategy does not name, once the strategy is built: within the strategy's wrappers."""

    def pairing(self, use: PluginUse) -> Served:
        """Return its pairing. Errors as of `PagexchangeHost.build`."""
        ...

    def loaded(self, use: PluginUse) -> list[tuple[str, Plugin]]:
        """Return (question or `wrap`, plug-in) of all that may run meanwhile, as far as they were imported by now."""
        ...


class ObservedRun:
    """How far the run is that the observers of a built strategy watch: one run, however often the strategy is bound."""

    def __init__(self) -> None:
        self.begun = False
        self.telling = threading.RLock()
        """Held while they are told. An observer may itself exchange, and that is told as well: so it is re-entrant."""


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BuiltStrategy:
    """A strategy, ready to be used on the arena that it was built for."""

    spec: StrategySpec
    flags: Served
    data: tuple[Served, ...]
    """The chain: a pair that a mover's `prepare` refuses with -ENOMEM goes to the next one."""
    mapping: Served
    pairing: Served | None
    """Who says which pages of a tier trade places; None: the strategy names nobody."""
    skipped: tuple[Skipped, ...]
    wrappers: tuple[str, ...]
    """What stands under `wrap`, outermost first: wrappers, and observers."""
    plugins: tuple[tuple[str, Plugin], ...]
    """(question or `wrap`, plug-in) of all that the strategy names, those that decline too: whose code may run."""
    hook: pluggy.HookRelay
    """The observers: `built.hook.run_started(strategy=built.spec, arena=arena)` and so on."""
    later: Later
    """For a tier that is given a pairing, or takes the default."""
    run: ObservedRun = dataclasses.field(default_factory=ObservedRun)
    copy: tuple[Served, ...] = ()
    """The chain of a strategy that migrates; its `data` is empty."""

    def __repr__(self) -> str:
        answers = "; ".join(f"{served.question} {served.plugin}" for served in self.served)
        return f"<BuiltStrategy {self.spec.name!r}: {answers}>"

    @property
    def movers(self) -> tuple[Served, ...]:
        """Who moves the bytes: those that exchange them, or those that copy them."""
        return self.data or self.copy

    @property
    def served(self) -> tuple[Served, ...]:
        """Who answers, in the order in which the questions come up in an exchange: flags, mapping, each mover."""
        return (self.flags, self.mapping, *self.movers)

    @property
    def answers(self) -> tuple[Served, ...]:
        """The same and who pairs pages, if the strategy names one."""
        return (*self.served, self.pairing) if self.pairing else self.served

    def mover_names(self) -> list[str]:
        """Return the name of each mover of the chain; with its options where one plug-in stands there several times."""
        names = [served.plugin for served in self.movers]
        return [served.label if names.count(served.plugin) > 1 else served.plugin for served in self.movers]

    @property
    def native(self) -> bool:
        """Whether no Python runs per batch."""
        return all(served.native for served in self.served)

    @property
    def observed(self) -> bool:
        """Whether a plug-in watches calls."""
        # `strategy_report` does not count: it is asked after the run, and so costs a call nothing.
        return any(getattr(self.hook, event).get_hookimpls() for event in OBSERVERS)

    def at_work(self, *questions: str) -> list[Plugin]:
        """Return the plug-ins that answer these questions, and all that may have wrapped the answers."""
        names = {served.plugin for served in self.answers if served.question in questions}
        return [
            plugin
            for question, plugin in self.plugins
            if question == "wrap" or (question in questions and plugin.name in names)
        ]

    def tell(self, event: str, **facts: object) -> list[Any]:
        """Call a hook of all plug-ins of the strategy; PluginError names the one that raised."""
        hook: pluggy.HookCaller = getattr(self.hook, event)
        names = {name_of(impl) for impl in hook.get_hookimpls()}
        here = at(event, [plugin.who for _, plugin in self.plugins if plugin.name in names])
        with Guard(lambda error: hook_failed(error, hook, [plugin for _, plugin in self.plugins]), here):
            answers: list[Any] = hook(**facts)
        return answers

    def report(self) -> dict[str, Any]:
        """Return what its plug-ins want to have in the report, by their own keys; one that comes again is `key#2`."""
        merged: dict[str, Any] = {}
        times: Counter[str] = Counter()
        # pluggy's answers come last registered first; back in the order of registering. A plug-in that stands twice,
        # with other options, reports twice.
        for part in reversed(self.tell("strategy_report")):
            if not isinstance(part, dict):
                raise self._no_report(part, "a dict or None")
            for key, value in self._plain(part).items():
                times[key] += 1
                merged[key if times[key] == 1 else f"{key}#{times[key]}"] = value
        return merged

    def _plain(self, part: dict[Any, Any]) -> dict[str, Any]:
        with Guard(lambda _: self._no_report(part, "a dict of plain values")):
            values: dict[str, Any] = msgspec.to_builtins(part, enc_hook=_number, str_keys=True)
        return values

    def _no_report(self, part: object, expected: str) -> PluginContractError:
        # pluggy's list of answers does not tell whose each is, and leaves out None: of several, all are named.
        names = list(dict.fromkeys(name_of(impl) for impl in self.hook.strategy_report.get_hookimpls()))
        only = next((plugin for _, plugin in self.plugins if [plugin.name] == names), None)
        facts = {"distribution": only.distribution, "version": only.version} if only else {}
        return PluginContractError("strategy_report", " or ".join(names), expected, part, **facts)

    def object_failed(self, error: BaseException, plugin: str) -> PluginError:
        """Return the error to raise for an exception of one of its objects, that of the plug-in of this name."""
        served = next((served for served in self.served if served.plugin == plugin), None)
        if served is None:
            return object_failed(error, "", plugin)
        facts = {"distribution": served.distribution, "version": served.version, "file": served.file}
        return object_failed(error, served.question, plugin, **facts)


def _number(value: object) -> object:
    """Return a number of NumPy's as one of Python's."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no plain value")
