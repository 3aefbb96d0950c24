"""Every exception that pagexchange raises: one tree, each class also a built-in kind, facts kept as attributes.

`exit_code` of a class is what the command line ends with; a class that sets none has its base's. The codes and their
meanings are listed once, in `pagexchange.exits`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any

from pagexchange.exits import EXIT_INPUT, EXIT_PLUGIN, EXIT_USAGE
from pagexchange.strangers import is_in, kind, said

# The native layer raises these and imports nothing of ours; so they live there, and this is still one tree.
from pagexchange_native.errors import (
    ArenaAccessError,
    ArenaBusyError,
    ArenaError,
    ArenaFormatError,
    ArenaFullError,
    ForkedArenaError,
    PagexchangeError,
)

__all__ = [
    "ArenaAccessError",
    "ArenaBusyError",
    "ArenaError",
    "ArenaFormatError",
    "ArenaFullError",
    "ConfigError",
    "FolderError",
    "ForkedArenaError",
    "MissingExtraError",
    "PagexchangeError",
    "PluginContractError",
    "PluginError",
    "Problem",
    "SnapshotError",
    "SweepError",
    "TraceError",
    "UnknownFlagError",
    "UnknownPluginError",
    "UnknownStrategyError",
    "did_you_mean",
    "in_words",
    "raised_in",
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file or in an option, and where."""

    origin: str
    """The file as it was named, or `--set`, or another place that an option came from."""
    what: str
    """What is wrong and, when it can be said, what would be right."""
    line: int = 0
    """1-based; 0 when the problem has no place in a file."""
    column: int = 0
    """1-based, in characters."""
    where: str = ""
    """Dotted path of the key, empty for the file as a whole."""
    exit_code: int = 2
    """What a run ends with because of it: 2, the file is wrong; 4, a plug-in fails that it names."""

    def __str__(self) -> str:
        place = f"{self.origin}:{self.line}:{self.column}" if self.line else self.origin
        return ": ".join(part for part in (place, self.where, self.what) if part)


class ConfigError(PagexchangeError, ValueError):
    """A strategies file, a layout file or an option is wrong; `problems` holds all that was found."""

    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem] | Problem | str = ()) -> None:
        if isinstance(problems, str):
            problems = Problem("pagexchange", problems)
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class UnknownStrategyError(PagexchangeError, LookupError):
    """No strategy has this name."""

    def __init__(self, name: str, known: Iterable[str] = ()) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(name, self.known)

    def __str__(self) -> str:
        return f"unknown strategy {self.name!r}{did_you_mean(self.name, self.known)}"


class UnknownFlagError(PagexchangeError, KeyError):
    """A layout of the flags word has no flag, or no upper field, of this name; `known` lists those that it has."""

    def __init__(self, layout: str, kind: str, name: object, known: Iterable[str] = ()) -> None:
        self.layout = layout
        self.kind = kind
        self.name = name
        self.known = tuple(known)
        super().__init__(layout, kind, name, self.known)

    def __str__(self) -> str:  # KeyError's own would be the repr of it
        near = did_you_mean(self.name, self.known, limit=0) if isinstance(self.name, str) else ""
        names = ", ".join(self.known) or "none"
        return f"layout {self.layout} has no {self.kind} {self.name!r}{near}{' It' if near else '; it'} has: {names}"


class PluginError(PagexchangeError):
    """A plug-in cannot serve. Attributes: `plugin`, `distribution`, `version`, `reason`, as far as they are known."""

    exit_code = EXIT_PLUGIN

    def __init__(self, reason: str, *, plugin: str = "", distribution: str = "", version: str = "") -> None:
        self.reason = reason
        self.plugin = plugin
        self.distribution = distribution
        self.version = version
        super().__init__(reason)

    def __str__(self) -> str:
        origin = f" ({self.distribution} {self.version})" if self.distribution else ""
        return f"plug-in {self.plugin!r}{origin}: {self.reason}" if self.plugin else self.reason

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.reason,), self.__dict__)


