"""What there is to judge in this environment: strategies of a file, and every plug-in that is installed."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import get_args

from pagexchange.errors import ConfigError, PluginError
from pagexchange.hookspecs import ANSWERS, QUESTIONS
from pagexchange.host import read
from pagexchange.host.build import Facts
from pagexchange.host.discovery import Plugin, PluginInfo
from pagexchange.model.config import Config, Expect, PluginUse
from pagexchange.testing.candidates.candidate import Candidate, Origin, WithPartners, of_file, of_plugin, of_wrapper
from pagexchange.testing.scene.cells import NEWEST
from pagexchange.testing.scene.layouts import SHIPPED, layout_named
from pagexchange.testing.session.watch import Watching, unwatched
from pagexchange.testing.verdict.judge import declines


@dataclasses.dataclass(frozen=True)
class Subjects:
    """One run's subjects.

    Everything is worked out when it is first asked for, and once: pytest asks class by class, and a plug-in that is
    asked twice may answer twice.
    """

    config: Config
    """What it says."""
    source: read.Source
    """The file that was asked for."""
    registry: WithPartners
    """What is installed, read once, and the neutral partners."""
    watching: Watching

    @classmethod
    def load(cls, file: Path | read.Source | None, watching: Watching = unwatched) -> "Subjects":
        """Import every plug-in, one by one, and read the file; ConfigError has everything that is wrong with it."""
        # Read twice: what the file blocks must be known before the first import, its plug-ins' options after the last.
        source = read.Source.read(file)
        try:
            registry = WithPartners(read.load(source, plugins=False).block)
        except ConfigError:
            return cls(read.load(source), source, WithPartners(), watching)
        for name in registry.names():
            with watching("a-plug-in-can-be-loaded", [Origin("", name, *registry.origin(name))]), suppress(PluginError):
                registry.load(name)
        return cls(read.load(source), source, registry, watching)

    @cached_property
    def plugins(self) -> list[PluginInfo]:
        """Every plug-in there is, imported."""
        return [info for info in self.registry.list() if info.state not in ("blocked", "shadowed")]

    @cached_property
    def strategies(self) -> list[Candidate]:
        """Those of the file."""
        # A layout that ships is judged anyway, by its own name.
        own = None if self.config.layout.name in SHIPPED else self.config.layout
        return [of_file(spec, self.registry, own) for spec in self.config.strategies.values()]

    @cached_property
    def unused(self) -> list[Candidate]:
        """Plug-ins that no strategy of the file uses with their defaults, with these and among neutral partners."""
        unused = [
            (question, candidate)
            for question, candidates in self._installed.items()
            if question in QUESTIONS  # exchanges do not ask the others
            for name, candidate in candidates.items()
            if not self._among(PluginUse(name), self._uses(question)) and (question, name) not in self.declined
        ]
        # Names are test ids: a plug-in with two answers, or named as a strategy is, has its question behind its name.
        times = Counter([*self.config.strategies, *(candidate.name for _, candidate in unused)])
        return [
            candidate
            if times[candidate.name] == 1
            else dataclasses.replace(candidate, name=f"{candidate.name}-{question}")
            for question, candidate in unused
        ]

    @cached_property
    def not_made(self) -> dict[str, str]:
        """Plug-ins that cannot be made with their defaults, and why: judged only as strategies of the file use them."""
        reasons = {}
        for info in self.plugins:
            if info.options:
                origin = Origin("", info.name, info.distribution, info.version)
                with self.watching("a-plug-in-serves-or-declines", [origin]):
                    wrong = _wrong_defaults(self.registry.load(info.name))
                if wrong:
                    reasons[info.name] = f"{origin}: {wrong}"
        return reasons

    @cached_property
    def declined(self) -> dict[tuple[str, str], str]:
        """Plug-ins that do not serve an arena of the usual kind, by question and name, and what they say."""
        reasons = {}
        for question, candidates in self._installed.items():
            for name, candidate in candidates.items():
                try:
                    with self.watching("a-plug-in-serves-or-declines", candidate.origins()):
                        candidate.answers(question, Facts(layout_named(NEWEST)))
                except PluginError as error:  # any other failure is its own clause's matter
                    if declines(error):
                        reasons[question, name] = str(error)
        return reasons

    @cached_property
    def objects(self) -> dict[str, list[Candidate]]:
        """For each question every plug-in that answers it: as the strategies use it, and with its defaults."""
        # The installed one where it is the same: what was found out about it, in whichever class, is known to both.
        return {
            question: [
                installed.get(name) or self._plugin(name, question, use)
                for name, use in self._distinct([*self._uses(question), *map(PluginUse, installed)])
            ]
            for question, installed in self._installed.items()
        }

    @cached_property
    def wrappers(self) -> list[Candidate]:
        """Every plug-in that wraps an answer: as the strategies use it, and with its defaults."""
        wrapping = {f"{hook} (wrapper)" for hook in QUESTIONS.values()}
        names = [info.name for info in self.plugins if info.state == "ok" and wrapping & set(info.hooks)]
        uses = [use for use in self._uses("wrap") if use.plugin in names]
        uses += [PluginUse(name) for name in names if name not in self.not_made]
        return [of_wrapper(name, use, self.registry) for name, use in self._distinct(uses)]

    def _distinct(self, uses: Sequence[PluginUse]) -> list[tuple[str, PluginUse]]:
        """Each use once, in order, with a name of its own for test ids."""
        distinct: list[PluginUse] = []
        for use in uses:
            if not self._among(use, distinct):
                distinct.append(use)
        # Options that differ may look alike as text: a number and its digits.
        named: dict[str, PluginUse] = {}
        for use in distinct:
            same = sum(known.label == use.label for known in named.values())
            named[f"{use.label}#{same + 1}" if same else use.label] = use
        return list(named.items())

    def _among(self, use: PluginUse, uses: Iterable[PluginUse]) -> bool:
        """Whether one of the uses is this one: of the same plug-in, with the same options, given or by default."""
        return self._in_full(use) in [self._in_full(other) for other in uses if other.plugin == use.plugin]

    def _in_full(self, use: PluginUse) -> PluginUse:
        plugin = self.registry.loaded(use.plugin)
        options = plugin.options if plugin else ()
        defaults = {option.name: option.default for option in options if not option.required}
        return PluginUse(use.plugin, defaults | use.options)

    def _uses(self, question: str) -> list[PluginUse]:
        return [use for spec in self.config.strategies.values() for use in getattr(spec, question)]

    @cached_property
    def _installed(self) -> dict[str, dict[str, Candidate]]:
        return {
            question: {
                info.name: self._plugin(info.name, question, PluginUse(info.name))
                for info in self.plugins
                if info.state == "ok" and hook in info.hooks and info.name not in self.not_made
            }
            for question, hook in ANSWERS.items()
        }

    def _plugin(self, name: str, question: str, use: PluginUse) -> Candidate:
        return of_plugin(name, question, use, self.declared(question, use), self.registry)

    def declared(self, question: str, use: PluginUse) -> Expect:
        """What strategies declare that use the plug-in with the same options: the file's, else those that ship.

        A strategy declares of itself as a whole. What it says goes for its plug-in where nothing else can be meant:
        first those count that have no wrapper and no fall-back before it.
        """
        if question != "flags":
            return "exact"  # what is lost or refused by declaration are flags
        for config in (self.config, _shipped()):
            declared: dict[tuple[bool, int], set[Expect]] = {}
            for spec in config.strategies.values():
                places = [n for n, other in enumerate(spec.flags) if self._among(use, [other])]
                for place in places[:1]:
                    declared.setdefault((bool(spec.wrap), place), set()).add(spec.expect)
            if declared:  # the strictest: Expect's order is exact, loses, refused
                said = declared[min(declared)]
                return next(expect for expect in get_args(Expect) if expect in said)
        return "exact"


@cache
def _shipped() -> Config:
    return read.load(plugins=False)


def _wrong_defaults(plugin: Plugin) -> str:
    """Say why a plug-in with options cannot be made without any."""
    problems: list[str] = []
    # An exception of its class is no wrong default: such a plug-in is judged, and its clauses report it.
    with suppress(PluginError):
        plugin.make({}, lambda _path, problem, _value: problems.append(problem), ())
    return "; ".join(problems)
