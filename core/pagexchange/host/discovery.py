"""Find plug-ins by their entry points, import only those asked for, and tell what is wrong with the others."""

import copy
import dataclasses
import inspect
import warnings
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Literal

import pluggy

from pagexchange import hookspecs
from pagexchange.errors import PluginError, UnknownPluginError, did_you_mean, in_words
from pagexchange.host import crashes
from pagexchange.host.blocking import NOTHING, Blocking
from pagexchange.host.installed import OWN, installed, origin
from pagexchange.host.tracing import Manager
from pagexchange.model.table import Option, Report, convert, make, options_of
from pagexchange.model.tomlfile import KeyPath
from pagexchange.strangers import Guard, said
from pagexchange.trail import Who, at

__all__ = ["OWN"]  # of `installed`, as whoever asks whose a plug-in is finds it here

State = Literal["ok", "blocked", "failed", "shadowed", "no hooks"]

_MARKER: Final = f"{hookspecs.PROJECT}_impl"

_SKIPPED: Final = (
    "pluggy >= 1.7 silently skips hook implementations that are Cython functions. "
    "Cure: put the methods marked @pagexchange.hookimpl into a plain .py file that calls the compiled module"
)

_RENAME: Final = "Cure: rename one of them in its entry points, or uninstall one"
_REBUILD: Final = "It was compiled for another pagexchange. Cure: build it again, for this one"
_INSTALL: Final = "Cure: install what it needs, or uninstall it"


@dataclasses.dataclass(frozen=True)
class Plugin:
    """A plug-in that was imported: its class (or module, or object) and where it came from."""

    name: str
    target: Any
    """A class: one instance per use, made from its options. Anything else is registered as it is."""
    distribution: str
    version: str
    file: str
    hooks: dict[str, bool]
    """Hook -> whether it is implemented as a wrapper."""

    @property
    def summary(self) -> str:
        """First line of its docstring."""
        return said(self.target, _doc).partition("\n")[0]

    @property
    def options(self) -> tuple[Option, ...]:
        """The options that it takes."""
        return options_of(self.target)

    def error(self, reason: str) -> PluginError:
        """Return a PluginError about this plug-in."""
        return PluginError(reason, plugin=self.name, distribution=self.distribution, version=self.version)

    def guard(self, what: str, doing: str) -> Guard:
        """Return the block in which code of this plug-in runs: if it raises, a PluginError says `what: Kind: words`.

        `doing`: what it is called for, as the trail has it.
        """
        here = at(doing, [self.who])
        return Guard(lambda error: _named(error) or self.error(f"{what}: {in_words(error, self.file)}"), here)

    @property
    def who(self) -> Who:
        """The plug-in as the trail names it."""
        return Who(self.name, self.distribution, self.version, self.file)

    def make(self, options: Mapping[str, object], report: Report, path: KeyPath) -> Any:  # noqa: ANN401
        """Return what pluggy registers: an instance made from the options, or the module or object itself.

        What is wrong with the options is reported, each below the path. PluginError: its class raised.
        """
        if not isinstance(self.target, type):
            convert(options, self.target, report, path)  # it takes none
            return self.target
        with self.guard("cannot be made", "its __init__"):
            return make(options, self.target, report, path)


@dataclasses.dataclass(frozen=True)
class PluginInfo:
    """A line of `pagexchange list`."""

    name: str
    state: State
    reason: str
    """Why it is not ok; empty if it is."""
    hooks: tuple[str, ...]
    """Hooks that it implements; a wrapper's are written `exchange_data (wrapper)`."""
    distribution: str
    version: str
    value: str
    """`module:attribute` of the entry point."""
    file: str
    summary: str
    options: tuple[Option, ...]


