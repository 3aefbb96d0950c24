"""Each call of a plug-in's hook in the log, by pluggy's own tracing; in a timed call it is off."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final
from weakref import WeakSet

import pluggy

from pagexchange.strangers import said

_LOG: Final = logging.getLogger(__name__)
_LONGEST: Final = 120


class Manager(pluggy.PluginManager):
    """One whose calls are logged, if anybody wants to know (level DEBUG) when it is made."""

    def __init__(self, project: str) -> None:
        super().__init__(project)
        self._end: Callable[[], None] | None = None
        self.trace_calls()

    def trace_calls(self) -> None:
        """Log each call from now on."""
        if _LOG.isEnabledFor(logging.DEBUG):
            self._end = self.add_hookcall_monitoring(_before, _after)
            _traced.add(self)

    def end_trace(self) -> None:
        """Log none from now on, and do not even look."""
        if self._end is not None:
            self._end()
            self._end = None
        _traced.discard(self)


_traced: "WeakSet[Manager]" = WeakSet()


@contextmanager
def untraced() -> Iterator[None]:
    """Within it no call is logged, and none is looked at: what is timed is what is timed without a log."""
    managers = list(_traced)
    for manager in managers:
        manager.end_trace()
    try:
        yield
    finally:
        for manager in managers:
            manager.trace_calls()


def _before(hook: str, called: Sequence[Any], _arguments: Mapping[str, object]) -> None:
    if called:  # the last of them is the first to be called
        names = ", ".join(implementation.plugin_name.partition("#")[0] for implementation in reversed(called))
        _LOG.debug("%s: asks %s", hook, names)


def _after(outcome: pluggy.Result[Any], hook: str, called: Sequence[Any], _arguments: Mapping[str, object]) -> None:
    if not called:
        return
    if outcome.exception is not None:
        _LOG.debug("%s: raises %s", hook, said(outcome.exception, repr, _LONGEST))
    else:
        _LOG.debug("%s: -> %s", hook, said(outcome.get_result(), repr, _LONGEST))
