"""The one checker of tables: what msgspec refuses is said in TOML's words, at the innermost place, all at once."""

import dataclasses
import datetime
import enum
import ipaddress
import sys
import threading
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, make_dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Final, Literal, NamedTuple, NewType, NotRequired, TypedDict

import msgspec
import pytest

from pagexchange.model.table import convert, make, options_of, show
from pagexchange.model.tomlfile import KeyPath


@dataclass(frozen=True)
class Point:
    x: int
    names: dict[str, int] = field(default_factory=dict)


class Camel(msgspec.Struct, rename="camel"):
    long_name: int
    other: int = 0


class Circle(msgspec.Struct, tag="circle"):
    size: int


class Square(msgspec.Struct, tag="square"):
    size: str


class Pair(NamedTuple):
    number: int
    name: str


class Typed(TypedDict):
    number: int
    name: NotRequired[str]


@dataclass
class Counted:
    every: ClassVar[int] = 0
    low: int = 0


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Deep = NewType("Deep", Percent)  # pyright: ignore[reportGeneralTypeIssues]  # msgspec takes it, so do we


def problems(value: object, hint: Any) -> list[str]:
    """Check a table with the key `k`: what is wrong with a value, or with a key in brackets."""
    out = []

    def report(path: KeyPath, problem: str, value: bool) -> None:
        place = ".".join(map(str, path))
        out.append(f"{place if value else f'[{place}]'}: {problem}")

    convert({"k": value}, make_dataclass("Target", [("k", hint)]), report)
    return out


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        # numbers, words, tables: with what would be right
        ("x", int, "k: expected an integer, got 'x'"),
        (1.0, int, "k: expected an integer, got 1.0"),
        (True, int, "k: expected an integer, got True"),
        (1, bool, "k: expected true or false, got 1"),
        (3, str, "k: expected a string, got 3"),
        (-1, Percent, "k: expected an integer from 0 to 100, got -1"),
        (-1, Deep, "k: expected an integer from 0 to 100, got -1"),
        (float("nan"), Annotated[float, msgspec.Meta(ge=0.0, le=0.5)], "k: expected a number from 0 to 0.5, got nan"),
        (0, Annotated[int, msgspec.Meta(gt=0)], "k: expected an integer above 0, got 0"),
        (9, Annotated[int, msgspec.Meta(gt=0, lt=9)], "k: expected an integer above 0 and below 9, got 9"),
        ("x", Percent | None, "k: expected an integer from 0 to 100, got 'x'"),
        (1.5, Percent | str, "k: expected an integer from 0 to 100 or a string, got 1.5"),
        (3, list[int], "k: expected a list, got 3"),
        (3, str | list[str], "k: expected a string or a list, got 3"),
        ([1, 2], tuple[int, int, int], "k: expected a list of 3, got [1, 2]"),
        (3, Final[str], "k: expected a string, got 3"),
        (3, dict[str, Any], "k: expected a table, got 3"),
        ([1], dict[str, int], "k: expected a table, got [1]"),
        ([], Point, "k: expected a table, got []"),
        # one of several words: the nearest
        ("rad", Literal["red", "blue"], "k: unknown value 'rad'; did you mean 'red'?"),
        ("rad", Literal["red", "blue"] | int, "k: unknown value 'rad'; did you mean 'red'?"),
        ("x", Colour, "k: unknown value 'x'; choose one of blue, red"),
        (3, Literal["red", "blue"], "k: expected one of red, blue, got 3"),
        # a place inside
        ([1, "x"], list[int], "k.1: expected an integer, got 'x'"),
        ([1, "x"], Sequence[int], "k.1: expected an integer, got 'x'"),
        (["x"], set[int], "k.0: expected an integer, got 'x'"),
        ([1, "x"], tuple[int, ...], "k.1: expected an integer, got 'x'"),
        ([1, 2], tuple[int, str], "k.1: expected a string, got 2"),
        ([1, 2], Pair, "k.1: expected a string, got 2"),
        ([3], str | list[str], "k.0: expected a string, got 3"),
        ({"a": {"b": ["x"]}}, dict[str, dict[str, list[int] | None]], "k.a.b.0: expected an integer, got 'x'"),
        ({"a": "x"}, Mapping[str, int], "k.a: expected an integer, got 'x'"),
        ({"x": 1, "names": {"a": "x"}}, Point, "k.names.a: expected an integer, got 'x'"),
        ({"longName": 1, "other": "x"}, Camel, "k.other: expected an integer, got 'x'"),
        ({"number": 1, "name": 2}, Typed, "k.name: expected a string, got 2"),
        ({"type": "square", "size": 1.5}, Circle | Square, "k.size: expected a string, got 1.5"),
        ({"low": "x", "every": 3}, Counted, "k.low: expected an integer, got 'x'"),
        ([{"longName": "x"}], list[Camel], "k.0.longName: expected an integer, got 'x'"),
        # a key
        ({"anno": 1}, dict[Literal["anon", "file"], int], "[k.anno]: unknown key 'anno'; did you mean 'anon'?"),
        # where no words of ours say why: msgspec's own
        (3, Path, "k: expected a string, got 3"),
        ("x", date, "k: invalid RFC3339 encoded date"),
        ("abc", Annotated[str, msgspec.Meta(max_length=2)], "k: expected `str` of length <= 2"),
        (3, Annotated[int, msgspec.Meta(ge=0, multiple_of=2)], "k: expected `int` that's a multiple of 2"),
        ({}, Point, "k: object missing required field `x`"),
        ({"type": "line"}, Circle | Square, "k: invalid value 'line' - at `$.type`"),
        ([1], list[int] | set[int], "k: cannot be checked as list[int] | set[int]: Type unions may not contain more"),
    ],
)
def test_what_is_wrong_is_said_at_its_innermost_place_in_the_words_of_toml(value, hint, expected):
    (problem,) = problems(value, hint)
    assert problem.startswith(expected)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.11 has no `type X = ...`")
