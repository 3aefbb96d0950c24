"""A plug-in that never returns is named on stderr with what can be done; one that only takes long is not."""

import json
import os
import signal
import sys
import threading
from contextlib import suppress

import numpy as np
import pytest

from pagexchange.arena.arena import Arena
from pagexchange.host.discovery import Plugin
from pagexchange.host.watchdog import LOOKS, PATIENCE, VARIABLE, Call, Watchdog, message, published
from tests.core.command_line import SMALL, start, stranger
from tests.core.pages import strategy
from tests.core.tier.small import FLAGS

SLOTS = 8
INTENT, DATA, META = 1, 2, 3


def plugin(name, file=""):
    return Plugin(name, None, "dist", "1.0", file, {})


SUSPECTS = [("flags", plugin("f")), ("mapping", plugin("m")), ("data", plugin("d"))]


def words(*phases):
    return np.array([(5 << 8) | phase for phase in phases] + [0] * SLOTS, dtype=np.uint64).tobytes()


def said(phases, suspects=SUSPECTS):
    return message(Call("slow", lambda: suspects, None, threading.get_ident()), words(*phases), 12.0)


@pytest.mark.parametrize(
    ("phases", "who"),
    [
        ((DATA,), "plug-in 'd' (dist 1.0, ) does not return from moving data"),
        ((META, DATA), "plug-in 'd' (dist 1.0, ) does not return from moving data"),
        ((INTENT,), "one of plug-in 'f' (dist 1.0, ), plug-in 'm' (dist 1.0, ), plug-in 'd' (dist 1.0, ) does not"),
        ((META,), "no plug-in is being called"),
    ],
)
def test_a_compiled_plug_in_is_found_by_the_step_that_its_worker_is_in(phases, who):
    text = said(phases)
    assert text.startswith(f"pagexchange: strategy 'slow': nothing has moved for 12 s: {who}")
    assert f"`kill -9 {os.getpid()}`" in text
    assert "Ctrl-C" not in text


def test_a_plug_in_that_serves_two_questions_is_named_once():
    both = plugin("both")
    assert "one of" not in said((INTENT,), [("flags", both), ("mapping", both)])


def test_a_plug_in_in_python_is_found_by_its_frame():
    text = said((DATA,), [*SUSPECTS, ("data", plugin("this", __file__))])
    assert f"plug-in 'this' (dist 1.0, {__file__}) does not return from" in text
    assert f"{__file__}:" in text
    assert "Ctrl-C stops it; the batch that it was called for is put back" in text
    assert "kill" not in text


@pytest.mark.parametrize("file", [__file__, ""])
def test_a_pairing_is_asked_outside_of_an_exchange_and_has_moved_nothing(file):
    """In Python it is found by its frame, compiled by its question; those who wrap it and do not run are not named."""
    suspects = [("pairing", plugin("p", file)), ("wrap", plugin("w"))]
    text = message(Call("slow", lambda: suspects, None, threading.get_ident(), "pairing"), b"", 12.0)
    start = (
        f"pagexchange: strategy 'slow': nothing has moved for 12 s: plug-in 'p' (dist 1.0, {file}) does not return from"
    )
    if file:
        assert text.startswith(start)
        assert text.endswith("Ctrl-C stops it; nothing was moved")
    else:
        kill = f"It cannot be interrupted; end this process with `kill -9 {os.getpid()}`"
        assert text == f"{start} pair_pages. {kill}"


def test_ctrl_c_is_not_promised_for_another_thread():
    suspects = [("flags", plugin("this", __file__))]
    texts = []
    call = Call("slow", lambda: suspects, None, 0)
    other = threading.Thread(target=lambda: texts.append(message(call, words(INTENT), 12.0)))
    other.start()
    other.join()
    assert "kill -9" in texts[0]


class Told(list[str]):
    """What was said, and a way to wait for it."""

    def __init__(self, enough):
        self.enough, self.there = enough, threading.Event()

    def __call__(self, text):
        self.append(text)
        if len(self) >= self.enough:
            self.there.set()


def test_waiting_is_said_again_after_twice_as_long():
    told = Told(2)
    with Watchdog(0.05, told) as watchdog, watchdog.watch("slow", lambda: SUSPECTS):
        assert told.there.wait(60)
    assert all("strategy 'slow': nothing has moved for" in text for text in told)


def test_nothing_is_said_between_calls():
    told = Told(1)
    with Watchdog(0.02, told) as watchdog:
        with watchdog.watch("slow", lambda: SUSPECTS):
            pass
        assert not told.there.wait(0.3)


class Busy:
    """An arena in which something was published whenever one looks."""

    def __init__(self):
        self.words = np.zeros(4, dtype=np.uint64)
        self.looks, self.enough = 0, threading.Event()

    def published(self):
        self.looks += 1
        self.words[1] ^= np.uint64(META)  # the words' order says nothing about progress
        if self.looks == 10 * LOOKS:
            self.enough.set()
        return self.words


