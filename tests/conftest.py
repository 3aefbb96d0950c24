"""What holds for every test, however the tests were started."""

import os
import signal


def pytest_configure() -> None:
    """Make all tests alike, those in processes that a test starts too."""
    # Hear Ctrl-C: a shell's background job begins with SIGINT ignored.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # What a busy machine makes of a run's times decides no test: none is pushed aside but where a test says so.
    os.environ["PAGEXCHANGE_OFF_CPU"] = "1"
    # Nor does a slow machine put lines of progress where a test expects nothing.
    os.environ["PAGEXCHANGE_PROGRESS"] = "0"
