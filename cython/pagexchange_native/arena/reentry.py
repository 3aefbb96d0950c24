"""Which arena called the Python plug-in that runs in this thread: it may not ask for what that call holds."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pagexchange_native.errors import ArenaError


class _Running(threading.local):
    arena: object = None


_running = _Running()


@contextmanager
def plugin_of(arena: object) -> Iterator[None]:
    """Run a plug-in's callable for an arena; it may use another arena, and plug-ins of that one may run inside."""
    before, _running.arena = _running.arena, arena
    try:
        yield
    finally:
        _running.arena = before


def refuse_plugin_of(arena: object, what: str) -> None:
    """Raise ArenaError when a plug-in asks the arena that it is called for to do `what`."""
    if _running.arena is arena:
        raise ArenaError(f"a plug-in may not {what} of the arena that it is called for")
