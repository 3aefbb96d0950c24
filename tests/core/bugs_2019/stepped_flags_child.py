"""A process that exchanges two pages while its parent, between two instructions, changes the flags of one."""

import ctypes
import os
import signal

import numpy as np

from pagexchange.oracle import format as oracle_format
from tests.core.pages import Pages, strategy

NOT_ALLOWED = 77  # exit status: this process may not be traced


def main() -> None:
    pages = Pages()
    arena = pages.arena
    pair = pages.pair(("file", "file"))
    native = strategy(arena)._native
    pairs, status = np.array([pair]), np.zeros(1, np.int32)
    native.exchange(pairs, status)
    native.exchange(pairs, status)  # everything is bound and warm
    slots = oracle_format.read(arena).slots
    addresses = arena.flags[pair[0] :].ctypes.data, slots[1:].ctypes.data  # the first worker's slot is number 1
    print(*addresses, *(arena.layout.word(name) for name in ("waiters", "arch_1", "arch_2")), flush=True)
    if ctypes.CDLL(None).ptrace(0, 0, None, None) != 0:  # PTRACE_TRACEME
        os._exit(NOT_ALLOWED)
    os.kill(os.getpid(), signal.SIGSTOP)
    native.exchange(pairs, status)
    os._exit(0)


if __name__ == "__main__":
    main()
