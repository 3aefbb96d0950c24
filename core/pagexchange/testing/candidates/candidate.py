"""What is judged: a strategy of a file, an installed plug-in, or a test's object; all are built by the real host."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pagexchange.arena.arena import Arena
from pagexchange.arena.strategy import Strategy
from pagexchange.errors import ConfigError, PluginError
from pagexchange.hookspecs import ANSWERS, ArenaFacts, hookimpl
from pagexchange.host.build import PagexchangeHost
from pagexchange.host.built import BuiltStrategy, Served
from pagexchange.host.discovery import Plugin, Registry, hooks_of
from pagexchange.model.config import Expect, Mode, PluginUse, StrategySpec
from pagexchange.model.layout import Layout
from pagexchange.testing.candidates import native_partners, partners
from pagexchange_native.movers.mover import DataMover

_PARTNERS: Final[dict[str, object]] = {**partners.PARTNERS, **native_partners.PARTNERS}
AROUND: Final = {
    "python": (partners.FLAGS, partners.DATA, partners.UPDATER),
    "native": (native_partners.FLAGS, native_partners.DATA, native_partners.UPDATER),
    "native-temp": (native_partners.FLAGS, native_partners.TEMP, native_partners.UPDATER),
    "python-copy": (partners.FLAGS, partners.COPY, partners.UPDATER),
    "native-copy": (native_partners.FLAGS, native_partners.COPY, native_partners.UPDATER),
}
"""What a wrapper is put around: who answers for flags, data or copy, and mapping."""


class WithPartners(Registry):
    """The installed plug-ins, the neutral partners, and objects that were never installed."""

    def __init__(self, block: Iterable[str] = (), objects: Mapping[str, object] | None = None) -> None:
        super().__init__(block)
        self.objects: dict[str, object] = {**_PARTNERS, **(objects or {})}

    def load(self, name: str) -> Plugin:
        """Return a plug-in by name, as `Registry.load` does."""
        if name not in self.objects:
            return super().load(name)
        # No distribution and no version: these were never installed, and a report says so by leaving them out.
        target = self.objects[name]
        return Plugin(name, target, "", "", target.file if isinstance(target, _Hook) else "", hooks_of(target))


@dataclasses.dataclass(frozen=True)
class Origin:
    """Who answers a hook, and where that comes from."""

    hook: str
    """Empty: not a matter of one hook."""
    plugin: str
    distribution: str = ""
    version: str = ""

    def __str__(self) -> str:
        made = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"{self.hook + ' of ' if self.hook else ''}plug-in {self.plugin!r}{made}"


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A strategy to be judged, and what it says of itself."""

    name: str
    """Stands in test ids."""
    spec: StrategySpec
    registry: Registry
    own_layout: Layout | None = None
    """Of its file, when it is not one that ships."""
    outcomes: dict[Any, Any] = dataclasses.field(default_factory=dict, repr=False, compare=False)
    """Outcomes by cell: several tests look at one exchange."""
    not_built: set[str] = dataclasses.field(default_factory=set, repr=False, compare=False)
    """Cells for which its hooks neither served nor declined, by their text: their own test has failed."""

    def __str__(self) -> str:
        return self.name

    @property
    def expect(self) -> Expect:
        """What it declares: exact, loses or refused."""
        return self.spec.expect

    @property
    def exact(self) -> bool:
        """Whether it declares to lose nothing and to refuse nothing."""
        return self.spec.expect == "exact"

    def build(self, arena: Arena, *, mode: Mode = "async", timeout: float | None = None) -> Strategy:
        """Bind it to an arena. PluginError: it does not serve this one."""
        return Strategy(arena, self._built(arena), mode, timeout)

    def answers(self, question: str, arena: ArenaFacts) -> list[Served]:
        """Return who answers a question; for data the whole chain. PluginError: none serves this arena."""
        served = getattr(self._built(arena), question)
        return list(served) if isinstance(served, tuple) else [served]

    def origins(self) -> list[Origin]:
        """Return the origins of the judged objects: all that the strategy names but the neutral partners."""
        return [self._origin(question, use) for question, use in self.spec.by_question() if use.plugin not in _PARTNERS]

    def _origin(self, question: str, use: PluginUse) -> Origin:
        return Origin(ANSWERS.get(question, "a wrapper"), use.plugin, *self.registry.origin(use.plugin))

    def around(self, partners: str) -> "Candidate":
        """Return the same wrapper around other partners."""
        flags, mover, mapping = (PluginUse(name) for name in AROUND[partners])
        moves = {"data": (), "copy": (mover,)} if partners.endswith("copy") else {"data": (mover,)}
        spec = dataclasses.replace(self.spec, flags=(flags,), mapping=(mapping,), **moves)
        return dataclasses.replace(self, spec=spec)

    def _built(self, arena: ArenaFacts) -> BuiltStrategy:
        # Anew for each arena, by the host that users have: its own checks are a part of what is judged.
        try:
            return PagexchangeHost(registry=self.registry).build(self.spec, arena)
        except ConfigError as error:  # a class that takes no option, and refuses to be made
            raise PluginError(f"cannot be made: {error}") from error


