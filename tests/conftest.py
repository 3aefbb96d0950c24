"""What holds for every test, however the tests were started."""

import signal


def pytest_configure() -> None:
    """Hear Ctrl-C, here and in each process that a test starts: a shell's background job begins with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
