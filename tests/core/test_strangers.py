"""Whose an exception is, what a hostile object says of itself, what a terminal is shown."""

import dataclasses
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from pagexchange.errors import PluginError, in_words
from pagexchange.strangers import LONGEST, Guard, Interrupted, interrupt_in, is_in, kind, listening, said, visible

PRESS = signal.SIGINT


class Panic(BaseException):
    pass


def press():
    os.kill(os.getpid(), PRESS)
    time.sleep(5)


def blamed(error):
    return PluginError(kind(error))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), SystemExit(0), Panic(), GeneratorExit(), MemoryError(), RecursionError(), StopIteration(),
        ExceptionGroup("two", [OSError(), SystemError()]), BaseExceptionGroup("one", [SystemExit(0)]),
        pytest.skip.Exception("x"), pytest.exit.Exception("x"),
    ],
    ids=kind,
)  # fmt: skip
def test_whatever_a_stranger_raises_is_its_failure(error):
    with pytest.raises(PluginError, match=kind(error)) as caught, Guard(blamed):
        raise error
    assert caught.value.__cause__ is error


def test_a_keyboard_interrupt_is_ctrl_c_only_if_somebody_pressed():
    with pytest.raises(KeyboardInterrupt), Guard(blamed):
        raise KeyboardInterrupt  # nobody listens: it may be
    with listening():
        with pytest.raises(PluginError, match="KeyboardInterrupt"), Guard(blamed):
            raise KeyboardInterrupt
        with pytest.raises(Interrupted), Guard(blamed):
            press()
    assert signal.getsignal(PRESS) is signal.default_int_handler


def test_nobody_can_press_where_the_signal_is_ignored():
    """As in a shell's background job."""
    before = signal.signal(PRESS, signal.SIG_IGN)
    try:
        with listening(), pytest.raises(PluginError, match="KeyboardInterrupt"), Guard(blamed):
            raise KeyboardInterrupt
    finally:
        signal.signal(PRESS, before)


@pytest.mark.parametrize("made", [SystemExit(130), RuntimeError("cleaning up failed"), KeyboardInterrupt()], ids=kind)
def test_ctrl_c_is_not_lost_when_a_stranger_makes_another_exception_of_it(made):
    def clean_up():
        try:
            press()
        finally:
            raise made

    with listening(), pytest.raises(Interrupted), Guard(blamed):
        clean_up()


def test_ctrl_c_is_found_in_a_group():
    assert isinstance(interrupt_in(BaseExceptionGroup("tasks", [ValueError(), KeyboardInterrupt()])), KeyboardInterrupt)


def test_one_press_that_comes_twice_is_one_and_a_later_one_is_another():
    with listening():
        with pytest.raises(Interrupted):
            press()
        os.kill(os.getpid(), PRESS)
        time.sleep(0.4)
        with pytest.raises(Interrupted):
            press()


def test_whoever_has_other_plans_for_ctrl_c_keeps_them():
    def plan(*_): ...

    mine = signal.signal(PRESS, plan)
    try:
        with listening():
            assert signal.getsignal(PRESS) is plan
        threads = []
        thread = threading.Thread(target=lambda: threads.append(interrupt_in(KeyboardInterrupt())))
        thread.start()
        thread.join()
        assert isinstance(threads[0], KeyboardInterrupt)
    finally:
        signal.signal(PRESS, mine)


def test_a_process_that_a_stranger_forks_ends_as_it_likes():
    child = 0
    try:
        with Guard(blamed):
            child = os.fork()
            if child == 0:
                raise SystemExit(7)
    except BaseException as error:
        os._exit(7 if isinstance(error, SystemExit) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


class Hostile(Exception):  # noqa: N818
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def __str__(self):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    __repr__ = __str__


class Word(str):
    def __getitem__(self, at):
        raise RuntimeError

    def __format__(self, spec):
        raise RuntimeError


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ValueError(), "<Hostile, whose str() raises ValueError>"),
        (SystemExit(0), "<Hostile, whose str() raises SystemExit>"),
        (3, "<Hostile, whose str() raises TypeError>"),
        (None, "<Hostile, whose str() raises TypeError>"),
        (Word("fine"), "fine"),
        ("x" * 10_000_000, "x" * LONGEST + "…"),
    ],
    ids=["raises", "exits", "a number", "nothing", "another str", "10 MB"],
)
def test_a_text_of_a_stranger_is_a_plain_one_of_bounded_length(answer, words):
    told = said(Hostile(answer))
    assert type(told) is str
    assert told == words
    assert in_words(Hostile(answer), "") == f"Hostile: {words}"


def test_a_frozen_exception_and_a_metaclass_that_lies_are_told_too():
    @dataclasses.dataclass(frozen=True)
    class FrozenError(Exception):
        code: int

    class Meta(type):
        @property
        def __name__(cls):  # type: ignore[override]
            raise ValueError

    class LiarError(Exception, metaclass=Meta):
        pass

    with pytest.raises(PluginError, match="FrozenError"), Guard(blamed):
        raise FrozenError(3)
    assert kind(LiarError()) == "LiarError"
    with pytest.raises(PluginError, match="LiarError"), Guard(blamed):
        raise LiarError


@pytest.mark.parametrize(
    ("words", "line"),
    [("a\tb\r\n c", "a b  c"), ("\x1b]0;t\x07", "\\x1b]0;t\\x07"), ("é ✓", "é ✓"), ("\u202e\udc80", "\\u202e\\x80"),
     ("\x9b2J\x7f\0", "\\x9b2J\\x7f\\x00")],
)  # fmt: skip
def test_what_would_act_on_a_terminal_is_shown_instead(words, line):
    assert visible(words) == line


def test_code_compiled_from_a_string_is_in_no_file():
    code = compile("1", "", "eval").replace(co_filename="a\0b")  # as an unmarshalled one may have it
    assert not is_in(code, "a\0b")
    assert not is_in(code, "")
    assert is_in(sys._getframe().f_code, str(Path(__file__).resolve()))
