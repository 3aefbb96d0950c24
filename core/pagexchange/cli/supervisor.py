"""A verb in a process of its own: what ends that one - a crash in a plug-in, `os._exit` - is named by this one.

This process runs nothing of anybody's: it waits, passes signals on, and ends as the other one did. If a plug-in ended
it, another one is started that leaves out what the plug-in was called for, so that everything else is reported.
"""

from __future__ import annotations

import atexit
import ctypes
import faulthandler
import os
import re
import resource
import shutil
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from pagexchange import trail
from pagexchange.cli.terminal import say
from pagexchange.exits import EXIT_BUG, EXIT_OK, EXIT_PLUGIN, EXIT_UNEXPECTED, EXIT_UNTRUSTED
from pagexchange.host import crashes
from pagexchange.host.installed import OWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Any

VARIABLE: Final = "PAGEXCHANGE_SUPERVISE"
DESCRIPTORS: Final = 32
"""With a lower limit of open files a second process takes what a run needs itself."""
VERBS: Final = ("run", "bench", "tier", "sweep", "check", "explain", "list")
"""Those that call plug-ins."""
_PR_SET_PDEATHSIG: Final = 1
_PASSED_ON: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_OUTSIDE: Final = (*_PASSED_ON, signal.SIGINT, signal.SIGPIPE, signal.SIGALRM, signal.SIGXCPU)
_FRAME: Final = re.compile(r'^  File "(.*)", line (\d+) in ', re.MULTILINE)


def supervise(arguments: Sequence[str], work: Callable[[], int]) -> int:
    """Do the work of a command line in a process of its own, if it may call plug-ins; return its exit code.

    The one that worked ends here, as Python ends: with what was registered for that, by a caller of ours too.
    """
    if not _wanted(arguments):
        return work()
    while True:
        try:
            child = _Child()
        except OSError:  # no more processes, or no memory for one: then without
            return work()
        if not child.pid:
            child.work(work)
        code = child.wait(child.pid)
        if code is not None:
            return code


def _wanted(arguments: Sequence[str]) -> bool:
    if not arguments or arguments[0] not in VERBS or os.environ.get(VARIABLE) == "0":
        return False
    try:
        ours = sys.stdout.fileno() == 1
    except (AttributeError, OSError, ValueError):
        ours = False
    # A caller with threads cannot be forked safely, nor a debugger's process without losing the debugger.
    alone = threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    room = resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= DESCRIPTORS
    return ours and alone and room and sys.gettrace() is None


