"""A process that moves two arrays in a shared file while its parent lets it run one instruction at a time."""

import ctypes
import mmap
import os
import signal
import sys
from collections.abc import Callable

import numpy as np

from pagexchange_native.movers.list_exchange import ListExchange
from pagexchange_native.movers.mover import DataMover
from pagexchange_native.movers.temp_page import TempPage
from pagexchange_native.movers.word_swap import WordSwap

RECORD = 640
NOT_ALLOWED = 77  # exit status: this process may not be traced


class Careless(DataMover):
    """The control: exchanges without a log."""

    def move_rows(
        self, a: np.ndarray, b: np.ndarray, temp: np.ndarray | None = None, record: np.ndarray | None = None
    ) -> None:
        for i in range(len(a)):
            np.bitwise_xor(a[i], b[i], out=a[i])
            np.bitwise_xor(a[i], b[i], out=b[i])
            np.bitwise_xor(a[i], b[i], out=a[i])


def main(path: str, what: str, isa: str, rows: int, size: int) -> None:
    makers: dict[str, Callable[[], DataMover]] = {
        "word": lambda: WordSwap(isa),
        "list": lambda: ListExchange(isa),
        "temp": TempPage,
        "careless": Careless,
    }
    mover = makers[what]()
    fd = os.open(path, os.O_RDWR)
    memory = np.frombuffer(mmap.mmap(fd, 0), dtype=np.uint8)
    record, temp = memory[:RECORD], memory[RECORD : RECORD + size]
    a = memory[RECORD + size : RECORD + size + rows * size].reshape(rows, size)
    b = memory[RECORD + size + rows * size :].reshape(rows, size)
    mover.move_rows(a.copy(), b.copy(), temp.copy(), record.copy())  # everything is bound and warm
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0, 0, None, None) != 0:  # PTRACE_TRACEME
        os._exit(NOT_ALLOWED)
    os.kill(os.getpid(), signal.SIGSTOP)
    mover.move_rows(a, b, temp, record)
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
