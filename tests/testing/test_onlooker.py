"""The process that looks at a run: what it says when the run ends, is late, or is done."""

import signal
import subprocess
import sys

import pytest

RUN = """
import fcntl, json, os, signal, subprocess, sys, termios, time

command = [sys.executable, "-P", *{how!r}, str(os.getpid())]
looks = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)

def tell(*lines, and_half=""):
    text = "".join(json.dumps(line) + "\\n" if line else "\\n" for line in lines) + and_half
    os.write(looks.stdin.fileno(), text.encode())
    while any(fcntl.ioctl(looks.stdin, termios.FIONREAD, bytes(4))):  # until it was read
        time.sleep(0.01)

def done():
    looks.stdin.close()
    looks.wait()

"""
USUAL = ("-W", "ignore", "-m", "pagexchange.testing.session.onlooker")
"""A run starts it alone, by its path; what measures coverage sees modules of packages. Its package imports it too."""
SOON = """
import sys
from pagexchange.testing.session import onlooker

onlooker._LAST_STACK = 0.3
onlooker.look_at(int(sys.argv[1]))
"""


def looked_at(does: str, how: tuple[str, ...] = USUAL) -> tuple[int, str]:
    """Start a run that is looked at: how it ended, and what was written when both were gone."""
    command = [sys.executable, "-P", "-c", RUN.format(how=how) + does]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("does", "sentence"),
    [
        ("tell(['ended', 'late', 0]); os._exit(3)", "\nended\n"),
        ("tell(['earlier', '', 0], ['later', '', 0]); os._exit(3)", "\nlater\n"),
        ("tell(['ended', '', 0], and_half='[half'); os._exit(3)", "\nended\n"),
        ("tell(and_half='[\"en'); tell(and_half='ded\", \"\", 0]\\n'); os._exit(3)", "\nended\n"),
        ("tell(['ended', '', 0], None); os._exit(3)", ""),
        ("os._exit(3)", ""),
    ],
)
def test_a_run_that_ends_is_told_what_it_was_in_the_middle_of(does: str, sentence: str) -> None:
    assert looked_at(does) == (3, sentence)


@pytest.mark.parametrize(
    "does",
    [
        "tell(['ended', 'late', 0]); time.sleep(1.2)",  # 0: waits for ever
        "for _ in range(6): tell(['ended', 'late', 1.5]); time.sleep(0.5)",  # each in time
        "tell(['ended', 'late', 0.6], None); time.sleep(1.8)",  # nothing is going on
    ],
)
def test_nothing_is_said_of_a_run_that_is_in_time_and_then_done(does: str) -> None:
    assert looked_at(f"{does}\ntell(None); done()") == (0, "")


def test_a_run_that_is_late_is_aborted_and_told_so() -> None:
    assert looked_at("tell(['ended', 'late', 0.6]); time.sleep(60)") == (-signal.SIGABRT, "\nlate\n")


def test_a_run_that_does_not_go_when_it_is_aborted_is_killed() -> None:
    ignores = "signal.signal(signal.SIGABRT, signal.SIG_IGN); tell(['ended', 'late', 0.6]); time.sleep(60)"
    assert looked_at(ignores, ("-c", SOON)) == (-signal.SIGKILL, "\nlate\n")


def test_an_interrupt_of_both_is_left_to_the_run() -> None:
    both = "tell(['ended', 'late', 0]); signal.signal(signal.SIGINT, signal.SIG_IGN); "
    assert looked_at(f"{both}looks.send_signal(signal.SIGINT); time.sleep(0.2); os._exit(3)") == (3, "\nended\n")