def test_an_alias_is_what_it_stands_for():
    alias = vars(typing)["TypeAliasType"]("alias", Percent)
    assert problems(101, alias) == ["k: expected an integer from 0 to 100, got 101"]
    assert problems([1, 101], types.GenericAlias(list, (alias,))) == ["k.1: expected an integer from 0 to 100, got 101"]


def test_what_is_wrong_inside_is_said_all_at_once():
    value = {"a": ["x", 1, 1.5], "b": {"c": 1}, "d": [7]}
    assert problems(value, dict[Literal["a", "b", "d"], list[int]]) == [
        "k.a.0: expected an integer, got 'x'",
        "k.a.2: expected an integer, got 1.5",
        "k.b: expected a list, got {'c': 1}",
    ]


def test_a_bad_key_and_its_bad_value_are_two_mistakes():
    assert len(problems({"c": "x"}, dict[Literal["a"], int])) == 2


def test_what_is_good_is_returned_beside_what_is_wrong():
    reported: list[KeyPath] = []
    good = convert({"x": 1, "names": {"a": "x"}, "y": 2}, Point, lambda path, *_: reported.append(path), ("top",))
    assert good == {"x": 1}
    assert reported == [("top", "names", "a"), ("top", "y")]


def test_something_else_than_a_table_is_shown_what_it_must_have():
    reported: list[str] = []
    assert convert(3, Point, lambda _path, problem, _value: reported.append(problem)) == {}
    assert convert([], make_dataclass("Free", [("a", int, 1)]), lambda _p, problem, _v: reported.append(problem)) == {}
    assert reported == ["expected { x = int }, got 3", "expected a table, got []"]


def test_options_of_a_struct_are_named_as_in_python():
    assert [(option.name, option.required) for option in options_of(Camel)] == [("long_name", True), ("other", False)]
    made = make({"long_name": 3}, Camel, lambda *problem: pytest.fail(str(problem)))
    assert made == Camel(3)


def test_what_a_class_says_about_options_that_do_not_go_together_is_reported_at_the_table():
    @dataclass
    class Picky:
        low: int = 0

        def __post_init__(self) -> None:
            if self.low > 5:
                raise ValueError("low is too high")

    reported: list[Any] = []
    assert make({"low": 7}, Picky, lambda *problem: reported.append(problem), ("a", 1)) is None
    assert reported == [(("a", 1), "low is too high", True)]


def test_a_value_is_quoted_as_far_as_a_line_holds_it():
    assert problems(1 << 20_000, str) == ["k: expected a string, got a very large int"]  # Python refuses to print it
    assert show("x" * 58) == repr("x" * 58)
    assert show("x" * 59) == "'" + "x" * 58 + "…"


# ---- types that a string in the file becomes -------------------------------------------------------------------------


class Shade(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Inner:
    depth: int = 0


@dataclasses.dataclass
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)
    several: list[Inner] = dataclasses.field(default_factory=list)
    maybe: Inner | None = None
    named: dict[str, Inner] = dataclasses.field(default_factory=dict)


@pytest.mark.parametrize(
    ("hint", "value", "made"),
    [
        (Path, "a/log.txt", Path("a/log.txt")),
        (Path | None, "x", Path("x")),
        (list[PurePosixPath], ["x", "y"], [PurePosixPath("x"), PurePosixPath("y")]),
        (Fraction, "1/3", Fraction(1, 3)),
        (ipaddress.IPv4Address, "1.2.3.4", ipaddress.IPv4Address("1.2.3.4")),
        (Decimal, "1.5", Decimal("1.5")),
        (uuid.UUID, str(uuid.UUID(int=5)), uuid.UUID(int=5)),
        (datetime.datetime, "2026-01-02T00:00:00", datetime.datetime(2026, 1, 2)),
        (Shade, "red", Shade.RED),
    ],
    ids=str,
)  # fmt: skip
def test_a_string_becomes_what_the_option_is(hint, value, made):
    target = dataclasses.make_dataclass("Target", [("it", hint)])
    assert convert({"it": value}, target, lambda *problem: pytest.fail(str(problem))) == {"it": made}


@pytest.mark.parametrize(
    ("hint", "value", "said"),
    [
        (Path, 3, "expected a string, got 3"),
        (list[Path], ["a", 3], "expected a string, got 3"),
        (Fraction, "x", "no Fraction: Invalid literal for Fraction: 'x'"),
        (threading.Thread, "x", "no Thread: group argument must be None for now"),
    ],
    ids=str,
)
def test_a_string_that_cannot_become_it_is_said_to_be_wrong(hint, value, said):
    problems: list[tuple[object, ...]] = []
    target = dataclasses.make_dataclass("Target", [("it", hint)])
    assert convert({"it": value}, target, lambda *problem: problems.append(problem)) == {}
    assert [problem[1] for problem in problems] == [said]


@pytest.mark.parametrize(
    ("table", "path"),
    [
        ({"inner": {"dept": 3}}, ("inner", "dept")),
        ({"several": [{"depth": 1}, {"dept": 3}]}, ("several", 1, "dept")),
        ({"maybe": {"dept": 3}}, ("maybe", "dept")),
        ({"named": {"x": {"dept": 3}}}, ("named", "x", "dept")),
    ],
    ids=str,
)
def test_an_unknown_key_in_a_table_within_is_not_dropped(table, path):
    problems: list[tuple[object, ...]] = []
    assert convert(table, Outer, lambda *problem: problems.append(problem)) == {}
    assert problems == [(path, "unknown key 'dept'; did you mean 'depth'?", False)]
