"""A process that is stepped through does not outlive who steps it."""

import subprocess
import sys
import time
from pathlib import Path

# The kernel hangs up on a stopped process whose group has lost its last parent: that must not be what ends the child.
PARENT = """
import signal
from pagexchange.testing.scene.stepping import forked
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print(forked(signal.pause).pid, flush=True)
signal.pause()
"""


def ended(pid: int) -> bool:
    """Whether a process is gone, or waits for init to take notice."""
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text(encoding="ascii").rpartition(")")[2].split()[0] in "ZX"


def test_a_stopped_child_dies_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-P", "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not ended(child)
        parent.kill()
    deadline = time.monotonic() + 10
    while not ended(child) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended(child)
