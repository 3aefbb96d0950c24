"""`python -m pagexchange.sweep.child PARENT ARGUMENT...`: a command of ours that ends when whoever started it ends.

A worker may be killed at any moment. What it measures must not go on behind it, beside what is measured next.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
from contextlib import suppress
from typing import Final

_PR_SET_PDEATHSIG: Final = 1

if __name__ == "__main__":
    parent = int(sys.argv.pop(1))
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() == parent:  # else it has ended in between
        runpy.run_module("pagexchange", run_name="__main__", alter_sys=True)
