"""What ended the process before this one: it is not entered again, and fails what it was called for.

A plug-in that crashes, or exits past every `except`, takes the process with it. Whoever supervises starts another one
and tells it here; that one does everything else.
"""

from typing import Final, NamedTuple

from pagexchange.errors import PluginError
from pagexchange.trail import Place


class Crash(NamedTuple):
    """How a process ended, and where."""

    place: Place
    how: str
    """`killed by signal 11 (SIGSEGV)`."""
    status: int = 0
    """Exit status; negative: the signal."""

    def error(self) -> PluginError:
        """Return it as the error of the plug-in, or of those that it may have been."""
        reason = f"in {self.place.what}: the process was {self.how}"
        if len(self.place.who) == 1:
            (who,) = self.place.who
            return PluginError(reason, plugin=who.plugin, distribution=who.distribution, version=who.version)
        names = ", ".join(f"{who.plugin!r} ({who.distribution} {who.version})" for who in self.place.who)
        return PluginError(f"one of the plug-ins {names}: {reason}")


KNOWN: Final[list[Crash]] = []
"""Those of the processes before this one."""


def refuse(*, strategy: str = "", plugin: str = "") -> None:
    """Raise the PluginError of the crash that a strategy, or a plug-in outside of strategies, has caused; if it has."""
    for crash in KNOWN:
        if crash.place.strategy:
            if crash.place.strategy == strategy:
                raise crash.error()
        elif plugin in [who.plugin for who in crash.place.who]:
            raise crash.error()


def crashed(strategy: str) -> bool:
    """Whether a strategy has ended a process."""
    return status(strategy) is not None


def status(strategy: str) -> int | None:
    """Return the exit status of the process that a strategy has ended, negative for a signal; None: none."""
    return next((crash.status for crash in KNOWN if crash.place.strategy == strategy), None)