def test_a_call_that_publishes_is_not_called_slow():
    arena, told = Busy(), Told(1)
    with Watchdog(0.02, told) as watchdog, watchdog.watch("busy", lambda: SUSPECTS, arena):
        assert arena.enough.wait(60)
    assert told == []


def test_progress_is_what_the_workers_of_a_real_arena_publish():
    with Arena.create(nodes={"fast": "1 MiB", "slow": "1 MiB"}) as arena:
        idle = published(arena)
        assert len(idle) % 8 == 0
        assert not any(idle)
        seen: list[bytes] = []
        a, b = arena.alloc("fast", 1), arena.alloc("slow", 1)
        assert strategy(arena, data=lambda pieces, x, y: look(arena, seen, pieces, x, y)).exchange([[a[0], b[0]]]).ok
    phases = np.frombuffer(seen[0], dtype=np.uint64) & np.uint64(0xFF)
    assert sorted(set(phases.tolist())) == [0, DATA]
    assert published(arena) == b""  # closed


def look(arena, seen, pieces, a, b):
    seen.append(published(arena))
    pieces[a], pieces[b] = pieces[b], pieces[a]


@pytest.mark.parametrize(
    ("value", "patience"),
    [("2.5", 2.5), ("0", 0.0), ("", PATIENCE), ("soon", PATIENCE), ("-1", PATIENCE), ("nan", PATIENCE)],
)
def test_patience_comes_from_the_environment(monkeypatch, value, patience):
    monkeypatch.setenv(VARIABLE, value)
    assert Watchdog.from_environment().patience == patience


def test_no_patience_is_no_thread():
    with Watchdog(0) as watchdog, watchdog.watch("slow", lambda: SUSPECTS):
        assert not watchdog._thread.is_alive()


STUCK = """
import pagexchange, time

class Stuck:
    "Waits for ever."

    @pagexchange.hookimpl
    def exchange_data(self, arena):
        {in_hook}
        def move(pieces, a, b):
            pieces[a] = 0
            while True:
                time.sleep(0.01)
        return move
"""


@pytest.mark.parametrize(("in_hook", "where"), [("", "move"), ("time.sleep(600)", "exchange_data")])
def test_a_mover_that_never_returns_is_named_and_ctrl_c_ends_the_run(tmp_path, in_hook, where):
    stranger(tmp_path, STUCK.format(in_hook=in_hook or "pass"), "endless", stuck="endless_plugins:Stuck")
    args = ("run", *SMALL, "--strategy=word-swap", "--set", "strategy.word-swap.data=stuck", "--json")
    named_and_interrupted(tmp_path, args, "word-swap", where)


STUCK_PAIRING = """
import pagexchange, time

class Stuck:
    "Waits for ever."

    @pagexchange.hookimpl
    def pair_pages(self, arena):
        {in_hook}
        def choose(view):
            while True:
                time.sleep(0.01)
        return choose
"""


@pytest.mark.parametrize("named", ["--policy=stuck", "--set=strategy.list-exchange.pairing=stuck"])
@pytest.mark.parametrize(("in_hook", "where"), [("", "choose"), ("time.sleep(600)", "pair_pages")])
def test_a_pairing_that_never_returns_is_named_and_ctrl_c_ends_the_run(tmp_path, in_hook, where, named):
    stranger(tmp_path, STUCK_PAIRING.format(in_hook=in_hook or "pass"), "endless", stuck="endless_plugins:Stuck")
    args = ("tier", *FLAGS, "--way=list-exchange", named, "--json")
    named_and_interrupted(tmp_path, args, "list-exchange", where)


def named_and_interrupted(tmp_path, args, strategy, where):
    """Run a command with a plug-in that waits for ever: it is named, and Ctrl-C ends the command, with a result."""
    path = os.pathsep.join([str(tmp_path), *sys.path])
    env = os.environ | {"PYTHONPATH": path, VARIABLE: "0.4"}
    with start(*args, stdout=-1, stderr=-1, env=env) as process:
        assert process.stderr is not None
        patience = threading.Timer(60, process.kill)  # if nothing is said, nobody would end it
        patience.start()
        try:
            line = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            patience.cancel()
            with suppress(ProcessLookupError):
                process.kill()
    file = tmp_path / "endless_plugins.py"
    assert line.startswith(f"pagexchange: strategy {strategy!r}: nothing has moved for ")
    assert f"plug-in 'stuck' (endless 2.5, {file}) does not return from {where}, {file}:" in line
    assert "Ctrl-C stops it" in line
    assert process.returncode == 130, err
    assert json.loads(out)["interrupted"]
    assert "Traceback" not in err
