"""The one checker of tables: a class's fields say what may stand in a table, and all that is wrong is reported.

A section of a strategies file, an entry of a layout, the options of a plug-in: each is a dict that TOML gave, and a
class names its keys, their types and their defaults.

msgspec is the judge: it alone decides whether a value is good, for every type that it knows, a stranger's too. But it
stops at the first mistake, and its messages are sentences about JSON. So a value that it refuses is taken apart here,
along the types: each part is judged separately, and what is wrong is said in TOML's words.
"""

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from pagexchange.errors import did_you_mean
from pagexchange.model.tomlfile import KeyPath
from pagexchange.strangers import interrupt_in, said

Report = Callable[[KeyPath, str, bool], None]
"""`report(path, problem, value)`: something is wrong at a path; with its value, or else with its key."""
Wrong = tuple[KeyPath, str, bool]
"""The arguments of one report."""

REQUIRED: Final = "<required>"
_WORDS: Final[Mapping[Any, str]] = {bool: "true or false", int: "an integer", float: "a number", str: "a string"}
_LIMITS: Final = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
_DEMANDS: Final = ("multiple_of", "pattern", "min_length", "max_length")
_UNIONS: Final = (typing.Union, types.UnionType)
_MARKS: Final = (typing.Required, typing.NotRequired)


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """A field of a class that stands for a table: a key that the table may have."""

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


