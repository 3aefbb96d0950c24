"""A process that makes one call on an arena in a file, and is stepped through it."""

import os
import signal
import sys
from collections.abc import Callable

from pagexchange.testing.scene.stepping import stop_for_parent
from tests.core.pages import Pages

HIGH, AT = 500, 64  # above all that the files have; a virtual page


def calls(pages: Pages) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """Each call, and what undoes it."""
    arena, space = pages.arena, pages.spaces[0]
    one, two = pages.mappings
    first, folio, there, beside = (int(arena.alloc(0, 1, order)[0]) for order in (0, 2, 0, 0))
    for pfn in (first, folio, there, beside):
        arena.get(pfn)  # stays when its last place goes
    arena.cache_add(two, 8, there)
    freed: list[int] = []

    def alloc() -> None:
        freed[:] = arena.alloc(0, 1, 1).tolist()

    def lost() -> None:
        pfn = int(arena.alloc(0, 1)[0])
        arena.cache_add(one, HIGH, pfn)

    def again() -> None:
        arena.cache_remove(two, 8)
        arena.cache_add(two, 8, there)

    return {
        "alloc": (alloc, lambda: arena.free(freed)),
        "put": (lambda: arena.free(freed), alloc),
        "add": (lambda: arena.cache_add(one, HIGH, folio), lambda: arena.cache_remove(one, HIGH)),
        "add beside": (lambda: arena.cache_add(two, 9, beside), lambda: arena.cache_remove(two, 9)),
        "remove": (lambda: arena.cache_remove(one, HIGH), lost),
        "map": (lambda: arena.map(space, AT, first), lambda: arena.unmap(space, AT)),
        "unmap": (lambda: arena.unmap(space, AT), lambda: arena.map(space, AT, int(arena.alloc(0, 1)[0]))),
        "flags": (lambda: pages.flag(there, "dirty"), lambda: arena.clear_flags(there, arena.layout.word("dirty"))),
        "private": (lambda: arena.set_private(there, 7), again),
    }


def main(path: str, name: str) -> None:
    pages = Pages(frames=32, path=path, workers=1, mappings=4, spaces=2, xa_nodes=32, page_tables=8)
    do, back = calls(pages)[name]
    if name in ("put", "remove", "unmap"):
        back()
    do()
    back()  # bound, warm, and as it was
    stop_for_parent()
    do()
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