class _Child:
    """The process that works."""

    def __init__(self) -> None:
        self.page = trail.Page()
        self.stacks = os.memfd_create("pagexchange-stacks")
        self.parent = os.getpid()
        self.shown = faulthandler.is_enabled()
        self.presses = 0
        self.passed: set[int] = set()
        self.early: list[int] = []
        self.pid: int | None = None
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # or both processes would write it
        # Before there are two of us: else a signal in between would end this one alone.
        self.before = {
            number: signal.signal(number, self._interrupt if number == signal.SIGINT else self._pass_on)
            for number in (signal.SIGINT, *_PASSED_ON)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        with warnings.catch_warnings():
            # NumPy's idle threads are none of Python's: its library starts them anew after a fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                self.pid = os.fork()
            finally:
                if not self.pid:
                    self._as_before()

    def _as_before(self) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    # ---- in the child ------------------------------------------------------------------------------------------------

    def work(self, work: Callable[[], int]) -> NoReturn:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.parent:  # it has ended in between
            os._exit(EXIT_BUG)
        trail.follow(self.page)
        faulthandler.enable(self.stacks)
        me, leave = os.getpid(), os._exit

        def noted(status: int) -> Any:  # noqa: ANN401 - does not return
            if os.getpid() == me:
                faulthandler.dump_traceback(self.stacks)
            leave(status)

        os._exit = noted
        try:
            code = work()
        except SystemExit as error:  # click's, for a completion
            code = error.code if isinstance(error.code, int) else EXIT_OK if error.code is None else EXIT_UNEXPECTED
        except BaseException as error:  # of a debugging user
            sys.excepthook(type(error), error, error.__traceback__)
            code = EXIT_UNEXPECTED
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if os.getpid() == me:  # and no process that a plug-in has forked
            trail.finished(code)
        # As Python ends; it cannot be left to it, since whoever called us would go on in two processes.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        leave(code)

    # ---- in the parent -----------------------------------------------------------------------------------------------

    def wait(self, pid: int) -> int | None:
        """Return the exit code; None: a plug-in ended it, and another process has to do the rest."""
        try:
            for number in self.early:
                os.kill(pid, number)
            _, status = os.waitpid(pid, 0)
        finally:
            self._as_before()
        try:
            return self._ended(os.waitstatus_to_exitcode(status))
        finally:
            os.close(self.stacks)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self.passed.add(number)
        if not self.pid:
            self.early.append(number)
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # A terminal sends it to both of us, `kill` to this one alone: what the other one has not heard is passed on.
        self.presses += 1
        time.sleep(0.1)
        if self.page.presses < self.presses:
            self._pass_on(number, frame)

    def _ended(self, status: int) -> int | None:
        """Return the exit code for the other one's, negative for a signal."""
        place, done = self.page.read(), self.page.done
        outside = -status in _FROM_OUTSIDE and (-status in self.passed or -status in (signal.SIGPIPE, signal.SIGINT))
        if outside or (status < 0 and (place is None or not place.who) and -status == signal.SIGKILL):
            _end_by(-status)
        if done is None and (made := self.page.made):
            Path(os.fsdecode(made)).unlink(missing_ok=True)  # the arena's: nobody else will
        if status - 128 in self.passed:  # it was asked to end, and had no time to unwind
            return status
        how = _how(status)
        if done is not None:
            return self._after_the_end(done, status, how, place)
        if self.shown:
            say(self._stacks(), err=True)
        if place is None or not place.who:
            say(self._stacks(), err=True)
            say(f"pagexchange: the process was {how} while no plug-in ran; this is a bug in pagexchange", err=True)
            return EXIT_BUG
        place, line = self._narrowed(place)
        crash = crashes.Crash(place, how + line, status)
        if crash.place in [known.place for known in crashes.KNOWN] or self.page.presses:
            say(f"pagexchange: {crash.error()}", err=True)
            return EXIT_PLUGIN
        crashes.KNOWN.append(crash)
        if begun := self.page.kept:  # the other process begins it anew, with all samples of one run
            shutil.rmtree(os.fsdecode(begun), ignore_errors=True)
        return None

    def _after_the_end(self, done: int, status: int, how: str, place: trail.Place | None) -> int:
        """The result is there and complete; what ends the process behind it is said, if it is no plain exit."""
        if status < 0:
            strangers = [who for who in place.who if who.distribution != OWN] if place else []
            names = ", ".join(dict.fromkeys(f"{who.plugin!r} ({who.distribution} {who.version})" for who in strangers))
            by = f"; these plug-ins were in it: {names}" if names else ""
            say(f"pagexchange: after the result the process was {how}{by}", err=True)
            return EXIT_PLUGIN if strangers and done in (EXIT_OK, EXIT_UNEXPECTED, EXIT_UNTRUSTED) else done
        return done

    def _narrowed(self, place: trail.Place) -> tuple[trail.Place, str]:
        """Return whose code it was, as far as the stack of Python tells, and the line; else strangers before ours."""
        for name, line in _FRAME.findall(self._stacks()):
            for who in place.who:
                with suppress(OSError, ValueError):
                    if who.file and os.path.realpath(name) == who.file:
                        return place._replace(who=(who,)), f" ({who.file}:{line})"
        strangers = tuple(who for who in place.who if who.distribution != OWN)
        return place._replace(who=strangers or place.who), ""

    def _stacks(self) -> str:
        os.lseek(self.stacks, 0, os.SEEK_SET)
        return os.read(self.stacks, 1 << 20).decode(errors="replace")


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    name = signal.Signals(-status).name if -status in signal.valid_signals() else "unknown"
    words = f"killed by signal {-status} ({name})"
    return f"{words}, as Linux does where memory runs out, or by somebody" if -status == signal.SIGKILL else words


def _end_by(number: int) -> None:
    """End as the other one did, so that whoever waits for this process sees the same."""
    if number in (signal.SIGKILL, *_FROM_OUTSIDE):
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
        os.kill(os.getpid(), number)