class UnknownPluginError(PluginError, LookupError):
    """No installed plug-in has this name; `known` lists those that do exist, `wrong` metadata that cannot be read."""

    exit_code = EXIT_USAGE  # the name is the user's: no plug-in ran, none failed

    def __init__(self, name: str, known: Iterable[str] = (), wrong: Iterable[str] = ()) -> None:
        self.known = tuple(known)
        self.wrong = tuple(wrong)
        unread = f". It may be in what cannot be read: {'; '.join(self.wrong)}" if self.wrong else ""
        super().__init__(f"unknown plug-in {name!r}{did_you_mean(name, self.known)}{unread}")
        self.name = name

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.name, self.known, self.wrong))


class PluginContractError(PluginError, TypeError):
    """A plug-in returned, or did, what its hook does not allow. Attributes: `hook`, `expected`, `got`."""

    def __init__(
        self, hook: str, plugin: str, expected: str, got: object, *, distribution: str = "", version: str = ""
    ) -> None:
        self.hook = hook
        self.expected = expected
        self.got = got
        reason = f"{hook} must return {expected}, but it returned {_short(got)}"
        super().__init__(reason, plugin=plugin, distribution=distribution, version=version)

    def __reduce__(self) -> tuple[Any, ...]:
        got = _short(self.got)  # a stranger's value may not be picklable
        return (type(self), (self.hook, self.plugin, self.expected, got), self.__dict__ | {"got": got})


class SnapshotError(PagexchangeError, ValueError):
    """A snapshot cannot be taken or read: cut short, another version, or not a snapshot."""

    exit_code = EXIT_INPUT


class TraceError(PagexchangeError, ValueError):
    """A file of accesses, or of the state of memory, cannot be read: of no known form, cut short, or a wrong line."""

    exit_code = EXIT_INPUT


class FolderError(PagexchangeError, ValueError):
    """A run folder cannot be made, written or read; `problems` holds all that was found."""

    exit_code = EXIT_INPUT
    problems: tuple[Problem, ...]

    def __init__(self, problems: Iterable[Problem] | Problem) -> None:
        self.problems = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class MissingExtraError(PagexchangeError, ImportError):
    """A library is not installed that an extra of ours brings. Attributes: `extra`, `library`."""

    exit_code = EXIT_USAGE

    def __init__(self, extra: str, library: str, what: str) -> None:
        self.extra = extra
        self.library = library
        self.what = what
        super().__init__(extra, library, what)

    def __str__(self) -> str:
        cure = f"pip install 'pagexchange[{self.extra}]'"
        return f"{self.what} needs {self.library}, which is not installed. Cure: {cure}"


class SweepError(PagexchangeError):
    """A sweep cannot begin or go on: no scheduler, no worker, or one that does not fit."""

    exit_code = EXIT_INPUT


def raised_in(error: BaseException, file: str) -> str:
    """Return ` (file:line)`: where in a plug-in's file an exception came from last; empty if it did not."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if is_in(frame.f_code, file)]
    return f" ({file}:{lines[-1]})" if lines else ""


def in_words(error: BaseException, file: str) -> str:
    """Return an exception of a plug-in as its PluginError quotes it: kind, message, place in the plug-in's file."""
    return f"{kind(error)}: {said(error)}{raised_in(error, file)}"


def did_you_mean(word: str, known: Iterable[str], *, limit: int = 12) -> str:
    """Return `; did you mean 'x'?`, or the known words if none is near, or an empty string if there are none."""
    from difflib import get_close_matches

    names = sorted(set(known))
    near = get_close_matches(word, names, n=1, cutoff=0.6) or get_close_matches(
        word.replace("_", "-").lower(), names, n=1, cutoff=0.6
    )
    if near:
        return f"; did you mean {near[0]!r}?"
    if not names or len(names) > limit:
        return ""
    return f"; choose one of {', '.join(names)}"


def _short(value: object, limit: int = 120) -> str:
    """Describe a value for an error message: its type and as much of its repr as a line holds."""
    if isinstance(value, str):
        return said(value)[:limit]
    return f"{kind(value)}: {said(value, repr, limit)}"
