"""Names what is judged if the run does not survive it: a candidate that never returns, crashes, or ends the process.

An onlooker in a process of its own is told before each test; so nothing that happens in this one can silence it. A
thread could not do it: a call that keeps the GIL stops it, and a crash or an `os._exit` ends it with the rest.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest

from pagexchange.host.discovery import OWN, PluginInfo
from pagexchange.strangers import listening, visible_lines
from pagexchange.testing.candidates.candidate import Candidate, Origin
from pagexchange.testing.session import onlooker
from pagexchange.testing.verdict.clauses import CLAUSES, Clause

SECONDS: Final = 120.0
"""That one test may take."""
OPTION: Final = "--seconds"
_SUBJECTS: Final = ("candidate", "info")
"""Fixtures whose value is judged."""
_CLAUSE_OF: Final = {clause.test: clause for clause in CLAUSES.values()}

Watching = Callable[[str, Sequence[Origin]], AbstractContextManager[None]]
"""Given a clause and who is judged by it, what to do the judging in."""


def unwatched(_clause: str, _who: Sequence[Origin]) -> AbstractContextManager[None]:
    """Judge without an onlooker."""
    return nullcontext()


class Watch:
    """A plug-in of pytest that is there in every run that judges something."""

    _KEY: Final = pytest.StashKey["Watch"]()

    def __init__(self, config: pytest.Config) -> None:
        self.seconds = float(config.getoption(OPTION, SECONDS) or 0)
        self._capture: Any = config.pluginmanager.getplugin("capturemanager")
        self._process: subprocess.Popen[bytes] | None = None
        self._told: list[bytes] = [b""]

    @classmethod
    def of(cls, config: pytest.Config) -> "Watch":
        """Return that of a run, registered when it is first asked for."""
        if cls._KEY not in config.stash:
            config.stash[cls._KEY] = watch = cls(config)
            config.pluginmanager.register(watch)
            # A candidate that raises KeyboardInterrupt fails its test; pressed, it ends the run.
            listens = ExitStack()
            listens.enter_context(listening())
            config.add_cleanup(listens.close)
        return config.stash[cls._KEY]

    @contextmanager
    def over(self, clause: str, who: Sequence[Origin], where: str = "") -> Iterator[None]:
        """Judge these origins by a clause, in the block of a `with`."""
        # A stack: what is judged may be built while a test that judges it runs.
        self._told.append(self._message(CLAUSES[clause], who, where))
        # The only call that ends the process with a status of its choice and past every `finally`, 0 included.
        leave, os._exit = os._exit, _not_as_success(os._exit)  # type: ignore[assignment]
        try:
            self._tell()
            yield
        finally:
            os._exit = leave
            self._told.pop()
            self._tell()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch a test that judges, from its fixtures on; what they make is not known yet."""
        clause = _clause_of(item)
        if clause is None:
            return (yield)
        given = getattr(item, "callspec", None)
        with self.over(clause.name, _judged(given.params if given else {}), item.nodeid):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Watch the test's own call, knowing what its fixtures have made; a broken clause names the origins."""
        clause = _clause_of(item)
        if clause is None:
            return (yield)
        # Only now has the fixture `candidate` of a contract class a value, and the object a name.
        who = _judged(getattr(item, "funcargs", {}))
        with self.over(clause.name, who, item.nodeid):
            try:
                return (yield)
            except pytest.fail.Exception as failure:
                judged = (visible_lines(f"judged: {origin}") for origin in who)
                failure.msg = "\n  ".join([str(failure), *judged])
                raise

    def pytest_enter_pdb(self) -> None:
        """A debugger has no time limit: a person looks at the test."""
        self._write(b"")

    def pytest_unconfigure(self) -> None:
        """Dismiss the onlooker."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process = None

    def _tell(self) -> None:
        self._write(self._told[-1])

    def _write(self, line: bytes) -> None:
        if self._process is None:
            self._process = self._start()
        stdin = self._process.stdin
        if stdin is not None:
            with suppress(OSError):  # the onlooker was ended from outside: the tests go on without it
                os.write(stdin.fileno(), line + b"\n")

    def _start(self) -> subprocess.Popen[bytes]:
        # Isolated and without site: nothing that is installed, broken plug-ins included, runs in the onlooker.
        command = [sys.executable, "-I", "-S", str(Path(onlooker.__file__)), str(os.getpid())]
        with self._capture.global_and_fixture_disabled() if self._capture else nullcontext():  # the run's own stderr
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def _message(self, clause: Clause, who: Sequence[Origin], where: str) -> bytes:
        judged = "; ".join(map(str, who)) or "what is judged"
        place = f"\n  {where}" if where else ""
        strange = [origin.plugin for origin in who if origin.distribution not in ("", OWN)]
        names = ",".join(dict.fromkeys(strange))
        others = f"; PAGEXCHANGE_BLOCK={names} judges the others without it" if names else ""
        start = f"broken: {clause}{place}\n  {judged}: "
        # Both messages are made before the test runs: afterwards this process may be gone.
        ended = f"{start}the process of this run ended here, by a crash, by an exit, or by a signal from outside\n"
        ended += "  Cure: the stack above, if there is one, says where; this test alone, in a debugger, says more"
        ended += others
        late = f"{start}never returned: {self.seconds:g} s have passed, and the run was ended\n"
        late += f"  Cure: the stacks above say where it is; {OPTION} gives it another time, 0 any"
        late += others
        return json.dumps([visible_lines(ended), visible_lines(late), self.seconds]).encode()


def _clause_of(item: pytest.Item) -> Clause | None:
    """Return the clause that a test judges a candidate by; None if it is no test of this suite."""
    judges = any(name in getattr(item, "fixturenames", ()) for name in _SUBJECTS)
    return _CLAUSE_OF.get(getattr(item, "originalname", item.name)) if judges else None


def _judged(values: Any) -> Sequence[Origin]:  # noqa: ANN401 - a test's arguments by name
    subject = next((values[name] for name in _SUBJECTS if name in values), None)
    if isinstance(subject, Candidate):
        return subject.origins()
    if isinstance(subject, PluginInfo):
        return [Origin("", subject.name, subject.distribution, subject.version)]
    return []


def _not_as_success(leave: Callable[[int], NoReturn]) -> Callable[[int], NoReturn]:
    """Return an `os._exit` that does not let a run that was ended in the middle of it look like one that passed."""
    # In a fork of the run the status is the child's own affair.
    run = os.getpid()
    return lambda status: leave(status or 1 if os.getpid() == run else status)