class Registry:
    """The installed plug-ins, in an order that does not depend on the machine: by distribution, then by name."""

    def __init__(
        self,
        block: Iterable[str] = (),
        entry_points: Iterable[metadata.EntryPoint] | None = None,
        *,
        blocking: Blocking = NOTHING,
    ) -> None:
        """Read the entry points; import nothing.

        Parameters
        ----------
        block
            Names of plug-ins that a strategies file blocks, besides those in the variable PAGEXCHANGE_BLOCK (`a,b`).
        entry_points
            Instead of those of the installed distributions.
        blocking
            What the command line blocks besides.

        Raises
        ------
        UnknownPluginError
            The command line blocks one that is not installed.
        """
        entries, wrong = installed() if entry_points is None else (list(entry_points), [])
        self.wrong = wrong
        """A sentence for each distribution whose metadata are broken, or are not those of the code that runs."""
        self.entries = sorted(entries, key=_rank)
        self._first: dict[str, metadata.EntryPoint] = {}
        for entry in self.entries:
            self._first.setdefault(entry.name, entry)
        self.blocked = blocking.reasons({name: self.origin(name)[0] for name in self._first}, block)
        """Name -> what says that it must not be used, as `by -p no:NAME`."""
        self._loaded: dict[str, Plugin | PluginError] = {}

    def names(self) -> list[str]:
        """Return the names of all plug-ins, blocked ones included, without importing any."""
        return sorted(self._first)

    def origin(self, name: str) -> tuple[str, str]:
        """Return name and version of the distribution that serves under a plug-in's name; imports nothing."""
        return _origin(self._first[name]) if name in self._first else ("", "")

    def load(self, name: str) -> Plugin:
        """Import a plug-in, once.

        Raises
        ------
        UnknownPluginError
            There is none of this name.
        PluginError
            It is blocked, cannot be imported, or has no hook that pluggy sees.
        """
        if name not in self._first:
            raise UnknownPluginError(name, self._first, self.wrong)
        entry = self._first[name]
        if name in self.blocked:
            distribution, version = _origin(entry)
            raise PluginError(
                f"is blocked {self.blocked[name]}", plugin=name, distribution=distribution, version=version
            )
        crashes.refuse(plugin=name)
        if name not in self._loaded:
            # A failure is kept too: importing again what raised half-way may do anything, even seem to work.
            try:
                self._loaded[name] = _load(entry)
            except PluginError as error:
                self._loaded[name] = error
        plugin = self._loaded[name]
        if isinstance(plugin, PluginError):
            # Another one each time: it would gather the traceback of everybody who asked.
            again = copy.copy(plugin)
            raise again from plugin.__cause__
        return plugin

    def loaded(self, name: str) -> Plugin | None:
        """Return a plug-in that was imported already, and is sound."""
        plugin = self._loaded.get(name)
        return plugin if isinstance(plugin, Plugin) else None

    def clashes(self, names: Iterable[str]) -> list[str]:
        """Return one sentence for each of these names that more than one distribution has a plug-in of."""
        # Nothing is refused: two packages that never heard of each other may be installed together. But whoever uses
        # the name must learn whose it is, for the other one's user would measure the wrong plug-in.
        sentences = []
        for name in sorted(set(names)):
            first, *others = (" ".join(_origin(entry)) for entry in self.entries if entry.name == name)
            if others:
                sentences.append(f"plug-in {name!r} is that of {first}, not that of {' or '.join(others)}. {_RENAME}.")
        return sentences

    def list(self) -> list[PluginInfo]:
        """Import all plug-ins that are not blocked and return one line each, shadowed ones included."""
        return [self._info(entry) for entry in self.entries]

    def _info(self, entry: metadata.EntryPoint) -> PluginInfo:
        distribution, version = _origin(entry)

        def info(state: State, reason: str, plugin: Plugin | None = None) -> PluginInfo:
            hooks = sorted(plugin.hooks.items()) if plugin else []
            return PluginInfo(
                name=entry.name,
                state=state,
                reason=reason,
                hooks=tuple(f"{hook} (wrapper)" if wrapper else hook for hook, wrapper in hooks),
                distribution=distribution,
                version=version,
                value=entry.value,
                file=plugin.file if plugin else "",
                summary=plugin.summary if plugin else "",
                options=plugin.options if plugin else (),
            )

        # Shadowed before blocked: blocking is by name, and would hide that there are two.
        first = self._first[entry.name]
        if first is not entry:
            return info("shadowed", f"by {' '.join(_origin(first))}, which has a plug-in of this name too. {_RENAME}")
        if entry.name in self.blocked:
            return info("blocked", self.blocked[entry.name])
        try:
            plugin = self.load(entry.name)
            with plugin.guard("cannot be described", "its description"):
                return info("ok", "", plugin)
        except NoHooksError as error:
            return info("no hooks", error.reason)
        except PluginError as error:
            return info("failed", error.reason)


class NoHooksError(PluginError):
    """A plug-in in which pluggy found no hook, or not all that are marked."""


def _origin(entry: metadata.EntryPoint) -> tuple[str, str]:
    """Return name and version of the distribution that declares an entry point."""
    return origin(entry.dist)


def _rank(entry: metadata.EntryPoint) -> tuple[bool, tuple[str, str], str]:
    """Ours first, then by distribution and name.

    The first entry of a name serves, so that this order decides who is shadowed: installing a package must not replace
    a built-in plug-in, and among strangers the order of the import path must not matter.
    """
    declared = _origin(entry)
    return declared[0] != OWN, declared, entry.name


