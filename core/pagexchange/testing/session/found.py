"""What there is to judge in this environment: strategies of a file, and every plug-in that is installed."""

import dataclasses
from collections import Counter
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

from pagexchange.errors import ConfigError, PluginError
from pagexchange.hookspecs import QUESTIONS
from pagexchange.host import read
from pagexchange.host.build import Facts
from pagexchange.host.discovery import PluginInfo
from pagexchange.model.config import Config, Expect, PluginUse
from pagexchange.model.table import make
from pagexchange.testing.candidates.candidate import Candidate, Origin, WithPartners, of_file, of_plugin, of_wrapper
from pagexchange.testing.judge import declines
from pagexchange.testing.scene.cells import NEWEST
from pagexchange.testing.scene.layouts import SHIPPED, layout_named
from pagexchange.testing.session.watch import Watching, nobody_watches


@dataclasses.dataclass(frozen=True)
class Found:
    """One run's subjects."""

    config: Config
    """The file that was asked for."""
    registry: WithPartners
    """What is installed, read once, and the neutral partners."""
    watching: Watching

    @classmethod
    def load(cls, file: Path | None, watching: Watching = nobody_watches) -> "Found":
        """Import every plug-in, one by one, and read the file; ConfigError has everything that is wrong with it."""
        try:
            registry = WithPartners(read.load(file, plugins=False).block)
        except ConfigError:
            return cls(read.load(file), WithPartners(), watching)
        for name in registry.names():
            with watching("a-plug-in-can-be-loaded", [Origin("", name, *registry.origin(name))]), suppress(PluginError):
                registry.load(name)
        return cls(read.load(file), registry, watching)

    @cached_property
    def plugins(self) -> list[PluginInfo]:
        """Every plug-in there is, imported."""
        return [info for info in self.registry.list() if info.state not in ("blocked", "shadowed")]

    @cached_property
    def strategies(self) -> list[Candidate]:
        """Those of the file."""
        own = None if self.config.layout.name in SHIPPED else self.config.layout
        return [of_file(spec, self.registry, own) for spec in self.config.strategies.values()]

    @cached_property
    def unused(self) -> list[Candidate]:
        """Plug-ins that no strategy of the file uses, with their defaults and among neutral partners."""
        found = [
            (question, one)
            for question, ones in self._installed.items()
            for name, one in ones.items()
            if name not in {use.plugin for use in self._uses(question)} and (question, name) not in self.declined
        ]
        times = Counter([*self.config.strategies, *(one.name for _, one in found)])
        return [
            one if times[one.name] == 1 else dataclasses.replace(one, name=f"{one.name}-{question}")
            for question, one in found
        ]

    @cached_property
    def not_made(self) -> dict[str, str]:
        """Plug-ins that cannot be made with their defaults, and why: judged only as strategies of the file use them."""
        said = {}
        for info in self.plugins:
            if info.options:
                origin = Origin("", info.name, info.distribution, info.version)
                with self.watching("a-plug-in-serves-or-declines", [origin]):
                    wrong = _wrong_defaults(self.registry.load(info.name).target)
                if wrong:
                    said[info.name] = f"{origin}: {wrong}"
        return said

    @cached_property
    def declined(self) -> dict[tuple[str, str], str]:
        """Plug-ins that do not serve an arena of the usual kind, by question and name, and what they say."""
        said = {}
        for question, ones in self._installed.items():
            for name, one in ones.items():
                try:
                    with self.watching("a-plug-in-serves-or-declines", one.origins()):
                        one.answers(question, Facts(layout_named(NEWEST)))
                except PluginError as error:
                    if declines(error):
                        said[question, name] = str(error)
        return said

    @cached_property
    def objects(self) -> dict[str, list[Candidate]]:
        """For each question every plug-in that answers it: as the strategies use it, and with its defaults."""
        return {question: list(self._objects(question).values()) for question in QUESTIONS}

    @cached_property
    def wrappers(self) -> list[Candidate]:
        """Every plug-in that wraps an answer: as the strategies use it, and with its defaults."""
        wrapping = {f"{hook} (wrapper)" for hook in QUESTIONS.values()}
        names = [info.name for info in self.plugins if info.state == "ok" and wrapping & set(info.hooks)]
        uses = [use for use in self._uses("wrap") if use.plugin in names]
        uses += [PluginUse(name) for name in names if name not in self.not_made]
        return list({_name(use): of_wrapper(_name(use), use, self.registry) for use in uses}.values())

    def _objects(self, question: str) -> dict[str, Candidate]:
        used = {_name(use): self._plugin(question, use) for use in self._uses(question)}
        return used | {name: one for name, one in self._installed[question].items() if name not in used}

    def _uses(self, question: str) -> list[PluginUse]:
        return [use for spec in self.config.strategies.values() for use in getattr(spec, question)]

    @cached_property
    def _installed(self) -> dict[str, dict[str, Candidate]]:
        return {
            question: {
                info.name: self._plugin(question, PluginUse(info.name))
                for info in self.plugins
                if info.state == "ok" and hook in info.hooks and info.name not in self.not_made
            }
            for question, hook in QUESTIONS.items()
        }

    def _plugin(self, question: str, use: PluginUse) -> Candidate:
        return of_plugin(_name(use), question, use, self.declared(question, use.plugin), self.registry)

    def declared(self, question: str, plugin: str) -> Expect:
        """What strategies declare that use the plug-in for a question: the file's, else those that ship."""
        for config in (self.config, _shipped()):
            said: set[Expect] = {
                spec.expect
                for spec in config.strategies.values()
                if any(use.plugin == plugin for use in getattr(spec, question))
            }
            if said and question != "flags":
                return "exact"  # what is lost or refused by declaration are flags
            if said:
                return next(one for one in get_args(Expect) if one in said)
        return "exact"


@cache
def _shipped() -> Config:
    return read.load(plugins=False)


def _wrong_defaults(target: Any) -> str:  # noqa: ANN401 - a stranger's class
    """Say why a plug-in with options cannot be made without any; one whose class fails is judged, and so is found."""
    said: list[str] = []
    with suppress(Exception):
        make({}, target, lambda _path, what, _value: said.append(what))
    return "; ".join(said)


def _name(use: PluginUse) -> str:
    options = ",".join(f"{key}={_value(value)}" for key, value in sorted(use.options.items()))
    return f"{use.plugin}[{options}]" if options else use.plugin


def _value(value: Any) -> str:  # noqa: ANN401 - an option
    return str(value).lower() if isinstance(value, bool) else str(value)