def options_of(target: object) -> tuple[Option, ...]:
    """Return the fields of a dataclass or a msgspec.Struct, named as in Python; none of anything else."""
    if not isinstance(target, type):
        return ()
    if dataclasses.is_dataclass(target):
        fields = [
            (field.name, _default(field.default, field.default_factory, dataclasses.MISSING))
            for field in dataclasses.fields(target)
            if field.init and not field.name.startswith("_")  # the others are the plug-in's own state
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


def convert(table: object, target: Any, report: Report, path: KeyPath = ()) -> dict[str, Any]:  # noqa: ANN401 - a class
    """Check each value of a table against the fields of a class; return those that are good, converted.

    Unknown keys are answered with the nearest known one, missing ones with their name. What is good is returned also
    when the rest is not, so that rules about several values can be checked in the same pass.
    """
    options = {option.name: option for option in options_of(target)}
    good: dict[str, Any] = {}
    if not isinstance(table, Mapping):
        form = ", ".join(f"{option.name} = {option.type}" for option in options.values() if option.required)
        report(path, f"expected {f'{{ {form} }}' if form else 'a table'}, got {show(table)}", True)
        return good
    for key, value in table.items():
        option = options.get(key)
        if option is None:
            problem = f"key {key!r}{did_you_mean(key, options)}" if options else f"option {key!r}: it takes none"
            report((*path, key), f"unknown {problem}", False)
            continue
        unknown = list(_unknown(value, option.hint, (*path, key)))
        for wrong in unknown:
            report(*wrong)
        try:
            made = msgspec.convert(value, option.hint, dec_hook=_from_text)
        except msgspec.ValidationError:
            for wrong in _problems(value, option.hint, (*path, key)):
                report(*wrong)
        except (TypeError, ValueError, OverflowError) as error:  # a stranger's type that msgspec does not know
            report((*path, key), f"cannot be checked as {option.type}: {said(error)}", True)
        else:
            if not unknown:
                good[key] = made
    for key, option in options.items():
        # a key whose value is wrong is not missing: that was reported above
        if option.required and key not in table:
            report(path, f"missing key {key!r}", False)
    return good


def _from_text(target: Any, value: object) -> object:  # noqa: ANN401 - any class
    """Make what msgspec does not know, a path or a stranger's class, from a string: by calling the class with it."""
    if isinstance(value, target):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a string, got {show(value)}")
    try:
        return target(value)
    except BaseException as error:
        if interrupt_in(error):
            raise
        raise ValueError(f"no {target.__name__}: {said(error)}") from error


def make(table: Mapping[str, object], target: Any, report: Report, path: KeyPath = ()) -> Any:  # noqa: ANN401
    """Return an instance of a class made from a table, or None after everything wrong was reported."""
    problems: list[Wrong] = []
    values = convert(table, target, lambda *problem: problems.append(problem), path)
    for problem in problems:
        report(*problem)
    if problems:
        return None
    try:
        return target(**values)
    except (ValueError, TypeError) as error:  # what its __post_init__ says about options that do not go together
        if not options_of(target):
            raise  # there are none
        report(path, said(error), True)
        return None


def check_schema(table: Mapping[str, object], known: int, report: Report) -> None:
    """Check the key `schema` of a file: which version of our keys it is written in."""
    schema = table.get("schema")
    if schema is None:
        report((), f"missing key 'schema'; write `schema = {known}` at the top", False)
    elif type(schema) is not int or schema != known:  # True == 1
        report(("schema",), f"schema {show(schema)} is not known; this version reads schema = {known}", True)


def show(value: object) -> str:
    """Return a value as a message quotes it: its repr, cut to 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python does not print integers of thousands of digits, which hexadecimal TOML may have
        text = f"a very large {type(value).__name__}"
    return text if len(text) <= 60 else text[:59] + "…"


# ---- what is wrong with a value that msgspec refuses -----------------------------------------------------------------


def _problems(value: object, hint: object, path: KeyPath, at_value: bool = True) -> Iterator[Wrong]:
    """Yield what is wrong with a value (or with a key), each as deep inside as it can be found."""
    try:
        msgspec.convert(value, hint, dec_hook=_from_text)
    except msgspec.ValidationError as error:
        inside = [
            problem
            for key, part, kind, part_at_value in _parts(value, hint)
            for problem in _problems(part, kind, (*path, key), part_at_value)
        ]
        yield from inside or [(path, _sentence(value, hint, at_value, str(error)), at_value)]
    except TypeError:  # a part that msgspec judges only together with the whole: ClassVar, a bare type variable
        return


def _unknown(value: object, hint: object, path: KeyPath) -> Iterator[Wrong]:
    """Yield the keys of tables within a value that their classes have not: msgspec would drop them without a word."""
    hint, _ = _plain(hint)
    args = typing.get_args(hint)
    origin = typing.get_origin(hint) or hint
    if isinstance(value, dict):
        members = [_plain(member)[0] for member in args] if origin in _UNIONS else [hint]
        tables = [member for member in members if isinstance(member, type) and _is_table(member)]
        known = {key for member in tables for key in (*_keys(member, value), *_tag(member))}
        if tables and len(tables) == len([m for m in members if m is not types.NoneType and m not in _WORDS]):
            for key in value:
                if key not in known:
                    yield (*path, key), f"unknown key {key!r}{did_you_mean(key, known)}", False
    for key, part, kind, at_value in _parts(value, hint):
        if at_value:
            yield from _unknown(part, kind, (*path, key))


def _tag(target: type) -> tuple[str, ...]:
    """Return the key that tells which member of a union a table is."""
    config = target.__struct_config__ if issubclass(target, msgspec.Struct) else None
    return (str(config.tag_field),) if config is not None and config.tag is not None else ()


def _parts(value: object, hint: object) -> Iterator[tuple[str | int, object, object, bool]]:
    """Yield what msgspec judges separately in a value: place, part, its type, and whether it is a value or a key."""
    hint, _ = _plain(hint)
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _UNIONS:
        # One list and one table at most, as msgspec has it, or structs that differ by their tag: no part has two types.
        for member in args:
            yield from _parts(value, member)
    elif not isinstance(origin, type):
        return
    elif isinstance(value, dict):
        if _is_table(origin):
            yield from ((key, value[key], kind, True) for key, kind in _keys(origin, value).items() if key in value)
        elif issubclass(origin, Mapping) and args:
            for key, part in value.items():
                yield key, key, args[0], False
                yield key, part, args[1], True
    elif isinstance(value, list | tuple) and issubclass(origin, Collection) and not issubclass(origin, Mapping):
        if hasattr(origin, "_fields"):  # a NamedTuple
            args = tuple(typing.get_type_hints(origin, include_extras=True).values())
        elif len(args) == 1 or args[1:] == (...,):  # list[X], set[X], tuple[X, ...]
            args = args[:1] * len(value)
        yield from ((number, *part, True) for number, part in enumerate(zip(value, args, strict=False)))


def _is_table(target: type) -> bool:
    return dataclasses.is_dataclass(target) or issubclass(target, msgspec.Struct) or typing.is_typeddict(target)


def _keys(target: type, table: Mapping[str, object]) -> dict[str, object]:
    """Return key -> type as msgspec reads a table within a table: a struct's fields may have other names there."""
    hints = typing.get_type_hints(target, include_extras=True)
    if not issubclass(target, msgspec.Struct):  # the marks are a TypedDict's, and not types of values
        return {
            key: typing.get_args(hint)[0] if typing.get_origin(hint) in _MARKS else hint for key, hint in hints.items()
        }
    config = target.__struct_config__
    if config.tag is not None and table.get(str(config.tag_field)) != config.tag:
        return {}  # another member of the union is meant
    return {field.encode_name: hints[field.name] for field in msgspec.structs.fields(target)}


def _sentence(value: object, hint: object, at_value: bool, refusal: str) -> str:
    """Say what is wrong with a value; as msgspec says it where our words would not tell why it refuses."""
    choices = _choices(hint)
    if choices and isinstance(value, str):
        return f"unknown {'value' if at_value else 'key'} {show(value)}{did_you_mean(value, choices)}"
    wanted = _wanted(value, hint)
    return f"expected {wanted}, got {show(value)}" if wanted else refusal[:1].lower() + refusal[1:]


def _wanted(value: object, hint: object) -> str:
    """Return what a type wants, in TOML's words; empty if that is not what the value lacks, or cannot be said."""
    hint, metas = _plain(hint)
    origin, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in _UNIONS:
        members = [_wanted(value, member) for member in args if member is not types.NoneType]  # TOML has no null
        return " or ".join(members) if all(members) else ""
    if origin is typing.Literal:
        return f"one of {', '.join(map(str, args))}"
    if origin in _WORDS:
        return _limited(_WORDS[origin], metas)
    if not isinstance(origin, type):
        return ""
    # A list or a table that is refused although it is one: the reason is inside, where nothing was found to blame.
    if _is_table(origin) or issubclass(origin, Mapping):
        return "" if isinstance(value, dict) else "a table"
    if issubclass(origin, list | tuple | set | frozenset):
        length = len(args) if issubclass(origin, tuple) and args[1:] != (...,) else 0
        right = isinstance(value, list | tuple) and len(value) == (length or len(value))
        return "" if right else f"a list of {length}" if length else "a list"
    return ""


def _limited(noun: str, metas: list[object]) -> str:
    """Return `an integer from 1 to 64`; empty if the type demands something that these words do not say."""
    meanings = [meta for meta in metas if isinstance(meta, msgspec.Meta)]  # others may annotate a type for themselves
    if any(getattr(meta, name) is not None for meta in meanings for name in _DEMANDS):
        return ""
    limits = {name: limit for meta in meanings for name in _LIMITS if (limit := getattr(meta, name)) is not None}
    if limits.keys() == {"ge", "le"}:
        return f"{noun} from {_number(limits['ge'])} to {_number(limits['le'])}"
    return " ".join([noun, " and ".join(f"{_LIMITS[name]} {_number(limit)}" for name, limit in limits.items())]).strip()


def _number(limit: object) -> str:
    return f"{limit:.15g}" if isinstance(limit, float) else str(limit)


def _choices(hint: object) -> list[str]:
    """Return the strings that a Literal, an Enum, or a union with one, allows."""
    hint, _ = _plain(hint)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in _UNIONS:
        return [choice for member in args for choice in _choices(member)]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        args = tuple(member.value for member in hint)
    elif origin is not typing.Literal:
        return []
    return [value for value in args if isinstance(value, str)]


def _plain(hint: object) -> tuple[Any, list[object]]:
    """Return a type without what stands around it, and its annotations: those say how large, how long."""
    metas: list[object] = []
    while True:
        origin = typing.get_origin(hint)
        if origin is typing.Annotated:
            hint, *more = typing.get_args(hint)
            metas += more
        elif origin is typing.Final:
            (hint,) = typing.get_args(hint)
        elif isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif alias := getattr(hint, "__value__", None):  # `type X = ...`, which Python 3.11 has not
            hint = alias
        else:
            return hint, metas
