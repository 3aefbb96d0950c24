"""The errors that the arena raises; `pagexchange.errors` has the whole tree."""

from typing import ClassVar


class PagexchangeError(Exception):
    """Whatever pagexchange itself finds wrong. Catch this one to catch all."""

    exit_code: ClassVar[int] = 2
    """Of the command line. 2: the user's call or file is wrong, 3: an input cannot be used, 4: a plug-in failed."""

    def __init__(self, *args: object, **facts: object) -> None:
        super().__init__(*args)
        for name, value in facts.items():
            setattr(self, name, value)


class ArenaError(PagexchangeError):
    """An arena cannot be made, opened or used as asked."""

    exit_code = 3


class ArenaFormatError(ArenaError, ValueError):
    """The bytes are not an arena of this version, or were damaged. `expected` and `got` say both values."""

    expected: object = None
    got: object = None


class ArenaAccessError(ArenaError, PermissionError):
    """The system does not let this process have the arena."""


class ArenaFullError(ArenaError, OSError):
    """No free frame, XArray node, page table, mapping, space or worker slot is left. `errno` says which kind."""


class ArenaBusyError(ArenaError, BlockingIOError):
    """An exchange, or a call of another thread, has what this call needs, and did not let it go in time. Try again."""


class ForkedArenaError(ArenaError, RuntimeError):
    """The arena was opened before a fork: the child has to open it itself."""


def stays_here(what: str, instead: str) -> TypeError:
    """Return the error for copying or pickling what works on an arena's memory; `instead` says what to do elsewhere."""
    return TypeError(
        f"{what} cannot be copied or pickled: it works on memory that this process has mapped. In another process "
        f"{instead}; the results of calls can be sent, and their `status`"
    )
