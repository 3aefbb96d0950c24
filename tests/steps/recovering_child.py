"""A process that recovers a state which another one has left, and is stepped through it."""

import os
import signal
import sys

import numpy as np

from pagexchange.testing.scene.stepping import stop_for_parent
from tests.steps.judge import Native


def main(path: str, left: str) -> None:
    survivor = Native(path)
    survivor.put(np.fromfile(left, np.uint8))
    survivor.arena.recover()  # everything is warm
    survivor.put(np.fromfile(left, np.uint8))
    stop_for_parent()
    survivor.arena.recover()
    os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    main(*sys.argv[1:])
