"""Which arena called the Python plug-in that runs in this thread: it may not ask for what that call holds."""

from threading import get_ident
from typing import Final

from pagexchange_native.errors import ArenaError

RUNNING: Final[dict[int, object]] = {}
"""The arena, by thread. Empty nearly always, so that a call from outside asks no more than that."""


class plugin_of:  # noqa: N801 - read as a function: `with plugin_of(arena):`
    """Run a plug-in's callable for an arena; it may use another arena, and plug-ins of that one may run inside."""

    # No generator: contextlib assigns to what is raised, and an exception whose class is frozen would become another.
    __slots__ = ("_arena", "_before")

    def __init__(self, arena: object) -> None:
        self._arena = arena

    def __enter__(self) -> None:
        thread = get_ident()
        self._before, RUNNING[thread] = RUNNING.get(thread), self._arena

    def __exit__(self, *_: object) -> None:
        if self._before is None:
            del RUNNING[get_ident()]
        else:
            RUNNING[get_ident()] = self._before


def in_plugin_of(arena: object) -> bool:
    """Whether this thread runs a plug-in that the arena has called."""
    return RUNNING.get(get_ident()) is arena


def refuse_plugin_of(arena: object, what: str) -> None:
    """Raise ArenaError when a plug-in asks the arena that it is called for to do `what`."""
    if in_plugin_of(arena):
        raise ArenaError(f"a plug-in may not {what} of the arena that it is called for")