def takes_frames(strategy: Strategy) -> bool:
    """Whether a mover of the chain declares, by its log format, that it works through a frame that it takes."""
    return any(isinstance(served.object, DataMover) and served.object.log == "temp" for served in strategy.built.data)


def of_file(spec: StrategySpec, registry: Registry, own_layout: Layout | None) -> Candidate:
    """Return a strategy of a file as a candidate."""
    return Candidate(spec.name, spec, registry, own_layout)


def of_plugin(name: str, question: str, use: PluginUse, expect: Expect, registry: WithPartners) -> Candidate:
    """Return an installed plug-in among neutral partners as a candidate."""
    return _among_partners(name, question, use, expect, registry)


def of_wrapper(name: str, use: PluginUse, registry: WithPartners) -> Candidate:
    """Return an installed wrapper around neutral partners as a candidate."""
    return Candidate(name, dataclasses.replace(_neutral(name), wrap=(use,)), registry)


def of_object(name: str, question: str, make: Callable[..., Any], expect: Expect) -> Candidate:
    """Return an object, made anew for each arena, among neutral partners as a candidate."""
    hook = _Hook.of(question, make)
    return _among_partners(name, question, PluginUse(name), expect, WithPartners(objects={name: hook}))


def _among_partners(name: str, question: str, use: PluginUse, expect: Expect, registry: Registry) -> Candidate:
    neutral = dataclasses.replace(_neutral(name), expect=expect)
    chain = (use,)
    if question == "flags":
        spec = dataclasses.replace(neutral, flags=chain)
    elif question == "data":
        spec = dataclasses.replace(neutral, data=chain)
    elif question == "copy":
        spec = dataclasses.replace(neutral, data=(), copy=chain)
    elif question == "pairing":
        spec = dataclasses.replace(neutral, pairing=chain)
    else:
        spec = dataclasses.replace(neutral, mapping=chain)
    return Candidate(name, spec, registry)


def _neutral(name: str) -> StrategySpec:
    flags, data, mapping = (PluginUse(partner) for partner in AROUND["python"])
    return StrategySpec(name, (flags,), (data,), (mapping,))


def call_make(make: Callable[..., Any], arena: object) -> Any:  # noqa: ANN401 - any answer
    """Call a test's `make`, which may or may not want to know the arena."""
    return make(arena) if inspect.signature(make).parameters else make()


# A class for each question, because pluggy finds hooks by the names of methods: one class with all of them would answer
# questions that it was not made for.
class _Hook:
    """A plug-in around a `make`: its hook is the one that the question asks for."""

    make: Callable[..., Any]

    @property
    def file(self) -> str:
        """Where `make` is written."""
        return str(Path(inspect.getfile(self.make)).resolve())

    @staticmethod
    def of(question: str, make: Callable[..., Any]) -> "_Hook":
        made: _Hook = {
            "flags": _FlagsHook, "data": _DataHook, "copy": _CopyHook, "mapping": _MappingHook,
            "pairing": _PairingHook,
        }[question]()  # fmt: skip
        made.make = make
        return made


class _FlagsHook(_Hook):
    @hookimpl
    def exchange_flags(self, arena: Any) -> Any:  # noqa: ANN401
        return call_make(self.make, arena)


class _DataHook(_Hook):
    @hookimpl
    def exchange_data(self, arena: Any) -> Any:  # noqa: ANN401
        return call_make(self.make, arena)


class _CopyHook(_Hook):
    @hookimpl
    def copy_data(self, arena: Any) -> Any:  # noqa: ANN401
        return call_make(self.make, arena)


class _MappingHook(_Hook):
    @hookimpl
    def update_mapping(self, arena: Any) -> Any:  # noqa: ANN401
        return call_make(self.make, arena)


class _PairingHook(_Hook):
    @hookimpl
    def pair_pages(self, arena: Any) -> Any:  # noqa: ANN401
        return call_make(self.make, arena)
