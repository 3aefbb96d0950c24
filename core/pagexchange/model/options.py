"""Typed options: checks a table of values against a class, key by key, and reports everything that is wrong."""

import dataclasses
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pagexchange.errors import did_you_mean
from pagexchange.model.tomlfile import KeyPath

Report = Callable[[KeyPath, str, bool], None]
"""`report(path, what, value)`: a problem at a path relative to the table; at its value, or at its key."""

_AT: Final = re.compile(r"^(?P<what>.*?)(?: - at (?:`key` in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_STEP: Final = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]")


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """One option of a plug-in or of a section."""

    name: str
    type: str
    """Its type as written in Python."""
    default: object
    """Its default; `REQUIRED` if it has none."""
    hint: Any = dataclasses.field(default=None, repr=False, compare=False)
    """The type itself."""

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED


REQUIRED: Final = "<required>"


def options_of(target: object) -> tuple[Option, ...]:
    """Return the options that a plug-in takes: the fields of its dataclass or msgspec.Struct, else none."""
    if not isinstance(target, type):
        return ()
    if dataclasses.is_dataclass(target):
        fields = [
            (field.name, _default(field.default, field.default_factory, dataclasses.MISSING))
            for field in dataclasses.fields(target)
            if field.init and not field.name.startswith("_")
        ]
    elif issubclass(target, msgspec.Struct):
        fields = [
            (field.name, _default(field.default, field.default_factory, msgspec.NODEFAULT))
            for field in msgspec.structs.fields(target)
        ]
    else:
        return ()
    hints = typing.get_type_hints(target, include_extras=True)
    return tuple(Option(name, _type_name(hints.get(name)), default, hints.get(name)) for name, default in fields)


def _default(default: object, factory: Any, missing: object) -> object:  # noqa: ANN401 - a callable or a sentinel
    if default is not missing:
        return default
    return factory() if factory is not missing else REQUIRED


def _type_name(hint: object) -> str:
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if isinstance(hint, type) and not typing.get_args(hint):
        return hint.__name__
    if typing.get_origin(hint) is typing.Literal:
        return " | ".join(repr(arg) for arg in typing.get_args(hint))
    return str(hint).replace("typing.", "")


def convert(table: Mapping[str, object], target: Any, report: Report) -> dict[str, Any]:  # noqa: ANN401 - a class
    """Check each value of a table against the fields of a class; return those that are good, converted.

    Unknown keys are answered with the nearest known one, missing ones with their name. Fields are converted one by
    one, so that one bad value does not hide the next.
    """
    known = {option.name: option for option in options_of(target)}
    good: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            if not known:
                report((key,), f"unknown option {key!r}: it takes none", False)
            else:
                report((key,), f"unknown key {key!r}{did_you_mean(key, known)}", False)
            continue
        try:
            good[key] = msgspec.convert(value, known[key].hint)
        except msgspec.ValidationError as error:
            # msgspec does not say which entry of a table is wrong, so each is looked at on its own
            entries = value.items() if isinstance(value, dict) else ()
            found: list[tuple[KeyPath, msgspec.ValidationError]] = [
                ((key, name), wrong) for name, item in entries if (wrong := _wrong({name: item}, known[key].hint))
            ]
            names = _names(known[key].hint)
            for path, wrong in found or [((key,), error)]:
                if names and path[1:] and path[1] not in names:
                    report(path, f"unknown key {path[1]!r}{did_you_mean(str(path[1]), names)}", False)
                    continue
                what, rest = explain(wrong)
                choices = _choices(known[key].hint)
                if choices and isinstance(value, str) and not rest:
                    what = f"unknown value {value!r}{did_you_mean(value, choices)}"
                report((*path, *rest), what, True)
        except (TypeError, ValueError, OverflowError) as error:  # a type that msgspec cannot check
            report((key,), f"cannot be checked as {known[key].type}: {error}", True)
    for key, option in known.items():
        if option.required and key not in table:
            report((), f"missing key {key!r}", False)
    return good


def _wrong(value: object, hint: Any) -> msgspec.ValidationError | None:  # noqa: ANN401 - a type
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        return error
    return None


def make(table: Mapping[str, object], target: Any, report: Report) -> Any:  # noqa: ANN401 - an instance of target
    """Return an instance of a class made from a table, or None after everything wrong was reported."""
    before: list[str] = []

    def count(path: KeyPath, what: str, value: bool) -> None:
        before.append(what)
        report(path, what, value)

    values = convert(table, target, count)
    if before:
        return None
    try:
        return target(**values)
    except (ValueError, TypeError) as error:  # what its __post_init__ says about options that do not go together
        report((), str(error), True)
        return None


def explain(error: msgspec.ValidationError) -> tuple[str, KeyPath]:
    """Split a msgspec message into what is wrong and the path of the value that it is about."""
    match = _AT.match(str(error))
    assert match is not None
    path: list[str | int] = []
    rest = match["path"] or ""
    while step := _STEP.match(rest):
        path.append(step[1] if step[1] is not None else int(step[2]))
        rest = rest[step.end() :]
    what = match["what"]
    return what[:1].lower() + what[1:], tuple(path)


def _names(hint: object) -> list[str]:
    """Return the keys that a table has whose type names them."""
    return _choices(typing.get_args(hint)[0]) if typing.get_origin(hint) is dict else []


def _choices(hint: object) -> list[str]:
    """Return the strings that a Literal, or a union with one, allows."""
    if typing.get_origin(hint) is typing.Annotated:
        return _choices(typing.get_args(hint)[0])
    if typing.get_origin(hint) is typing.Literal:
        return [arg for arg in typing.get_args(hint) if isinstance(arg, str)]
    return [choice for arg in typing.get_args(hint) for choice in _choices(arg)]