def _load(entry: metadata.EntryPoint) -> Plugin:
    """Import one plug-in and look at its hooks; whatever goes wrong is a PluginError with the reason."""
    distribution, version = _origin(entry)
    facts = {"plugin": entry.name, "distribution": distribution, "version": version}
    here = at("its import", [Who(entry.name, distribution, version)], strategy="")
    with Guard(lambda error: PluginError(_not_imported(error), **facts), here), warnings.catch_warnings():
        # a compiled plug-in made for another layout of our classes would only warn, then compute nonsense
        warnings.filterwarnings("error", message=".*size changed.*", category=RuntimeWarning)
        if not metadata.EntryPoint.pattern.match(entry.value):
            raise ValueError(f"its entry point is {entry.value!r}, want MODULE:ATTRIBUTE")
        target = entry.load()
    with Guard(lambda error: PluginError(f"cannot be looked at: {in_words(error, '')}", **facts)):
        plugin = Plugin(entry.name, target, distribution, version, _file_of(target), hooks_of(target))
    with plugin.guard("cannot be looked at", "its hooks"):
        check_hooks(plugin)
    with plugin.guard("its options cannot be read", "its options"):
        plugin.options  # noqa: B018 - type hints are evaluated here, and may name what does not exist
    return plugin


def _not_imported(error: BaseException) -> str:
    words, cure = in_words(error, ""), ""
    if "size changed" in words or "wrong signature" in words:
        cure = f". {_REBUILD}"
    if isinstance(error, ModuleNotFoundError):
        cure = f". {_INSTALL}"
    return f"cannot be imported: {words}{cure}"


def _named(error: BaseException) -> PluginError | None:
    """Return an error that names its plug-in already."""
    return error if isinstance(error, PluginError) and error.plugin else None


def _doc(target: object) -> str:
    return inspect.getdoc(target) or ""


def _file_of(target: object) -> str:
    module = target if isinstance(target, ModuleType) else inspect.getmodule(target)
    file = getattr(module, "__file__", None)
    return str(Path(file).resolve()) if file else ""


def marked(target: object) -> dict[str, dict[str, Any]]:
    """Return the attributes that carry our marker -> the marker's options; runs no property of the target."""
    out = {}
    for name in dir(target):
        try:
            attribute = inspect.getattr_static(target, name)
        except AttributeError:
            continue
        attribute = getattr(attribute, "__func__", attribute)  # staticmethod, classmethod
        options = getattr(attribute, _MARKER, None)
        if isinstance(options, dict):
            out[name] = options
    return out


def hooks_of(target: object) -> dict[str, bool]:
    """Return hook -> whether it is a wrapper, for every marked attribute."""
    return {
        str(options.get("specname") or name): bool(options.get("wrapper") or options.get("hookwrapper"))
        for name, options in marked(target).items()
    }


def specifications() -> dict[str, Any]:
    """Return the hooks that exist, by name."""
    return {
        name: function
        for name, function in vars(hookspecs).items()
        if inspect.isfunction(function) and hasattr(function, f"{hookspecs.PROJECT}_spec")
    }


def manager() -> pluggy.PluginManager:
    """Return a new PluginManager that knows the hooks and no plug-in."""
    made = Manager(hookspecs.PROJECT)
    made.add_hookspecs(hookspecs)
    return made


def check_hooks(plugin: Plugin) -> None:
    """Refuse a plug-in with a misspelt hook, with no hook, or with one that pluggy would skip.

    Raises
    ------
    PluginError
        A marked method has no specification of its name.
    NoHooksError
        Nothing is marked, or something marked was not taken by pluggy: both look like a plug-in that does nothing.
    """
    known = specifications()
    facts = {"plugin": plugin.name, "distribution": plugin.distribution, "version": plugin.version}
    for attribute, options in marked(plugin.target).items():
        hook = options.get("specname") or attribute
        if hook not in known and not options.get("optionalhook"):
            raise PluginError(f"unknown hook {hook!r}{did_you_mean(hook, known)}", **facts)
    scratch = manager()
    # pluggy looks at attributes only, so a class can be looked at without making an instance
    try:
        scratch.register(plugin.target, name=plugin.name)
        scratch.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"does not fit the hook specification: {error}", **facts) from error
    taken = {caller.name for caller in scratch.get_hookcallers(plugin.target) or []}
    missed = sorted(set(plugin.hooks) - taken)
    if missed:
        raise NoHooksError(f"pluggy did not take its hooks {', '.join(missed)}. {_SKIPPED}", **facts)
    if not taken:
        raise NoHooksError(f"has no hook: no method marked @pagexchange.hookimpl was found. {_SKIPPED}", **facts)
